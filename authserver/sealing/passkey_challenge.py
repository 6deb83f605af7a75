"""The challenge that a passkey signs: made without a row, vouched for by a MAC, and good for one purpose.

16 random bytes, the seconds it was made at (4), the key id (2), and HMAC-SHA-256 over these and what it is for: so a
page can show one to everybody and stores nothing. It becomes a row when it is used (store/replays.py), and never again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from authserver.oauth.passkey_rules import CHALLENGE_LIFETIME
from authserver.sealing.subkeys import Label

if TYPE_CHECKING:
    from authserver.sealing.subkeys import Subkeys

_BODY: Final = struct.Struct(">16sIH")
_MAC_BYTES: Final = 32


def new_challenge(subkeys: Subkeys, purpose: str, now: datetime) -> bytes:
    """Return a challenge for one purpose, which names the browser and whatever else it must not leave."""
    body = _BODY.pack(secrets.token_bytes(16), int(now.timestamp()), subkeys.current_id)
    return body + _mac(subkeys.current(Label.PASSKEY_CHALLENGE), body, purpose)


def find_end(subkeys: Subkeys, challenge: bytes, purpose: str) -> datetime | None:
    """Return when a challenge is over, None where it was not made here, or for something else."""
    body, mac = challenge[: _BODY.size], challenge[_BODY.size :]
    if len(body) != _BODY.size or len(mac) != _MAC_BYTES:
        return None
    _, made_at, key_id = _BODY.unpack(body)
    key = subkeys.by_id(Label.PASSKEY_CHALLENGE).get(key_id)
    if key is None or not hmac.compare_digest(_mac(key, body, purpose), mac):
        return None
    return datetime.fromtimestamp(made_at, UTC) + CHALLENGE_LIFETIME


def _mac(key: bytes, body: bytes, purpose: str) -> bytes:
    return hmac.digest(key, body + purpose.encode(), hashlib.sha256)
