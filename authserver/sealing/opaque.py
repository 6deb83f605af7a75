"""Random secrets that a client or browser only carries: codes, client secrets, registration tokens, cookies.

They are looked up by their SHA-256: 256 random bits need no slow hash (PERFORMANCE: 0.3 us against 22 ms), a dump of
the table is worth nothing, and every other spelling of a secret is another secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import StrEnum
from typing import Final

SECRET_BYTES: Final = 32  # RFC 6749 §10.10 asks for at most 2^-128 to guess; this is 2^-256
GRANT_SECRET_BYTES: Final = 16


class Prefix(StrEnum):
    """The first characters of a secret: leak scanners and people can tell what they have found."""

    AUTHORIZATION_CODE = "asc_"
    CLIENT_SECRET = "ask_"  # noqa: S105 - a prefix
    INITIAL_ACCESS_TOKEN = "asi_"  # noqa: S105 - a prefix
    REGISTRATION_ACCESS_TOKEN = "asg_"  # noqa: S105 - a prefix
    SESSION = "asn_"
    BROWSER = "asb_"  # binds a transaction to the browser that began it
    DEVICE = "asd_"  # a browser that signed in before
    AUTH_SESSION = "asf_"  # an app's sign-in that waits for its second factor
    UPSTREAM_STATE = "asu_"  # stands for a way to another provider and back
    MAILED_LINK = "asm_"  # does what the code beside it in the mail does


def new_secret(prefix: Prefix | str) -> str:
    """Return ``prefix`` and 43 characters of base64url: 256 random bits."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def new_grant_secret() -> bytes:
    """Return the 16 random bytes that all refresh tokens of one grant share (DESIGN §5)."""
    return secrets.token_bytes(GRANT_SECRET_BYTES)


def hash_secret(secret: str | bytes) -> bytes:
    """Return the 32 bytes to store and to look up."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def is_secret(presented: str | bytes, secret_hash: bytes) -> bool:
    """Tell, in constant time, whether this is the secret that was hashed."""
    return hmac.compare_digest(hash_secret(presented), secret_hash)
