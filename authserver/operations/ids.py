"""An id as an operator gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.ids import parse_uuid
from authserver.operations.errors import OperationError

if TYPE_CHECKING:
    from uuid import UUID


def parse_id(text: str, *, field: str = "id", fix: str | None = None) -> UUID:
    """Return the id, or refuse a text that is none; ``fix`` says where ids are to be found."""
    parsed = parse_uuid(text)
    if parsed is None:
        raise OperationError(f"{text!r} is not an id.", field=field, fix=fix)
    return parsed
