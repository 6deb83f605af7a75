"""The discovery document, put together from what the features declare (RFC 8414 §2, OIDC Discovery §3).

One document serves both well-known addresses: OIDC Discovery and RFC 8414 use one registry of names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What holds for the issuer whichever features are there. The features add the endpoints and what they support.
_GROUND: Final[Mapping[str, object]] = {
    "subject_types_supported": ["public"],
    "claim_types_supported": ["normal"],
    "code_challenge_methods_supported": ["S256"],  # RFC 7636 §4.2; plain protects nothing
    "authorization_response_iss_parameter_supported": True,  # RFC 9207 §3
    "claims_parameter_supported": False,
    "request_parameter_supported": False,
    "request_uri_parameter_supported": False,  # true where it is left out (OIDC Discovery §3), so it is said
    "require_request_uri_registration": False,
}


def build_metadata(issuer: str, contributions: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Return the document of ``issuer`` (RFC 8414 §3.2).

    Lists of several features are joined without repeating a value, in the order of the features. A feature may turn a
    ``False`` of the ground into ``True``. Any other two values for one name, null, and an empty list are bugs
    (ValueError): the document would say something else than the server does.
    """
    document: dict[str, object] = {"issuer": issuer, **{name: _copy(value) for name, value in _GROUND.items()}}
    said: set[str] = {"issuer"}
    for contribution in contributions:
        for name, value in contribution.items():
            if value is None or value == []:
                raise ValueError(f"metadata {name} has no value; leave it out")
            document[name] = _merge(name, document.get(name), value, said=name in said)
            said.add(name)
    return document


def _merge(name: str, before: object, value: object, *, said: bool) -> object:
    if isinstance(before, list) and isinstance(value, list | tuple):
        return before + [item for item in dict.fromkeys(value) if item not in before]
    if before is None:
        return _copy(value)
    if before == value or (before is False and value is True and not said):
        return value
    raise ValueError(f"metadata {name} is declared as {before!r} and as {value!r}")


def _copy(value: object) -> object:
    return list(dict.fromkeys(value)) if isinstance(value, list | tuple) else value
