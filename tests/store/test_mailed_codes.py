"""Codes sent by mail, as rows: tries are counted by one statement, and everything happens once (SECURITY row 105)."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from authserver.oauth.mailed_code_rules import PROOF_LIFETIME, TRIES, Purpose
from authserver.store import mailed_codes, sign_ups, users
from tests.store.samples import MAILED_CODE, PAST, SIGN_UP, USER

BROWSER = MAILED_CODE.browser_hash
PURPOSE = MAILED_CODE.purpose


async def add(engine, **changes):
    code = replace(MAILED_CODE, **changes)
    async with engine.begin() as tx:
        await mailed_codes.add(tx, code)
    return code


async def try_once(engine, code_id=MAILED_CODE.id, purpose=PURPOSE, browser_hash=BROWSER):
    async with engine.begin() as tx:
        return await mailed_codes.claim_try(tx, code_id, purpose, browser_hash)


async def find(engine):
    async with engine.read() as tx:
        return await mailed_codes.find(tx, MAILED_CODE.id, PURPOSE)


async def test_a_code_is_read_as_it_was_stored(engine):
    await add(engine)
    assert await find(engine) == MAILED_CODE


@pytest.mark.attack(105)
async def test_of_many_parallel_tries_five_are_answered(engine):
    await add(engine)
    tried = await asyncio.gather(*(try_once(engine) for _ in range(40)))
    answered = [code for code in tried if code is not None]
    assert sorted(code.attempts for code in answered) == [1, 2, 3, 4, 5]
    assert (await find(engine)).attempts == TRIES


@pytest.mark.attack(109)
@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"purpose": Purpose.LOGIN}, id="another purpose"),
        pytest.param({"browser_hash": b"o" * 32}, id="another browser"),
        pytest.param({"browser_hash": None}, id="an app"),
        pytest.param({"code_id": UUID(int=5)}, id="another code"),
    ],
)
async def test_a_try_at_anything_else_leaves_the_code_alone(engine, other):
    await add(engine)
    assert await try_once(engine, **other) is None
    assert (await find(engine)).attempts == 0


async def test_an_app_tries_a_code_that_an_app_asked_for(engine):
    await add(engine, browser_hash=None)
    assert (await try_once(engine, browser_hash=None)).attempts == 1


async def test_a_code_is_tried_no_more_once_it_is_expired_used_or_proven(engine):
    await add(engine, expires_at=PAST)
    await add(engine, id=UUID(int=1), link_hash=b"1", used_at=PAST)
    await add(engine, id=UUID(int=2), link_hash=b"2", proven_at=PAST)
    for code_id in (MAILED_CODE.id, UUID(int=1), UUID(int=2)):
        assert await try_once(engine, code_id) is None


@pytest.mark.attack(112)
async def test_a_link_proves_once_and_to_the_browser_that_opened_it(engine):
    await add(engine)
    other = b"o" * 32
    async with engine.begin() as tx:
        now = await tx.now()
        proven = await mailed_codes.claim_link(tx, MAILED_CODE.link_hash, PURPOSE, other)
    assert proven.browser_hash == other
    assert now + PROOF_LIFETIME - timedelta(seconds=1) <= proven.expires_at <= now + PROOF_LIFETIME * 2
    async with engine.begin() as tx:
        assert await mailed_codes.claim_link(tx, MAILED_CODE.link_hash, PURPOSE, BROWSER) is None
        assert await mailed_codes.claim_link(tx, b"no such link", PURPOSE, BROWSER) is None
    assert (await find(engine)).browser_hash == other


async def test_a_link_for_another_purpose_is_none(engine):
    await add(engine)
    async with engine.begin() as tx:
        assert await mailed_codes.claim_link(tx, MAILED_CODE.link_hash, Purpose.VERIFY_EMAIL, BROWSER) is None
        assert await mailed_codes.find_by_link(tx, MAILED_CODE.link_hash, Purpose.VERIFY_EMAIL) is None
        assert await mailed_codes.find_by_link(tx, MAILED_CODE.link_hash, PURPOSE) == MAILED_CODE


async def test_a_code_is_used_once(engine):
    await add(engine)

    async def use():
        async with engine.begin() as tx:
            return await mailed_codes.claim(tx, MAILED_CODE.id)

    assert sorted(await asyncio.gather(*(use() for _ in range(5)))) == [False] * 4 + [True]


async def test_what_is_proven_is_good_for_a_quarter_of_an_hour(engine):
    code = await add(engine)
    async with engine.begin() as tx:
        proven = await mailed_codes.prove(tx, code, b"p" * 32)
        assert proven.expires_at == await tx.now() + PROOF_LIFETIME
    assert await find(engine) == proven


async def test_the_codes_of_a_user_are_all_used_up_together(engine):
    async with engine.begin() as tx:
        await users.add(tx, USER)
    await add(engine, user_id=USER.id)
    await add(engine, id=UUID(int=1), link_hash=None, user_id=USER.id, purpose=Purpose.LOGIN)
    await add(engine, id=UUID(int=2), link_hash=None)
    async with engine.begin() as tx:
        assert await mailed_codes.claim_all_of_user(tx, USER.id) == 2
        assert (await mailed_codes.find(tx, UUID(int=2), PURPOSE)).used_at is None


async def test_a_sign_up_is_taken_out_once_and_leaves_its_code(engine):
    async with engine.begin() as tx:
        await sign_ups.add(tx, SIGN_UP)
    await add(engine, sign_up_id=SIGN_UP.id)

    async def take():
        async with engine.begin() as tx:
            return await sign_ups.claim(tx, SIGN_UP.id)

    taken = await asyncio.gather(*(take() for _ in range(3)))
    assert [one for one in taken if one is not None] == [SIGN_UP]
    assert (await find(engine)).sign_up_id is None
