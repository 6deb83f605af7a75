"""Places in status lists: given once, gone with their rows; and which of them say "revoked"."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlmodel import col

from authserver.oauth.status_list import LIST_SIZE
from authserver.phases import UnavailableError
from authserver.store import clients, grants, state, status_lists
from authserver.store.purge import REFUSALS_KEPT, purge_expired
from authserver.store.status_lists import BLOCK, LOW, StatusIndexes
from authserver.store.tables import Clients, Grants, StatusLists
from tests.store.conftest import add_people
from tests.store.samples import CLIENT
from tests.store.samples import GRANT as GRANT_IN_A_LIST

GRANT = replace(GRANT_IN_A_LIST, status_index=None)
HOUR = timedelta(hours=1)
MARGIN = timedelta(seconds=60)


async def change_row(engine, **values):
    async with engine.begin() as tx:
        await tx.execute(update(StatusLists).values(values))


async def revoked_since(engine, ago):
    async with engine.read() as tx:
        return set(await status_lists.load_revoked(tx, await tx.now() - ago))


async def test_reserved_places_are_nobody_elses(engine):
    taken = []
    for stock in (StatusIndexes(engine), StatusIndexes(engine)):
        await stock.stock()
        taken += [stock.take() for _ in range(BLOCK)]
        assert stock.take() is None
    assert len(set(taken)) == 2 * BLOCK
    assert {index // LIST_SIZE for index in taken} == {1}


async def test_a_stock_is_filled_before_it_is_empty_and_once_for_all_who_wait(engine):
    stock = StatusIndexes(engine)
    await asyncio.gather(*(stock.stock() for _ in range(20)))
    for _ in range(BLOCK - LOW):
        assert stock.take() is not None
    await stock.stock()
    assert stock._left() == LOW
    stock.take()
    await stock.stock()
    assert stock._left() == LOW - 1 + BLOCK


async def test_two_processes_that_reserve_at_once_get_different_places(postgresql):
    blocks = await asyncio.gather(*(reserve(postgresql, 10) for _ in range(8)))
    assert sorted(block.first for block in blocks) == list(range(0, 80, 10))


async def reserve(engine, count):
    async with engine.begin() as tx:
        return await status_lists.reserve(tx, count)


async def test_a_full_list_is_followed_by_a_new_one_with_an_order_of_its_own(engine):
    first = await reserve(engine, 1)
    await change_row(engine, used=LIST_SIZE - 5)
    last = await reserve(engine, 5)
    assert (last.number, last.first, last.seed) == (1, LIST_SIZE - 5, first.seed)
    async with engine.begin() as tx:
        await grants.add(tx, replace(GRANT, status_index=LIST_SIZE + 3))
    after = await reserve(engine, 5)
    assert (after.number, after.first) == (2, 0)
    assert after.seed != first.seed
    async with engine.read() as tx:
        lists = await status_lists.load(tx)
    assert (lists.lists, lists.open_list) == (3, 2)


async def test_several_processes_that_find_a_list_full_open_one_list(postgresql):
    await change_row(postgresql, used=LIST_SIZE)
    async with postgresql.begin() as tx:
        await grants.add(tx, replace(GRANT, status_index=LIST_SIZE + 3))
    blocks = await asyncio.gather(*(reserve(postgresql, 10) for _ in range(8)))
    assert {block.number for block in blocks} == {2}
    assert sorted(block.first for block in blocks) == list(range(0, 80, 10))


async def test_purging_the_last_grant_of_a_list_frees_all_its_places(engine):
    """SECURITY: a place is recycled when no token that names it can be alive."""
    async with engine.begin() as tx:
        over = await tx.now() - REFUSALS_KEPT - HOUR
        await grants.add(tx, replace(GRANT, status_index=LIST_SIZE + 3, expires_at=over))
    await change_row(engine, used=LIST_SIZE)
    assert (await reserve(engine, 1)).number == 2
    await change_row(engine, used=LIST_SIZE)
    async with engine.begin() as tx:
        await grants.add(tx, replace(GRANT, id=UUID(int=1), status_index=2 * LIST_SIZE))
    assert (await purge_expired(engine))["grants"] == 1
    again = await reserve(engine, 1)
    assert (again.number, again.first) == (1, 0), "the first list is begun anew; the second still has a grant"
    async with engine.begin() as tx:
        await grants.add(tx, replace(GRANT, status_index=LIST_SIZE + 3))


async def lists_of(engine):
    async with engine.read() as tx:
        return await status_lists.load(tx)


async def test_places_of_a_closed_list_are_given_up(engine):
    stock = StatusIndexes(engine)
    await stock.stock()
    stock.keep_to(await lists_of(engine))
    assert stock.take() is not None
    stock.keep_to(replace(await lists_of(engine), open_list=2))
    assert stock.take() is None
    await stock.stock()
    stock.keep_to(replace(await lists_of(engine), seed=b"begun anew"))
    assert stock.take() is None


async def test_places_that_a_failover_forgot_are_given_up(engine):
    stock = StatusIndexes(engine)
    await stock.stock()
    await change_row(engine, used=0)
    stock.keep_to(await lists_of(engine))
    assert stock.take() is None, "another process will get them"
    await stock.stock()
    stock.give_up()
    assert stock.take() is None


async def test_what_was_revoked_disabled_or_deleted_is_found_while_it_is_new(engine):
    async with engine.begin() as tx:
        now = await tx.now()
        ago = [timedelta(seconds=5), timedelta(seconds=500)]
        for number, revoked_at in enumerate([None, *(now - one for one in ago)]):
            grant = replace(GRANT, id=UUID(int=number), status_index=LIST_SIZE + number, revoked_at=revoked_at)
            await grants.add(tx, grant)
        await grants.add(tx, replace(GRANT, id=UUID(int=9), revoked_at=now))  # without an index, from before
        for number, changed in enumerate(
            [{}, {"disabled_at": now - ago[0]}, {"deleted_at": now - ago[0]}, {"disabled_at": now - ago[1]}]
        ):
            client = replace(CLIENT, client_id=str(number), status_index=number, secrets=(), **changed)
            await clients.add(tx, client)
    assert await revoked_since(engine, timedelta(seconds=10)) == {LIST_SIZE + 1, 1, 2}
    assert await revoked_since(engine, HOUR) == {LIST_SIZE + 1, LIST_SIZE + 2, 1, 2, 3}


async def test_a_client_that_was_disabled_and_then_deleted_ended_when_it_did_last(engine):
    async with engine.begin() as tx:
        now = await tx.now()
        await clients.add(
            tx, replace(CLIENT, status_index=4, disabled_at=now - HOUR, deleted_at=now - timedelta(seconds=5))
        )
        ended_at = (await status_lists.load_revoked(tx, now - 2 * HOUR))[4]
        assert abs(ended_at - (now.timestamp() - 5)) <= 1


EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}
# Two thousand more of the one row there is, which lives: what to read is plain then, and not a matter of estimates.
MULTIPLY = """
    INSERT INTO {table} SELECT (jsonb_populate_record(
        one, jsonb_build_object('{key}', gen_random_uuid(), 'status_index', number)
    )).* FROM {table} AS one, generate_series(1000, 3000) AS number
"""


@pytest.mark.parametrize(
    ("table", "key", "ended_at"),
    [("grants", "id", "revoked_at"), ("clients", "client_id", "disabled_at"), ("clients", "client_id", "deleted_at")],
)
async def test_the_question_of_each_second_reads_an_index_of_what_has_ended(engine, table, key, ended_at):
    await add_people(engine)
    async with engine.begin() as tx:
        await grants.add(tx, GRANT)
        if engine.dialect == "postgresql":
            await tx.raw(MULTIPLY.format(table=table, key=key))
            await tx.raw(f"ANALYZE {table}")
        plan = await tx.raw(
            f"{EXPLAIN[engine.dialect]} SELECT status_index, {ended_at} FROM {table} "
            f"WHERE {ended_at} > '2026-01-01 00:00:00' AND status_index IS NOT NULL"
        )
        assert f"ix_{table}_{ended_at}" in "\n".join(str(tuple(row)) for row in plan)


async def test_every_client_has_a_place_in_list_0(engine):
    async with engine.begin() as tx:
        for number in range(20):
            await clients.add(tx, replace(CLIENT, client_id=str(number), secrets=()))
        places = {client.status_index for client in await clients.list_all(tx)}
    assert len(places) == 20
    assert all(0 <= place < LIST_SIZE for place in places)


async def test_a_place_that_is_taken_is_not_chosen(engine, monkeypatch):
    drawn = iter([5] * status_lists._TRIES + [5, *range(6, 5 + status_lists._TRIES)])
    monkeypatch.setattr(status_lists.secrets, "randbelow", lambda _: next(drawn))
    async with engine.begin() as tx:
        await clients.add(tx, replace(CLIENT, status_index=5))
        assert await status_lists.choose_for_client(tx) is None
        assert await status_lists.choose_for_client(tx) in range(6, 5 + status_lists._TRIES)


async def test_rows_of_a_program_before_this_get_their_places_later(engine):
    async with engine.begin() as tx:
        await clients.add(tx, CLIENT)
        await tx.execute(update(Clients).values(status_index=None))
        for number in range(5):
            await grants.add(tx, replace(GRANT, id=UUID(int=number)))
        before = (await state.load(tx)).version
    async with engine.begin() as tx:
        assert await status_lists.give_to_grants(tx, 3) == 3
        assert await status_lists.give_to_grants(tx, 3) == 2
        assert await status_lists.give_to_grants(tx, 3) == 0
        assert await status_lists.give_to_clients(tx, 3) == 1
        assert await status_lists.give_to_clients(tx, 3) == 0
    async with engine.read() as tx:
        rows = (await tx.execute(Grants.__table__.select().with_only_columns(col(Grants.status_index)))).all()
        assert len({index for (index,) in rows if index // LIST_SIZE == 1}) == 5
        assert (await clients.get(tx, CLIENT.client_id)).status_index is not None
        assert (await state.load(tx)).version == before + 1, "so that every process hears of it"
        assert (await clients.load_changed(tx, before))[0][0].client_id == CLIENT.client_id


async def test_a_longer_lifetime_is_remembered_until_its_last_token_has_ended(engine):
    async def remember(seconds):
        async with engine.begin() as tx:
            await status_lists.remember_lifetime(tx, timedelta(seconds=seconds), MARGIN)
            return (await status_lists.load(tx)).longest_lifetime.total_seconds()

    assert await remember(300) == 300
    assert await remember(3600) == 3600
    assert await remember(300) == 3600, "tokens of an hour may be alive"
    async with engine.begin() as tx:
        almost = await tx.now() - timedelta(seconds=3650)
    await change_row(engine, lowered_at=almost)
    assert await remember(300) == 3600
    await change_row(engine, lowered_at=almost - timedelta(seconds=11))
    assert await remember(300) == 300
    assert await remember(3600) == 3600
    assert await remember(300) == 3600
    assert await remember(3600) == 3600
    async with engine.read() as tx:
        (row,) = (await tx.execute(StatusLists.__table__.select())).all()
    assert row.lowered_at is None, "it is in use again"


async def test_without_a_database_a_low_stock_is_unavailable_and_a_full_one_is_not(engine):
    stock = StatusIndexes(engine)
    await stock.stock()

    class Gone:
        def begin(self):
            raise UnavailableError("gone")

    stock._engine = Gone()
    await stock.stock()
    for _ in range(BLOCK):
        stock.take()
    with pytest.raises(UnavailableError):
        await stock.stock()
