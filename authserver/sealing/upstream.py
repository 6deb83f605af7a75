"""The secrets of a sign-in through another provider: ours there, which must be known, and those of one way there.

The latter are made of the ``state`` and the browser's own secret, so the database holds neither: a dump of it, or the
addresses that a browser went to, do not finish anybody's sign-in.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

from authserver.sealing.subkeys import Label

if TYPE_CHECKING:
    from authserver.sealing.subkeys import Subkeys


def seal_client_secret(subkeys: Subkeys, secret: str, slug: str) -> bytes:
    """Return what to store of the secret that a provider gave us."""
    return subkeys.box(Label.UPSTREAM_SECRET).seal(secret.encode(), purpose=_purpose(slug))


def open_client_secret(subkeys: Subkeys, sealed: bytes, slug: str) -> str:
    """Return the secret. Raise UnsealError where the row was altered, is another provider's, or its key is gone."""
    return subkeys.box(Label.UPSTREAM_SECRET).open(sealed, purpose=_purpose(slug)).decode()


def derive_nonce(browser: str, state: str) -> str:
    """Return the ``nonce`` that the ID token of this way must carry (OIDC Core §15.5.2)."""
    return _derive(browser, f"nonce|{state}")


def derive_verifier(browser: str, state: str) -> str:
    """Return the PKCE verifier of this way: 43 characters (RFC 7636 §4.1)."""
    return _derive(browser, f"verifier|{state}")


def _derive(browser: str, text: str) -> str:
    digest = hmac.digest(browser.encode(), text.encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _purpose(slug: str) -> str:
    return f"upstream|{slug}"
