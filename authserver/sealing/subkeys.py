"""Independent keys out of one sealed master, one label each (HKDF, RFC 5869)."""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from authserver.sealing.box import Box
from authserver.sealing.records import SealedMaster

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MASTER_BYTES: Final = 32
SUBKEY_BYTES: Final = 32
MAX_KEY_ID: Final = 0xFFFF  # two bytes in a refresh token


class Label(StrEnum):
    """What a subkey is for. A value is part of the derivation: changing it changes the key."""

    REFRESH_TOKEN = "refresh-token"  # noqa: S105 - a label
    OTP_PEPPER = "otp-pepper"
    DPOP_NONCE = "dpop-nonce"
    CSRF = "csrf"
    CURSOR = "cursor"
    SETUP_LINK = "setup-link"
    OUTBOX = "outbox"
    TOTP_SECRET = "totp-secret"  # noqa: S105 - a label
    RECOVERY_CODE = "recovery-code"
    STOP_LINK = "stop-link"
    UPSTREAM_SECRET = "upstream-secret"  # noqa: S105 - a label
    PASSKEY_CHALLENGE = "passkey-challenge"


def make_master(box: Box, *, key_id: int, now: datetime) -> SealedMaster:
    """Return a new sealed master; ``key_id`` is 0 to 65535 and not in use yet."""
    if not 0 <= key_id <= MAX_KEY_ID:
        message = f"a master's key_id is 0 to {MAX_KEY_ID}, not {key_id}"
        raise ValueError(message)
    return SealedMaster(
        key_id=key_id,
        sealed=box.seal(secrets.token_bytes(MASTER_BYTES), purpose=purpose_of_master(key_id)),
        created_at=now,
    )


class Subkeys:
    """The subkeys of every live master.

    A leaked subkey tells nothing of the master or of another label's key.
    """

    __slots__ = ("_masters", "current_id")

    def __init__(self, masters: Iterable[SealedMaster], box: Box) -> None:
        """Open the masters. Raise ``UnsealError`` where one does not open, ValueError where there is none."""
        self._masters = {row.key_id: box.open(row.sealed, purpose=purpose_of_master(row.key_id)) for row in masters}
        if not self._masters:
            message = "there is no master to derive subkeys from"
            raise ValueError(message)
        self.current_id = max(self._masters)

    def current(self, label: Label) -> bytes:
        """Return the 32-byte subkey that makes new things."""
        return derive(self._masters[self.current_id], label)

    def by_id(self, label: Label) -> dict[int, bytes]:
        """Return every live 32-byte subkey of a label by its master's key id."""
        return {key_id: derive(master, label) for key_id, master in self._masters.items()}

    def box(self, label: Label) -> Box:
        """Return what seals under a label's current subkey, and opens under each that is alive."""
        keys = {str(key_id): key for key_id, key in self.by_id(label).items()}
        return Box(keys, current=str(self.current_id))


def derive(master: bytes, label: Label) -> bytes:
    """Return the label's subkey. The master is uniformly random, so HKDF's extract step is left out (RFC 5869 §3.3)."""
    return HKDFExpand(SHA256(), SUBKEY_BYTES, info=b"authserver/" + label.value.encode()).derive(master)


def purpose_of_master(key_id: int) -> str:
    """Return what a master is sealed for."""
    return f"master|{key_id}"
