"""Addresses as usernames: who has proven one may sign in by it, whoever claimed it before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.ids import uuid7
from authserver.store import users

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.store.engine import Tx

_DIGITS: Final = 12


def substitute_name(call: Call) -> str:
    """Return the name of an account whose address is somebody's name already; nobody else has it."""
    return f"user-{uuid7(call.now).hex[-_DIGITS:]}"


async def release_address(call: Call, tx: Tx, email: str) -> None:
    """Take an address that is being proven away from an account that has it as a name and has not proven it.

    A login looks for names first, so its owner could never sign in by it otherwise.
    """
    await users.release_username(tx, email, substitute_name(call))
