"""Where the access token stands in a request (RFC 6750 §2, RFC 9449 §7.1): in one Authorization header."""

from collections.abc import Iterable
from string import ascii_letters, digits
from typing import NamedTuple
from urllib.parse import parse_qsl

from authserver_verifier.refusals import Refusal, TokenRefusedError

FORM_TYPE = b"application/x-www-form-urlencoded"
_TOKEN68 = (ascii_letters + digits + "-._~+/").encode()  # RFC 9110 §11.2, without the padding at the end
_SCHEMES = frozenset({b"bearer", b"dpop"})


class Credentials(NamedTuple):
    """An access token and the scheme it came with."""

    token: str
    dpop: bool


def find_credentials(headers: Iterable[tuple[bytes, bytes]], query_string: bytes) -> Credentials:
    """Return the access token of a request. `headers` are ASGI's: names in lower case, one pair per line sent.

    A token in the query would end up in logs and histories: it is refused, beside a header and alone.
    Raises `TokenRefusedError`.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) > 1:
        raise TokenRefusedError(Refusal.HEADER_REPEATED)
    scheme, _, rest = values[0].partition(b" ") if values else (b"", b"", b"")
    scheme = scheme.lower()
    has_header = scheme in _SCHEMES
    if query_string and _names_token(query_string):
        raise TokenRefusedError(Refusal.TWO_TOKENS if has_header else Refusal.TOKEN_NOT_IN_HEADER)
    if not has_header:
        raise TokenRefusedError(Refusal.NO_TOKEN)
    token = rest.lstrip(b" ")
    without_padding = token.rstrip(b"=")
    if not without_padding or without_padding.translate(None, _TOKEN68):
        raise TokenRefusedError(Refusal.HEADER_MALFORMED)
    return Credentials(token.decode(), scheme == b"dpop")


def is_form(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether the body is a form: the one kind of body that could carry an access token (RFC 6750 §2.2)."""
    return any(name == b"content-type" and value.lower().startswith(FORM_TYPE) for name, value in headers)


def check_form(body: bytes) -> None:
    """Refuse a form that carries an access token beside the one in the header (RFC 6750 §3.1)."""
    if _names_token(body):
        raise TokenRefusedError(Refusal.TWO_TOKENS)


def _names_token(form: bytes) -> bool:
    return any(name == b"access_token" for name, _ in parse_qsl(form, keep_blank_values=True))
