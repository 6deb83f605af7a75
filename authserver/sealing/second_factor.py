"""What is stored of authenticator apps and recovery codes.

A server has to know the secret of an app, so it is sealed; it belongs to one user and opens for no other. A recovery
code only has to be recognised: HMAC under a key that the database does not hold.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from authserver.oauth.second_factor_rules import (
    RECOVERY_ALPHABET,
    RECOVERY_CODES,
    RECOVERY_LENGTH,
    TOTP_PERIOD,
)
from authserver.sealing.subkeys import Label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from authserver.sealing.subkeys import Subkeys

DRIFT: Final = 1  # time steps that the clock of a phone may be off, either way (RFC 6238 §5.2)


def new_totp_secret() -> str:
    """Return 160 random bits in base32, as authenticator apps take them (RFC 4226 §4 R6)."""
    import pyotp  # noqa: PLC0415 - only who uses a second factor needs it

    return pyotp.random_base32()


def seal_totp_secret(subkeys: Subkeys, secret: str, user_id: UUID) -> bytes:
    """Return what to store of a user's secret."""
    return subkeys.box(Label.TOTP_SECRET).seal(secret.encode(), purpose=_purpose(user_id))


def open_totp_secret(subkeys: Subkeys, sealed: bytes, user_id: UUID) -> str:
    """Return the secret. Raise UnsealError where the row was altered, is another user's, or its key is gone."""
    return subkeys.box(Label.TOTP_SECRET).open(sealed, purpose=_purpose(user_id)).decode()


def find_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the time step that a code of six digits is of, None where it is none of these minutes.

    All steps are compared, in constant time; ``now`` is the database's clock.
    """
    import pyotp  # noqa: PLC0415 - the same

    app = pyotp.TOTP(secret)
    current = int(now.timestamp()) // TOTP_PERIOD
    steps = range(current - DRIFT, current + DRIFT + 1)
    found = [step for step in steps if hmac.compare_digest(app.generate_otp(step), code)]
    return max(found, default=None)


def describe_totp(secret: str, *, account: str, issuer: str) -> str:
    """Return the address that a QR code carries (otpauth://), by which an app knows account and server."""
    import pyotp  # noqa: PLC0415 - the same

    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def new_recovery_codes() -> tuple[str, ...]:
    """Return ten codes of 60 random bits."""
    return tuple(
        "".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)
    )


def hash_recovery_code(subkeys: Subkeys, code: str, user_id: UUID) -> bytes:
    """Return the 32 bytes to store of a recovery code."""
    return _hash(subkeys.current(Label.RECOVERY_CODE), code, user_id)


def find_recovery_hashes(subkeys: Subkeys, code: str, user_id: UUID) -> Sequence[bytes]:
    """Return what a recovery code may be stored as: one for each key that is alive."""
    return [_hash(key, code, user_id) for key in subkeys.by_id(Label.RECOVERY_CODE).values()]


def _hash(key: bytes, code: str, user_id: UUID) -> bytes:
    return hmac.digest(key, user_id.bytes + code.encode(), hashlib.sha256)


def _purpose(user_id: UUID) -> str:
    return f"totp|{user_id}"
