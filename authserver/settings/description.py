"""What the manual and the console say of each setting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from authserver.settings.model import HIDDEN, PREFIX, Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One setting, for the manual and the console."""

    name: str  # of the environment variable; in authserver.toml the same in small letters without AUTHSERVER_
    default: str | None  # None: there is none, it must be set
    meaning: str
    allowed: str
    unit: str
    is_secret: bool


def describe() -> tuple[Description, ...]:
    """Return every setting in the order the manual lists them."""
    return tuple(
        Description(
            name=PREFIX + name.upper(),
            default=None if field.is_required() else _spell(field.default),
            meaning=field.description or "",
            allowed=extra_of(field, "allowed"),
            unit=extra_of(field, "unit"),
            is_secret=name in HIDDEN,
        )
        for name, field in Settings.model_fields.items()
    )


def _spell(value: object) -> str:
    if isinstance(value, timedelta):
        return str(int(value.total_seconds()))
    return "" if value is None or value == () else str(value)


def extra_of(field: FieldInfo, key: str) -> str:
    """Return what a setting declares beside its type: ``allowed`` or ``unit``."""
    extra = field.json_schema_extra
    return str(extra[key]) if isinstance(extra, dict) else ""
