"""Redirect URIs: what may be registered, and which registered one a request means (RFC 6749 §3.1.2, RFC 8252).

Three kinds exist. ``https`` addresses; ``http`` on loopback, for native apps and for development; private-use schemes,
for native apps. A request's URI is compared with the registered ones as a string, character by character (RFC 9700
§2.1). One exception: a native app on loopback takes whatever port is free, so its port is not compared (RFC 8252 §7.3).
Post-logout redirect URIs follow the same rules.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import printable
from authserver.oauth.uri_schemes import DANGEROUS, IANA_REGISTERED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from authserver.oauth.values import Client

NATIVE: Final = "native"
WEB: Final = "web"
MAX_LENGTH: Final = 2000

# The parameters of an authorization response: a registered query that holds one would make it ambiguous.
_RESPONSE_PARAMETERS: Final = frozenset({"code", "state", "iss", "error", "error_description", "error_uri", "response"})

_URI: Final = re.compile(r"(?:[A-Za-z0-9._~:/?\[\]@!$&'()+,;=-]|%[0-9A-Fa-f]{2})+")  # RFC 3986 §2, no "#" and no "*"
_PARTS: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):(?://(?P<authority>[^/?]*))?(?P<path>[^?]*)(?:\?(?P<query>.*))?"
)
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_AUTHORITY: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?")
_LOOPBACK: Final = re.compile(
    r"http://(?P<host>127\.0\.0\.1|\[::1\]|localhost)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?].*)?"
)
_DOTLESS: Final = re.compile(r"[a-z][a-z0-9+-]{2,}")


class Kind(StrEnum):
    """Where a redirect URI leads."""

    HTTPS = "https"
    LOOPBACK = "loopback"
    PRIVATE_USE = "private-use"


def get_kind(redirect_uri: str) -> Kind:
    """Return the kind of a registered redirect URI, or of one that matched a registered one."""
    if redirect_uri.startswith("https://"):
        return Kind.HTTPS
    return Kind.LOOPBACK if redirect_uri.startswith("http://") else Kind.PRIVATE_USE


def infer_application_type(application_type: str | None, redirect_uris: Iterable[str]) -> str:
    """Return the ``application_type``, read off the addresses where it was omitted.

    OIDC Registration §2 says ``web`` then, but a client whose every address is on loopback, or that has one with a
    private-use scheme, can only be a native app: deployed MCP clients leave the member out.
    """
    if application_type is not None:
        return application_type
    kinds = {get_kind(uri) for uri in redirect_uris}
    return NATIVE if kinds == {Kind.LOOPBACK} or Kind.PRIVATE_USE in kinds else WEB


def check_registrable(redirect_uri: str, *, application_type: str, self_registered: bool = False) -> None:
    """Refuse an address that a client of this type may not register; raises ``invalid_redirect_uri``.

    ``self_registered`` native clients may use schemes without a dot (``cursor:``), as some deployed ones do; the user
    is asked for consent each time there. An operator has to register one with a dot (RFC 8252 §7.1).
    """
    parts = _parse(redirect_uri)
    scheme, authority, path = parts["scheme"], parts["authority"], parts["path"]
    if scheme in {"https", "http"}:
        _check_web_address(redirect_uri, scheme, authority or "")
    else:
        _check_private_use(redirect_uri, scheme, application_type=application_type, self_registered=self_registered)
        if authority is None and not path.startswith("/"):
            raise _refuse(redirect_uri, f"write it as {printable(scheme)}:/path")
        if authority is not None and "@" in authority:
            raise _refuse(redirect_uri, "it holds a user name")
    if any(unquote(segment).partition(";")[0] in {".", ".."} for segment in path.split("/")):
        raise _refuse(redirect_uri, "its path has . or .. segments, which browsers rewrite")
    if any(name in _RESPONSE_PARAMETERS for name, _ in parse_qsl(parts["query"] or "", keep_blank_values=True)):
        raise _refuse(redirect_uri, "its query has a parameter that the authorization response sets")


def matches(registered: str, given: str, client: Client) -> bool:
    """Tell whether a request's URI is a registered one: equal strings, but for the port of a native app on loopback."""
    if registered == given:
        return True
    if client.application_type != NATIVE:
        return False
    one, other = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(given)
    if one is None or other is None or not _is_port(other["port"]):
        return False
    return (one["host"], one["rest"]) == (other["host"], other["rest"])


def find_registered(client: Client, given: str) -> str | None:
    """Return the registered redirect URI that a request's one means, or None."""
    return next((uri for uri in client.redirect_uris if matches(uri, given, client)), None)


def find_registered_post_logout(client: Client, given: str) -> str | None:
    """Return the registered post-logout redirect URI that a request's one means, or None (RP-Initiated Logout §3)."""
    return next((uri for uri in client.post_logout_redirect_uris if matches(uri, given, client)), None)


def web_origins(client: Client) -> frozenset[str]:
    """Return the origins (scheme, host and port) at which a client's pages live: https, or http on loopback."""
    return frozenset(origin for uri in client.redirect_uris if (origin := _find_origin(uri)) is not None)


def _find_origin(uri: str) -> str | None:
    """Return the origin of a web address, None where it has none or, written by hand, cannot be read."""
    try:
        part = urlsplit(uri)
    except ValueError:
        return None
    is_web = part.scheme == "https" or _LOOPBACK.fullmatch(uri) is not None
    return f"{part.scheme}://{part.netloc.lower()}" if is_web else None


def _parse(redirect_uri: str) -> re.Match[str]:
    if len(redirect_uri) > MAX_LENGTH:
        raise _refuse(redirect_uri, f"it is longer than {MAX_LENGTH} characters")
    if "#" in redirect_uri:
        raise _refuse(redirect_uri, "it has a fragment")
    if "*" in redirect_uri:
        raise _refuse(redirect_uri, "there are no wildcards: register each address")
    if not _URI.fullmatch(redirect_uri):
        raise _refuse(redirect_uri, "it has characters a URI cannot have; write other scripts in punycode or %XX")
    parts = _PARTS.fullmatch(redirect_uri)
    if parts is None:
        raise _refuse(redirect_uri, "it is no absolute URI with a scheme in lower case")
    if not _is_readable(redirect_uri):
        raise _refuse(redirect_uri, "its host or port cannot be read")
    return parts


def _check_web_address(redirect_uri: str, scheme: str, authority: str) -> None:
    if "@" in authority:
        raise _refuse(redirect_uri, "it holds a user name")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None or not _is_port(parts["port"]):
        raise _refuse(redirect_uri, "its host or port cannot be read")
    if scheme == "http" and not _LOOPBACK.fullmatch(redirect_uri):
        raise _refuse(redirect_uri, "http is for 127.0.0.1, [::1] and localhost only; use https")


def _check_private_use(redirect_uri: str, scheme: str, *, application_type: str, self_registered: bool) -> None:
    if scheme in DANGEROUS:
        raise _refuse(redirect_uri, f"scheme {scheme} is not for redirects")
    if application_type != NATIVE:
        raise _refuse(redirect_uri, "private-use schemes are for application_type native")
    if "." in scheme:
        return
    if not self_registered:
        raise _refuse(redirect_uri, "a private-use scheme needs a dot, like com.example.app")
    if not _DOTLESS.fullmatch(scheme) or scheme in IANA_REGISTERED:
        raise _refuse(redirect_uri, f"scheme {printable(scheme)} is not an app's own")


def _is_readable(uri: str) -> bool:
    """Tell whether the standard library can take it apart, as others do: in brackets stands a real IPv6 address."""
    try:
        urlsplit(uri).port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        return False
    return True


def _is_port(port: str | None) -> bool:
    return port is None or 0 < int(port) < 65536  # noqa: PLR2004 - the ports there are (RFC 6335 §6)


def _refuse(redirect_uri: str, reason: str) -> OAuthError:
    return OAuthError(
        ErrorCode.INVALID_REDIRECT_URI,
        f"redirect URI {printable(redirect_uri, 120)} is refused: {reason}",
        Refusal.METADATA_REDIRECT_URI,
    )
