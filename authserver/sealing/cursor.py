"""Where a list goes on: a place in it, sealed, so that nobody can write one or learn from it (SECURITY row 121)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final
from uuid import UUID

from authserver.sealing.box import UnsealError
from authserver.sealing.subkeys import Label

if TYPE_CHECKING:
    from authserver.sealing.subkeys import Subkeys

_LONGEST: Final = 200


def seal_cursor(subkeys: Subkeys, place: UUID, *, of: str) -> str:
    """Return a cursor at the row with this id, for one list of one reader; ``of`` names both."""
    return urlsafe_b64encode(subkeys.box(Label.CURSOR).seal(place.bytes, purpose=_purpose(of))).rstrip(b"=").decode()


def open_cursor(subkeys: Subkeys, cursor: str, *, of: str) -> UUID | None:
    """Return the place of a cursor of this list, None for anything else."""
    if len(cursor) > _LONGEST or not cursor.isascii():
        return None
    try:
        sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return UUID(bytes=subkeys.box(Label.CURSOR).open(sealed, purpose=_purpose(of)))
    except (UnsealError, ValueError):
        return None


def _purpose(of: str) -> str:
    return f"cursor|{of}"
