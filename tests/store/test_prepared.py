"""Statements past SQLAlchemy read and write the rows that Core would have."""

from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import bindparam, insert, select
from sqlmodel import col

from authserver.oauth.values import User
from authserver.store import users
from authserver.store.driver_rows import ValueRows
from authserver.store.prepared import Prepared
from authserver.store.rows import to_value
from authserver.store.tables import Replays, Users
from tests.store.samples import FUTURE, USER

ROWS = ValueRows(User, Users)
BY_NAME = Prepared(lambda _: select(*ROWS.selected).where(col(Users.username_key) == bindparam("key")).limit(2))
ADD_REPLAY = Prepared(lambda _: insert(Replays), columns=("key_hash", "expires_at"))


async def test_a_row_is_the_value_that_core_reads(engine):
    async with engine.begin() as tx:
        await users.add(tx, USER)
        row = await BY_NAME.fetch_one(tx, key=users.name_key(USER.username))
        by_core = to_value(User, (await tx.execute(select(Users))).one())
        assert row is not None
        assert ROWS.read(row, tx.dialect) == by_core == USER
        assert await BY_NAME.fetch_one(tx, key="nobody") is None


async def test_core_finds_the_row_that_was_written(engine):
    elsewhere = FUTURE.astimezone(timezone(timedelta(hours=9)))
    async with engine.begin() as tx:
        await ADD_REPLAY.fetch(tx, key_hash=b"key", expires_at=elsewhere)
        row = (await tx.execute(select(Replays).where(col(Replays.expires_at) == FUTURE))).one()
    assert row.key_hash == b"key"


async def test_a_value_that_is_not_given_is_a_bug(engine):
    async with engine.begin() as tx:
        with pytest.raises(KeyError, match="expires_at"):
            await ADD_REPLAY.fetch(tx, key_hash=b"key")


async def test_a_time_without_a_zone_is_refused(engine):
    async with engine.begin() as tx:
        with pytest.raises(ValueError, match="timezone"):
            await ADD_REPLAY.fetch(tx, key_hash=b"key", expires_at=datetime(2026, 11, 21, 12))  # noqa: DTZ001 - the point


async def test_a_second_row_is_a_bug_where_one_is_asked_for(engine):
    every = Prepared(lambda _: select(col(Replays.key_hash)))
    async with engine.begin() as tx:
        for key in (b"one", b"two"):
            await ADD_REPLAY.fetch(tx, key_hash=key, expires_at=FUTURE)
        assert len(await every.fetch(tx)) == 2
        with pytest.raises(ValueError, match="more rows than one"):
            await every.fetch_one(tx)
