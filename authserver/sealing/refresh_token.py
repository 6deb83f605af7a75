"""The refresh token (DESIGN §5): everything the rule needs to know of a token, vouched for by a MAC.

``asr_`` and base64url of 75 bytes: version 1, key id 2, grant id 16, secret 16, generation 4, issued_at 4 and
HMAC-SHA-256 over the 43 before it. 75 is a multiple of 3, so the 100 characters have no spare bits and no padding:
each token has one spelling.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from authserver.sealing.opaque import GRANT_SECRET_BYTES
from authserver.sealing.subkeys import Label

if TYPE_CHECKING:
    from authserver.sealing.subkeys import Subkeys

PREFIX: Final = "asr_"
VERSION: Final = 1
MAX_GENERATION: Final = 2**32 - 1
_BODY: Final = struct.Struct(">BH16s16sII")
_MAC_BYTES: Final = 32
_SPELLING: Final = re.compile(r"asr_([A-Za-z0-9_-]{100})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """What a genuine refresh token says. ``issued_at`` is in whole seconds."""

    grant_id: UUID
    secret: bytes = field(repr=False)
    generation: int
    issued_at: datetime


class RefreshTokenSealer:
    """Makes refresh tokens, and tells genuine ones without a database. The same values give the same string.

    A MAC key that leaked is replaced by adding a master: new tokens carry its id, old ones still open.
    """

    __slots__ = ("_current_id", "_keys")

    def __init__(self, subkeys: Subkeys) -> None:
        """Take the MAC keys of every live master."""
        self._keys = subkeys.by_id(Label.REFRESH_TOKEN)
        self._current_id = subkeys.current_id

    def seal(self, *, grant_id: UUID, secret: bytes, generation: int, issued_at: datetime) -> str:
        """Return the token. ``issued_at`` is cut to whole seconds."""
        if len(secret) != GRANT_SECRET_BYTES:
            message = f"a grant's secret has {GRANT_SECRET_BYTES} bytes"
            raise ValueError(message)
        body = _BODY.pack(VERSION, self._current_id, grant_id.bytes, secret, generation, int(issued_at.timestamp()))
        mac = hmac.digest(self._keys[self._current_id], body, "sha256")
        return PREFIX + base64.urlsafe_b64encode(body + mac).decode("ascii")

    def open(self, text: str) -> RefreshToken | None:
        """Return what the token says, or None for anything that was not sealed here (DESIGN §5, row 0)."""
        match = _SPELLING.fullmatch(text)
        if match is None:
            return None
        raw = base64.urlsafe_b64decode(match[1])
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        version, key_id, grant_id, secret, generation, issued_at = _BODY.unpack(body)
        key = self._keys.get(key_id)
        if version != VERSION or key is None or not hmac.compare_digest(hmac.digest(key, body, hashlib.sha256), mac):
            return None
        return RefreshToken(
            grant_id=UUID(bytes=grant_id),
            secret=secret,
            generation=generation,
            issued_at=datetime.fromtimestamp(issued_at, UTC),
        )
