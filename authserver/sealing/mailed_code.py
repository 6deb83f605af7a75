"""Codes that are sent by mail, and what is stored of them.

Six digits are guessed in a moment by whoever has a plain hash of them, so the hash is keyed by a pepper that the
database does not hold (DESIGN §4). It also covers what the code is for and who asked: moved to another row, the same
digits are wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final
from uuid import UUID

from authserver.oauth.mailed_code_rules import DIGITS
from authserver.sealing.subkeys import Label

if TYPE_CHECKING:
    from authserver.oauth.mailed_code_rules import MailedCode, Purpose
    from authserver.sealing.subkeys import Subkeys


_ID_DIGITS: Final = 32  # hexadecimal ones, of a UUID
_MAC_BYTES: Final = 16


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


def make_stop_token(subkeys: Subkeys, code_id: UUID) -> str:
    """Return what the mail with a code lets its reader end it by. Nothing of it is stored: it names the code itself."""
    return f"{code_id.hex}{_mac(subkeys.current(Label.STOP_LINK), code_id)}"


def read_stop_token(subkeys: Subkeys, token: str) -> UUID | None:
    """Return the code that a token of ours names, None for anything else."""
    try:
        code_id = UUID(hex=token[:_ID_DIGITS])
    except ValueError:
        return None
    presented = token.encode("utf-8", "surrogatepass")
    ours = [f"{code_id.hex}{_mac(key, code_id)}".encode() for key in subkeys.by_id(Label.STOP_LINK).values()]
    return code_id if any(hmac.compare_digest(presented, one) for one in ours) else None


def _mac(key: bytes, code_id: UUID) -> str:
    return hmac.digest(key, code_id.bytes, hashlib.sha256)[:_MAC_BYTES].hex()


def _hash(pepper: bytes, code: str, code_id: UUID, purpose: Purpose, browser_hash: bytes | None) -> bytes:
    # every part has a fixed length or cannot hold the separator, so no two inputs are one message
    message = b"|".join((code_id.bytes.hex().encode(), purpose.value.encode(), (browser_hash or b"").hex().encode()))
    return hmac.digest(pepper, message + b"|" + code.encode(), hashlib.sha256)
