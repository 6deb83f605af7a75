"""Purge: tables stay as large as what is alive; batches are small, and wait for nobody."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import insert

from authserver.store import (
    attempts,
    clients,
    codes,
    grants,
    invitations,
    mailed_codes,
    registration_tokens,
    replays,
    second_factors,
    sessions,
    sign_ups,
    transactions,
    upstream_providers,
    upstream_sign_ins,
    users,
)
from authserver.store.attempts import AttemptKey, Attempts
from authserver.store.purge import DELETED_KEPT, REFUSALS_KEPT, purge_expired
from authserver.store.registration_tokens import RegistrationToken
from authserver.store.tables import LogoutNotices, OutboxMails, TotpSecrets
from tests.store.samples import (
    CLIENT,
    CODE,
    FUTURE,
    GRANT,
    INVITATION,
    MAILED_CODE,
    NOW,
    PAST,
    PENDING,
    SESSION,
    SIGN_UP,
    TOTP,
    TRANSACTION,
    UPSTREAM_PROVIDER,
    UPSTREAM_SIGN_IN,
    USER,
)

KEPT_A_WHILE = {
    "attempts",
    "authorization_codes",
    "clients",
    "devices",
    "grants",
    "invitations",
    "logout_notices",
    "mailed_codes",
    "outbox",
    "pending_sign_ins",
    "registration_tokens",
    "sessions",
    "totp_secrets",
    "transactions",
    "upstream_sign_ins",
    "users",
}
GONE_AT_ONCE = {"client_secrets", "replays", "sign_ups"}
OVER = UUID(int=7)
SENT_MAIL = {
    "id": UUID(int=9),
    "kind": "test",
    "recipient": "ann@example.org",
    "recipient_key": "ann@example.org",
    "locale": None,
    "user_id": None,
    "sealed": None,
    "state": "sent",
    "attempts": 1,
    "next_attempt_at": PAST,
    "claim": None,
    "created_at": PAST,
    "expires_at": None,
    "settled_at": PAST,
    "last_answer": None,
}
NOTICE = {
    "id": UUID(int=10),
    "client_id": CLIENT.client_id,
    "session_id": SESSION.id,
    "user_id": USER.id,
    "state": "delivered",
    "attempts": 1,
    "next_attempt_at": PAST,
    "claim": None,
    "created_at": PAST,
    "settled_at": PAST,
    "last_answer": "200",
}


async def store_one_of_each(engine, at):
    """Store a row of each table that is over at ``at``, in a database where all others live on."""
    async with engine.begin() as tx:
        await users.add(tx, replace(USER, id=OVER, deleted_at=at))
        await clients.add(tx, replace(CLIENT, client_id="over", deleted_at=at, secrets=()))
        await users.add(tx, USER)
        secret = replace(CLIENT.secrets[0], secret_hash=b"over", expires_at=at)
        await clients.add(tx, replace(CLIENT, secrets=(*CLIENT.secrets, secret)))
        await sessions.add(tx, replace(SESSION, id=OVER, expires_at=at), b"over", user_agent="", address="")
        await sessions.remember_device(tx, b"over", USER.id)
        await tx.raw(
            "UPDATE devices SET created_at = " + ("?" if tx.dialect == "sqlite" else "%s"),
            [at if tx.dialect == "postgresql" else at.strftime("%Y-%m-%d %H:%M:%S.%f")],
        )
        await transactions.add(tx, replace(TRANSACTION, id=OVER, expires_at=at))
        await codes.add(tx, replace(CODE, code_hash=b"over", expires_at=at))
        await grants.add(tx, replace(GRANT, id=OVER, status_index=None, expires_at=at))
        await replays.claim(tx, b"over", at)
        key = AttemptKey(kind="pair", key_hash=b"over")
        await attempts.store(tx, [Attempts(key=key, count=9, first_at=at, last_at=at)])
        token = RegistrationToken(id=OVER, token_hash=b"over", uses_left=1, created_at=at, expires_at=at)
        await registration_tokens.add(tx, token)
        await sign_ups.add(tx, replace(SIGN_UP, id=OVER, expires_at=at))
        await invitations.put(tx, replace(INVITATION, id=OVER, email="over@example.org", expires_at=at))
        await mailed_codes.add(tx, replace(MAILED_CODE, id=OVER, link_hash=b"over", expires_at=at))
        await upstream_providers.add(tx, UPSTREAM_PROVIDER)
        await upstream_sign_ins.add(tx, replace(UPSTREAM_SIGN_IN, id=OVER, state_hash=b"over", expires_at=at))
        await second_factors.add_pending(tx, replace(PENDING, id=OVER, binding_hash=b"over", expires_at=at))
        await tx.execute(insert(TotpSecrets).values(TOTP | {"user_id": OVER, "created_at": at, "confirmed_at": None}))
        await tx.execute(insert(OutboxMails).values(SENT_MAIL | {"id": OVER, "settled_at": at}))
        await tx.execute(insert(LogoutNotices).values(NOTICE | {"id": OVER, "settled_at": at}))


async def store_one_alive_of_each(engine):
    async with engine.begin() as tx:
        await sessions.add(tx, SESSION, b"cookie", user_agent="", address="")
        await sessions.remember_device(tx, b"device", USER.id)
        await transactions.add(tx, TRANSACTION)
        await codes.add(tx, CODE)
        await grants.add(tx, GRANT)
        await replays.claim(tx, b"alive", FUTURE)
        await attempts.lock(tx, [AttemptKey(kind="pair", key_hash=b"alive")])
        token = RegistrationToken(id=UUID(int=8), token_hash=b"t", uses_left=1, created_at=NOW, expires_at=None)
        await registration_tokens.add(tx, token)
        await sign_ups.add(tx, SIGN_UP)
        await invitations.put(tx, INVITATION)
        await mailed_codes.add(tx, MAILED_CODE)
        await second_factors.add_pending(tx, PENDING)
        await upstream_sign_ins.add(tx, UPSTREAM_SIGN_IN)
        await tx.execute(insert(TotpSecrets).values(TOTP))
        await tx.execute(insert(OutboxMails).values(SENT_MAIL | {"state": "waiting", "settled_at": None}))
        await tx.execute(insert(LogoutNotices).values(NOTICE | {"state": "waiting", "settled_at": None}))


async def test_what_is_over_goes_and_what_is_alive_stays(engine):
    await store_one_of_each(engine, PAST)
    await store_one_alive_of_each(engine)
    counts = await purge_expired(engine)
    assert counts == dict.fromkeys(KEPT_A_WHILE | GONE_AT_ONCE, 1)
    assert set((await purge_expired(engine)).values()) == {0}
    async with engine.read() as tx:
        for table in counts:
            assert (await tx.raw(f"SELECT count(*) FROM {table}")).scalar_one() == 1, f"{table} lost what lives"


async def test_what_has_just_expired_is_kept_for_those_who_ask_why(engine):
    async with engine.read() as tx:
        now = await tx.now()
    await store_one_of_each(engine, now)
    counts = await purge_expired(engine)
    assert counts == dict.fromkeys(KEPT_A_WHILE, 0) | dict.fromkeys(GONE_AT_ONCE, 1)


@pytest.mark.parametrize(("age", "gone"), [(REFUSALS_KEPT, True), (REFUSALS_KEPT - timedelta(minutes=1), False)])
async def test_a_revoked_grant_an_ended_session_and_an_accepted_invitation_are_kept_for_a_week(engine, age, gone):
    async with engine.begin() as tx:
        ended_at = await tx.now() - age
        await invitations.put(tx, replace(INVITATION, accepted_at=ended_at))
        await users.add(tx, USER)
        await grants.add(tx, replace(GRANT, revoked_at=ended_at, reason="x"))
        await sessions.add(tx, replace(SESSION, ended_at=ended_at), b"cookie", user_agent="", address="")
    await asyncio.sleep(0.01)
    counts = await purge_expired(engine)
    assert {counts[table] for table in ("grants", "sessions", "invitations")} == {1 if gone else 0}


async def test_a_deleted_user_takes_along_what_hangs_on_the_account(engine):
    async with engine.begin() as tx:
        await users.add(tx, replace(USER, deleted_at=await tx.now() - DELETED_KEPT - timedelta(seconds=1)))
        await sessions.add(tx, SESSION, b"cookie", user_agent="", address="")
        await sessions.remember_device(tx, b"device", USER.id)
    assert (await purge_expired(engine))["users"] == 1
    async with engine.read() as tx:
        assert await sessions.get(tx, SESSION.id) is None
        assert not await sessions.is_known_device(tx, b"device", USER.id)


@pytest.mark.fault("B20")
async def test_a_large_heap_goes_in_batches_of_one_short_transaction_each(engine):
    async with engine.begin() as tx:
        for number in range(25):
            await replays.claim(tx, bytes([number]), PAST)
    commits = []
    original = engine.begin

    def begin():
        commits.append(1)
        return original()

    engine.begin = begin
    counts = await purge_expired(engine, batch=10)
    assert counts["replays"] == 25
    assert len(commits) == len(counts) - 1 + 3  # one for each other table; 10, 10 and 5 here


@pytest.mark.fault("B20")
async def test_a_batch_is_no_larger_where_the_database_thinks_that_there_is_next_to_nothing(postgresql):
    sizes = []
    for numbers in (range(1), range(1, 25)):
        async with postgresql.begin() as tx:
            for number in numbers:
                await replays.claim(tx, bytes([number]), PAST)
            if 0 in numbers:
                await tx.raw("ANALYZE replays")
    await purge_expired(postgresql, batch=10, on_batch=lambda table, rows: sizes.append((table, rows)))
    assert [rows for table, rows in sizes if table == "replays"] == [10, 10, 5]


@pytest.mark.fault("B20")
async def test_a_row_that_somebody_holds_is_left_for_the_next_time(postgresql, postgresql_url):
    async with postgresql.begin() as tx:
        for key in (b"held", b"free"):
            await replays.claim(tx, key, PAST)
    with psycopg.connect(postgresql_url) as stranger:
        stranger.execute("SELECT FROM replays WHERE key_hash = 'held' FOR UPDATE")
        assert (await purge_expired(postgresql))["replays"] == 1, "and no error of one that waited"
    assert (await purge_expired(postgresql))["replays"] == 1
