"""Ids as operators give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.ids import parse_uuid
from authserver.operations.errors import OperationError

if TYPE_CHECKING:
    from uuid import UUID


def parse_id(text: str, noun: str, *, field: str = "id") -> UUID:
    """Return an id; what is none is refused with the command that lists those of ``noun``."""
    parsed = parse_uuid(text)
    if parsed is None:
        raise OperationError(f"{text!r} is not an id.", field=field, fix=f"See: authserver {noun} list --json")
    return parsed
