"""Column types beside SQLModel's own, and how raw statements on SQLite spell what Core would have bound.

Times need no type of ours: SQLModel declares every ``datetime`` as its ``UTCDateTime``, which refuses a naive one,
keeps microseconds and gives back aware UTC on both databases.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, BigInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import Dialect


class WordSet(TypeDecorator[frozenset[str]]):
    """A set of words in one text, sorted and separated by blanks, as scopes travel (RFC 6749 §3.3)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: frozenset[str] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the text; equal sets are equal texts."""
        return None if value is None else _join(sorted(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> frozenset[str] | None:  # noqa: ARG002
        """Return the set."""
        return None if value is None else frozenset(value.split())


class WordList(TypeDecorator[tuple[str, ...]]):
    """Words or URIs in one text, in their order, separated by blanks."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the text."""
        return None if value is None else _join(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        """Return the words."""
        return None if value is None else tuple(value.split())


class Seconds(TypeDecorator[timedelta]):
    """A lifetime in whole seconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return the seconds; a fraction is a bug."""
        if value is None:
            return None
        if value.microseconds:
            raise ValueError("a stored lifetime has whole seconds")
        return value.days * 86_400 + value.seconds

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:  # noqa: ARG002
        """Return the lifetime."""
        return None if value is None else timedelta(seconds=value)


class Json(TypeDecorator[Any]):
    """A JSON document whose shape is somebody else's (a JWK, an audit row's detail); NULL stands for None."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:  # noqa: ANN401 - SQLAlchemy's signature
        """Use jsonb on PostgreSQL."""
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))


def spell_time(moment: datetime) -> str:
    """Return an aware time as Core spells it on SQLite: UTC, six digits of a second, in the order of time.

    >>> spell_time(datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC))
    '2026-11-21 12:00:00.250000'
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def parse_time(text: str) -> datetime:
    """Return the time that :func:`spell_time`, Core or SQLite's own clock spelled.

    >>> parse_time("2026-11-21 12:00:00.250").microsecond
    250000
    """
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spell_id(key: UUID) -> str:
    """Return a UUID as Core spells it on SQLite: 32 hexadecimal digits."""
    return key.hex


def _join(words: Iterable[str]) -> str:
    words = list(words)
    if any(word.split() != [word] for word in words):
        raise ValueError("a stored word is not empty and has no blank in it")
    return " ".join(words)
