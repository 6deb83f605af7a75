"""The members of a client metadata document, one by one: their JSON types, lengths and characters (RFC 7591 §2).

Everything here is about one member alone. What they mean together is decided in ``client_metadata``.
Readers get a JSON value that is not null and return it as the rest of the server wants it, or raise.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias
from urllib.parse import urlsplit

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import printable
from authserver.oauth.resource import is_resource_identifier
from authserver.oauth.values import AuthMethod, LogoutScope, RefreshMode, RefreshPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DOCUMENT_BYTES: Final = 64 * 1024
MAX_LIST_ITEMS: Final = 20
MAX_NAME: Final = 100
MAX_TEXT: Final = 255
MAX_URI: Final = 2000
MAX_SCOPE: Final = 2000
MAX_SECONDS: Final = 315_360_000  # ten years
PROFILES: Final = frozenset({"oauth2.1", "oidc"})

_PRIVATE_JWK_MEMBERS: Final = frozenset(
    {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
)  # RFC 7518 §6.2.2, §6.3.2, §6.4.1
_SCOPE: Final = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
_URI: Final = re.compile(
    r"https?://(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
)  # RFC 3986 §2, no fragment

Reader: TypeAlias = "Callable[[str, object], object]"


def parse_document(document: bytes) -> dict[str, object]:
    """Return the JSON object of a request's body (RFC 7591 §3.1), read strictly.

    Raises ``invalid_client_metadata`` for anything but one JSON object in UTF-8 of at most ``MAX_DOCUMENT_BYTES``:
    a name that stands twice, NaN, numbers or nesting beyond all measure are refused too.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise OAuthError(ErrorCode.INVALID_CLIENT_METADATA, "the document is too large", Refusal.BODY_TOO_LARGE)
    try:
        value = json.loads(document.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OAuthError(
            ErrorCode.INVALID_CLIENT_METADATA, "the body is no JSON document in UTF-8", Refusal.BODY_MALFORMED
        ) from error
    if not isinstance(value, dict):
        raise OAuthError(ErrorCode.INVALID_CLIENT_METADATA, "the body must be a JSON object", Refusal.BODY_MALFORMED)
    return value


def read_members(document: Mapping[str, object], *, operator: bool) -> dict[str, Any]:
    """Return the members that are known, checked each for itself; the others are ignored (RFC 7591 §2).

    Null and the empty string count as left out. What only operators may say is ignored from anybody else.
    """
    readers = {**_MEMBERS, **_OPERATOR_MEMBERS} if operator else _MEMBERS
    return {
        name: readers[name](name, value)
        for name, value in document.items()
        if name in readers and value is not None and value != ""
    }


def refuse_member(name: str, why: str) -> NoReturn:
    """Raise ``invalid_client_metadata`` (RFC 7591 §3.2.2)."""
    raise OAuthError(ErrorCode.INVALID_CLIENT_METADATA, f"{printable(name)} {why}", Refusal.METADATA_INVALID)


def clean_name(text: str) -> str:
    """Return a name people can be shown: no control, format or direction characters, and no runs of blanks."""
    visible = "".join(" " if c.isspace() else c for c in text if c.isspace() or _is_visible(c))
    return " ".join(unicodedata.normalize("NFC", visible).split())


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _read_text(name: str, value: object, limit: int = MAX_TEXT) -> str:
    if not isinstance(value, str):
        refuse_member(name, "must be a string")
    if len(value) > limit:
        refuse_member(name, f"is longer than {limit} characters")
    if not all(_is_visible(c) for c in value):
        refuse_member(name, "has characters that cannot be seen")
    return value


def _read_name(name: str, value: object) -> str:
    if not isinstance(value, str):
        refuse_member(name, "must be a string")
    cleaned = clean_name(value)
    if len(cleaned) > MAX_NAME:
        refuse_member(name, f"is longer than {MAX_NAME} characters")
    return cleaned


def _read_scope(name: str, value: object) -> frozenset[str]:
    text = _read_text(name, value, MAX_SCOPE)
    if not _SCOPE.fullmatch(text):
        refuse_member(name, "has characters that a scope cannot have")
    return frozenset(text.split())


def _read_https_uri(name: str, value: object) -> str:
    uri = _read_uri(name, value)
    if not uri.startswith("https://"):
        refuse_member(name, "must be an https address")
    return uri


def _read_uri(name: str, value: object) -> str:
    uri = _read_text(name, value, MAX_URI)
    if not _URI.fullmatch(uri) or not _has_host(uri):
        refuse_member(name, "must be an address with a host and without user name and fragment")
    return uri


def _has_host(uri: str) -> bool:
    try:
        split = urlsplit(uri)
        return bool(split.hostname) and "@" not in split.netloc and split.port != 0
    except ValueError:
        return False


def _read_texts(name: str, value: object, limit: int = MAX_TEXT) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        refuse_member(name, "must be an array of strings")
    if len(value) > MAX_LIST_ITEMS:
        refuse_member(name, f"has more than {MAX_LIST_ITEMS} values")
    return tuple(dict.fromkeys(_read_text(name, item, limit) for item in value))


def _read_words(name: str, value: object) -> frozenset[str]:
    return frozenset(_read_texts(name, value))


def _read_uris(name: str, value: object) -> tuple[str, ...]:
    """Return the list; what may be a redirect URI depends on the application type and is checked with it."""
    if isinstance(value, list | tuple) and not all(isinstance(item, str) for item in value):
        refuse_member(name, "must be an array of strings")
    if not isinstance(value, list | tuple) or len(value) > MAX_LIST_ITEMS:
        refuse_member(name, f"must be an array of at most {MAX_LIST_ITEMS} strings")
    return tuple(dict.fromkeys(value))


def _read_resources(name: str, value: object) -> tuple[str, ...]:
    identifiers = _read_texts(name, value, MAX_URI)
    if not all(is_resource_identifier(identifier) for identifier in identifiers):
        refuse_member(name, "must be identifiers of resources: absolute URIs")
    return identifiers


def _read_boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        refuse_member(name, "must be true or false")
    return value


def _seconds(at_least: int, at_most: int) -> Reader:
    def read(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
            refuse_member(name, f"must be a whole number of seconds from {at_least} to {at_most}")
        return value

    return read


def _one_of(*choices: str) -> Reader:
    def read(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            refuse_member(name, f"must be one of {', '.join(choices)}")
        return value

    return read


def _read_jwks(name: str, value: object) -> Mapping[str, object]:
    """Return the key set if it looks like one: public keys, each with a type. Its keys are checked in ``jose/``."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MAX_LIST_ITEMS:
        refuse_member(name, f"must be a JWK Set of 1 to {MAX_LIST_ITEMS} keys")
    for key in keys:
        if not isinstance(key, dict) or not isinstance(key.get("kty"), str):
            refuse_member(name, "has a key without kty")
        if key["kty"] == "oct" or _PRIVATE_JWK_MEMBERS & key.keys():
            refuse_member(name, "holds a secret; send public keys only")
        if not all(_is_plain(part) for member in key.items() for part in member):
            refuse_member(name, "has a key with a member that is no text, number or array of text")
    kids = [key["kid"] for key in keys if "kid" in key]
    if not all(isinstance(kid, str) for kid in kids) or len(set(kids)) != len(kids):
        refuse_member(name, "has kid values that are no strings or stand twice")
    return {"keys": keys}


def _refuse_encryption(name: str, value: object) -> NoReturn:  # noqa: ARG001 - a reader
    """Say that nothing is ever encrypted: a client that asks for it must not believe that it is."""
    refuse_member(name, "is not offered: tokens and responses are signed, not encrypted")


def _is_plain(value: object) -> bool:
    """Tell whether a JWK's member is what they all are: text, a number, a truth value, or an array of text."""
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, int) or (isinstance(item, str) and all(map(_is_visible, item))) for item in items)


_MEMBERS: Final[Mapping[str, Reader]] = {
    "redirect_uris": _read_uris,
    "post_logout_redirect_uris": _read_uris,
    "token_endpoint_auth_method": _one_of(*AuthMethod),
    "token_endpoint_auth_signing_alg": _read_text,
    "grant_types": _read_words,
    "response_types": _read_words,
    "application_type": _one_of("web", "native"),
    "subject_type": _one_of("public"),
    "id_token_signed_response_alg": _read_text,
    "introspection_signed_response_alg": _read_text,
    **{
        f"{what}_encrypted_response_{how}": _refuse_encryption
        for what in ("authorization", "id_token", "introspection", "userinfo")
        for how in ("alg", "enc")
    },
    "default_max_age": _seconds(0, MAX_SECONDS),
    "require_auth_time": _read_boolean,
    "backchannel_logout_uri": _read_uri,
    "backchannel_logout_session_required": _read_boolean,
    "scope": _read_scope,
    "jwks": _read_jwks,
    "jwks_uri": _read_uri,
    "client_name": _read_name,
    "client_uri": _read_https_uri,
    "logo_uri": _read_https_uri,
    "tos_uri": _read_https_uri,
    "policy_uri": _read_https_uri,
    "contacts": _read_texts,
    "software_id": _read_text,
    "software_version": _read_text,
}

_OPERATOR_MEMBERS: Final[Mapping[str, Reader]] = {
    "profile": _one_of(*sorted(PROFILES)),
    "refresh_token_mode": _one_of(*RefreshMode),
    "refresh_token_policy": _one_of(*RefreshPolicy),
    "access_token_lifetime": _seconds(1, 86_400),
    "id_token_lifetime": _seconds(1, 86_400),
    "authorization_code_lifetime": _seconds(1, 600),
    "refresh_token_idle_lifetime": _seconds(1, MAX_SECONDS),
    "refresh_token_absolute_lifetime": _seconds(1, MAX_SECONDS),
    "first_party": _read_boolean,
    "api_register": _read_boolean,
    "require_pkce": _read_boolean,
    "logout_scope": _one_of(*LogoutScope),
    "introspects": _read_resources,
}
