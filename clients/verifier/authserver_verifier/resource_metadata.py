"""What an API publishes about itself, so that a client finds its issuer without being told (RFC 9728)."""

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_OURS = frozenset({"resource", "authorization_servers"})


def build_metadata(
    issuer: str, resource: str, dpop_algorithms: tuple[str, ...], *, requires_dpop: bool, more: Mapping[str, object]
) -> bytes:
    """Return the metadata as JSON (RFC 9728 §2); `more` are the API's own members, `scopes_supported` for instance.

    Raises ValueError where they contradict what the verifier knows itself.
    """
    if not _OURS.isdisjoint(more):
        raise ValueError("resource and authorization_servers follow from audience and issuer")
    metadata: dict[str, object] = {
        "resource": resource,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
    }
    if dpop_algorithms:
        metadata["dpop_signing_alg_values_supported"] = list(dpop_algorithms)
        metadata["dpop_bound_access_tokens_required"] = requires_dpop
    return json.dumps(metadata | dict(more)).encode()


def metadata_path(resource: str) -> str:
    """Return where the metadata of a resource are: the well-known path before its own (RFC 9728 §3.1).

    Raises ValueError where the identifier is no URL (RFC 9728 §1.2), or one with a query, which no route could match.
    """
    parts = urlsplit(resource)
    if parts.scheme not in {"https", "http"} or not parts.netloc or "#" in resource or "?" in resource:
        raise ValueError(f"metadata are published of an audience that is a URL, not of {resource!r}")
    return WELL_KNOWN + ("" if parts.path == "/" else parts.path)


def metadata_url(resource: str) -> str:
    """Return the URL that a challenge points to (RFC 9728 §5.1)."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{metadata_path(resource)}"
