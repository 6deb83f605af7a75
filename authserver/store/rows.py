"""A row becomes a value by name: every field of the value is a column of the table."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Row, RowMapping

T = TypeVar("T")

_known: Final[dict[type, tuple[str, ...]]] = {}


def to_value(kind: type[T], row: Row[Any], prefix: str = "") -> T:
    """Return the value of a row; ``prefix`` chooses the columns where a join has labelled them."""
    columns = columns_of(row)
    return kind(**{name: columns[prefix + name] for name in _names(kind)})


def columns_of(row: Row[Any]) -> RowMapping:
    """Return a row's columns by name; as attributes some, such as ``count``, are the row's own methods."""
    return row._mapping  # noqa: SLF001 - its public name (SQLAlchemy, "Row._mapping")


def to_columns(value: object) -> dict[str, object]:
    """Return a value's fields as columns."""
    return {name: getattr(value, name) for name in _names(type(value))}


def _names(kind: type) -> tuple[str, ...]:
    names = _known.get(kind)
    if names is None:
        names = _known[kind] = tuple(field.name for field in fields(kind))
    return names
