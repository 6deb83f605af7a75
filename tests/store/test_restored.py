"""After a restore nothing of the backup can be used that may be used once only: it may have been, since."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from authserver.store import (
    codes,
    invitations,
    mailed_codes,
    registration_tokens,
    replays,
    restored,
    second_factors,
    transactions,
    upstream_providers,
    upstream_sign_ins,
)
from authserver.store.registration_tokens import RegistrationToken
from authserver.store.tables import (
    AuthorizationCodes,
    Invitations,
    MailedCodes,
    PendingSignIns,
    Replays,
    Transactions,
    UpstreamSignIns,
)
from tests.store.conftest import add_people
from tests.store.samples import (
    CODE,
    FUTURE,
    INVITATION,
    MAILED_CODE,
    NOW,
    PENDING,
    TRANSACTION,
    UPSTREAM_PROVIDER,
    UPSTREAM_SIGN_IN,
)

RESTORED_AT = datetime(2026, 11, 22, tzinfo=UTC)
CLEARED = {
    table.__tablename__
    for table in (AuthorizationCodes, Invitations, MailedCodes, PendingSignIns, Replays, Transactions, UpstreamSignIns)
}
KEPT = {
    "client_secrets",  # used again and again
    "leases",  # of a process that is gone
    "grants",  # revoked, or kept at the operator's word
    "outbox",  # sent at least once
    "registration_tokens",  # revoked
    "sessions",  # ended, or kept at the operator's word
    "sign_ups",  # of no use without its code
}


@pytest.mark.fault("B21")
async def test_nothing_that_is_used_once_survives(engine):
    await add_people(engine)
    async with engine.begin() as tx:
        await codes.add(tx, CODE)
        await invitations.put(tx, INVITATION)
        await mailed_codes.add(tx, MAILED_CODE)
        await second_factors.add_pending(tx, PENDING)
        await replays.claim(tx, b"assertion", FUTURE)
        await transactions.add(tx, TRANSACTION)
        await upstream_providers.add(tx, UPSTREAM_PROVIDER)
        await upstream_sign_ins.add(tx, UPSTREAM_SIGN_IN)
        token = RegistrationToken(id=UUID(int=8), token_hash=b"t", uses_left=1, created_at=NOW, expires_at=FUTURE)
        await registration_tokens.add(tx, token)
    async with engine.begin() as tx:
        assert await restored.forget_single_use(tx, RESTORED_AT) == len(CLEARED) + 1
        for name in CLEARED:
            assert (await tx.execute(select(SQLModel.metadata.tables[name]))).all() == [], name
        assert [token.revoked_at for token in await registration_tokens.list_all(tx)] == [RESTORED_AT]


def test_of_each_table_whose_rows_expire_it_is_decided_whether_a_backup_may_bring_them_back():
    expiring = {name for name, table in SQLModel.metadata.tables.items() if "expires_at" in table.columns}
    assert expiring == CLEARED | KEPT
