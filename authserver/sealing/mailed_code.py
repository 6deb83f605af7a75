"""Codes that are sent by mail, and what is stored of them.

Six digits are guessed in a moment by whoever has a plain hash of them, so the hash is keyed by a pepper that the
database does not hold (DESIGN §4). It also covers what the code is for and who asked: moved to another row, the same
digits are wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from authserver.oauth.mailed_code_rules import DIGITS
from authserver.sealing.subkeys import Label

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.oauth.mailed_code_rules import MailedCode, Purpose
    from authserver.sealing.subkeys import Subkeys


def new_code() -> str:
    """Return six random digits."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def hash_code(subkeys: Subkeys, code: str, *, code_id: UUID, purpose: Purpose, browser_hash: bytes | None) -> bytes:
    """Return the 32 bytes to store of a code."""
    return _hash(subkeys.current(Label.OTP_PEPPER), code, code_id, purpose, browser_hash)


def is_code(subkeys: Subkeys, presented: str, stored: MailedCode, browser_hash: bytes | None) -> bool:
    """Tell, in constant time, whether this is the code of the row, given in the browser that asked for it."""
    peppers = subkeys.by_id(Label.OTP_PEPPER).values()
    hashes = [_hash(pepper, presented, stored.id, stored.purpose, browser_hash) for pepper in peppers]
    expected = stored.code_hash if stored.code_hash is not None else bytes(32)
    found = [hmac.compare_digest(one, expected) for one in hashes]
    return any(found) and stored.code_hash is not None


def _hash(pepper: bytes, code: str, code_id: UUID, purpose: Purpose, browser_hash: bytes | None) -> bytes:
    # every part has a fixed length or cannot hold the separator, so no two inputs are one message
    message = b"|".join((code_id.bytes.hex().encode(), purpose.value.encode(), (browser_hash or b"").hex().encode()))
    return hmac.digest(pepper, message + b"|" + code.encode(), hashlib.sha256)
