"""Verifies access tokens in a resource server: locally, from the issuer's published keys (RFC 9068).

verify = Verifier(issuer="https://login.example.com", audience="https://notes.example.com")
"""

from authserver_verifier.claims import AccessToken
from authserver_verifier.refusals import (
    Challenge,
    IssuerUnavailableError,
    Refusal,
    RequestRefusedError,
    TokenRefusedError,
)
from authserver_verifier.request import ProtectedRequest, from_asgi, from_wsgi
from authserver_verifier.requirement import Requirement, require
from authserver_verifier.verifier import Verifier

__all__ = [
    "AccessToken",
    "Challenge",
    "IssuerUnavailableError",
    "ProtectedRequest",
    "Refusal",
    "RequestRefusedError",
    "Requirement",
    "TokenRefusedError",
    "Verifier",
    "from_asgi",
    "from_wsgi",
    "require",
]
