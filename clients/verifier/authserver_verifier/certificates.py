"""Client certificates of requests, and whether a token is bound to them (RFC 8705 §3)."""

import re
import ssl
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import unquote

from authserver_verifier.refusals import Refusal, TokenRefusedError
from authserver_verifier.request import ProtectedRequest

MAX_CERTIFICATE_BYTES = 16384
_BYTE_SEQUENCE = re.compile(r":([A-Za-z0-9+/]+={0,2}):")  # RFC 9440 §2.1


def check_certificate(request: ProtectedRequest, thumbprint: str, header: bytes | None) -> None:
    """Refuse a request whose client certificate is not the one with this SHA-256 thumbprint (base64url).

    `header` is the name, in lower case, of the one in which a proxy tells the certificate: as RFC 9440 has it or as
    PEM, percent-encoded. With a header, what this server's own TLS says is the proxy's certificate and not looked at.
    """
    certificate = _from_header(request, header) if header else _from_pem(request.certificate)
    if certificate is None:
        raise TokenRefusedError(Refusal.CERTIFICATE_MISSING)
    actual = urlsafe_b64encode(sha256(certificate).digest()).rstrip(b"=").decode()
    if not compare_digest(actual, thumbprint):
        raise TokenRefusedError(Refusal.CERTIFICATE_WRONG)


def _from_header(request: ProtectedRequest, header: bytes) -> bytes | None:
    values = request.values(header)
    if len(values) != 1 or len(values[0]) > MAX_CERTIFICATE_BYTES:
        return None
    text = values[0].decode("latin-1").strip()
    sequence = _BYTE_SEQUENCE.fullmatch(text)
    if sequence is None:
        return _from_pem(unquote(text))
    try:
        return b64decode(sequence[1], validate=True)
    except Base64Error:
        return None


def _from_pem(text: str | None) -> bytes | None:
    try:
        return ssl.PEM_cert_to_DER_cert(text) if text else None
    except (ValueError, UnicodeEncodeError):
        return None
