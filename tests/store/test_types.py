"""Column types: the same values come back from both databases, and raw SQLite statements spell what Core spells."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
import sqlalchemy.exc
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlmodel import col

from authserver.store import grants
from authserver.store.tables import Grants, Replays, Resources
from authserver.store.types import parse_time, spell_id, spell_time
from tests.store.samples import GRANT, RESOURCE


async def test_raw_statements_on_sqlite_find_the_row_that_core_wrote(sqlite):
    moment = datetime(2026, 11, 21, 13, 0, 0, 1000, tzinfo=timezone(timedelta(hours=1)))
    async with sqlite.begin() as tx:
        await grants.add(tx, GRANT)
        found = await tx.raw(
            "SELECT id, rotated_at FROM grants WHERE id = ? AND rotated_at = ?",
            [spell_id(GRANT.id), spell_time(GRANT.rotated_at)],
        )
        row = found.one()
        assert (UUID(row.id), parse_time(row.rotated_at)) == (GRANT.id, GRANT.rotated_at)
        await tx.raw("UPDATE grants SET rotated_at = ?", [spell_time(moment)])
        loaded = await grants.get(tx, GRANT.id)
    assert loaded is not None
    assert loaded.rotated_at == moment


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1)))  # noqa: DTZ001 - made aware below
def test_spelt_times_come_back_and_sort_as_times_do(moment):
    moment = moment.replace(tzinfo=UTC)
    later = moment + timedelta(microseconds=1)
    assert parse_time(spell_time(moment)) == moment
    assert spell_time(moment) < spell_time(later)


async def test_a_time_without_a_zone_is_refused_by_both_databases(engine):
    naive = datetime(2026, 11, 21, 12, 0, 0)  # noqa: DTZ001 - that is the point
    with pytest.raises(sqlalchemy.exc.StatementError, match="timezone"):
        async with engine.begin() as tx:
            await tx.execute(insert(Replays).values(key_hash=b"k", expires_at=naive))


async def test_times_keep_their_microseconds_and_come_back_in_utc(engine):
    moment = datetime(2026, 11, 21, 13, 0, 0, 1, tzinfo=timezone(timedelta(hours=1)))
    async with engine.begin() as tx:
        await tx.execute(insert(Replays).values(key_hash=b"k", expires_at=moment))
        stored = (await tx.execute(select(col(Replays.expires_at)))).scalar_one()
    assert stored == moment
    assert stored.utcoffset() == timedelta(0)


@pytest.mark.parametrize("word", ["two words", "", "\ttab", "line\n"])
async def test_a_word_that_would_become_two_or_none_is_a_bug(engine, word):
    with pytest.raises(sqlalchemy.exc.StatementError, match="no blank"):
        async with engine.begin() as tx:
            await tx.execute(insert(Resources).values(identifier="x", name="x", scope={word}, verified_scope=()))


async def test_equal_sets_of_words_are_equal_texts(engine):
    async with engine.begin() as tx:
        for name, words in (("one", ("b", "a", "c")), ("two", ("c", "b", "a"))):
            values = {"identifier": name, "name": name, "scope": frozenset(words), "verified_scope": frozenset()}
            await tx.execute(insert(Resources).values(values))
        assert [row.scope for row in await tx.raw("SELECT scope FROM resources")] == ["a b c", "a b c"]


async def test_a_lifetime_has_whole_seconds(engine):
    values = {"identifier": "x", "name": "x", "scope": frozenset(), "verified_scope": RESOURCE.verified_scope}
    with pytest.raises(sqlalchemy.exc.StatementError, match="whole seconds"):
        async with engine.begin() as tx:
            await tx.execute(insert(Resources).values({**values, "access_token_lifetime": timedelta(milliseconds=1)}))


def test_no_index_names_what_a_rotation_changes():
    indexed = {column.name for index in Grants.__table__.indexes for column in index.columns}
    constrained = {column.name for constraint in Grants.__table__.constraints for column in constraint.columns}
    assert not {"generation", "rotated_at", "late"} & (indexed | constrained)
