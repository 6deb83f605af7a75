"""Taking back: a grant by itself, a session with the grants that rest on it, everything after a restore."""

from datetime import timedelta

import pytest

from authserver.oauth.values import ClientType
from authserver.operations import clients, grants, registration_tokens, sessions
from authserver.operations.errors import OperationError, Problem
from authserver.operations.restore import accept_backup
from authserver.sealing.epoch import EpochFile
from authserver.store import state
from tests.operations.rows import add_grant, add_session, audited, live_grants, live_sessions, make_user

UNKNOWN = "0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11"


async def make_client(operator, offer, **document):
    document = {"client_name": "Notes", "redirect_uris": ["https://notes.example/callback"], **document}
    return (await clients.create(operator, offer, document, client_type=ClientType.WEB)).client.client_id


async def test_a_grant_is_taken_back_by_itself(operator):
    user = await make_user(operator)
    session = await add_session(operator, user)
    gone, stays = [await add_grant(operator, user, session) for _ in range(2)]
    assert {grant.id for grant in await grants.find_all(operator, user="ann")} == {gone.id, stays.id}
    await grants.revoke(operator.rehearsing(), str(gone.id))
    assert len(await live_grants(operator, user)) == 2
    await grants.revoke(operator, str(gone.id))
    assert [grant.id for grant in await live_grants(operator, user)] == [stays.id]
    assert [grant.id for grant in await grants.find_all(operator)] == [stays.id]
    assert (await audited(operator))[-1] == "grant_revoked"


async def test_a_grant_that_is_revoked_already_is_not_audited_again(operator):
    user = await make_user(operator)
    grant = await add_grant(operator, user, None)
    await grants.revoke(operator, str(grant.id))
    await grants.revoke(operator, str(grant.id))
    assert (await audited(operator)).count("grant_revoked") == 1


async def test_grants_are_listed_by_client(operator):
    user = await make_user(operator)
    await add_grant(operator, user, None, client_id="one")
    await add_grant(operator, user, None, client_id="two")
    assert [grant.client_id for grant in await grants.find_all(operator, client_id="two")] == ["two"]


@pytest.mark.parametrize("given", [UNKNOWN, "", "nonsense", "x" * 1000, "\x00"])
async def test_what_is_not_there_cannot_be_revoked(operator, given):
    for revoke in (grants.revoke, sessions.revoke, registration_tokens.revoke):
        with pytest.raises(OperationError) as refused:
            await revoke(operator, given)
        assert refused.value.problem is (Problem.NOT_FOUND if given == UNKNOWN else Problem.INVALID)


async def test_the_end_of_a_session_ends_its_grants_but_those_that_outlive_it(operator, offer):
    """DESIGN §5: logout ends its session's grants, except those with offline_access and those of standalone clients."""
    user = await make_user(operator)
    bound = await make_client(operator, offer, logout_scope="session")
    free = await make_client(operator, offer, logout_scope="standalone")
    session, other = await add_session(operator, user), await add_session(operator, user)
    stays = [
        await add_grant(operator, user, session, client_id=bound, scope=("openid", "offline_access")),
        await add_grant(operator, user, session, client_id=free),
        await add_grant(operator, user, other, client_id=bound),
    ]
    await add_grant(operator, user, session, client_id=bound)
    ended = await sessions.revoke(operator, str(session.id))
    assert {grant.id for grant in await live_grants(operator, user)} == {grant.id for grant in stays}
    assert ended.grants == 1
    assert [kept.id for kept in await live_sessions(operator, user)] == [other.id]
    assert [kept.id for kept in await sessions.find_all(operator, user="ann")] == [other.id]
    assert (await audited(operator))[-1] == "session_ended"


async def test_a_registration_token_is_stored_as_a_hash_and_ends(operator):
    made = await registration_tokens.create(operator, uses=2, lifetime=timedelta(hours=1))
    assert made.token not in repr(made.stored)
    [listed] = await registration_tokens.find_all(operator)
    assert (listed.id, listed.uses_left, listed.revoked_at) == (made.stored.id, 2, None)
    await registration_tokens.revoke(operator, str(made.stored.id))
    [listed] = await registration_tokens.find_all(operator)
    assert listed.revoked_at is not None
    with pytest.raises(OperationError):
        await registration_tokens.revoke(operator, str(made.stored.id))
    assert await audited(operator) == ["registration_token_created", "registration_token_revoked"]


@pytest.mark.parametrize(
    "more", [{"uses": 0}, {"uses": 1_000_001}, {"lifetime": timedelta(0)}, {"lifetime": timedelta(days=400)}]
)
async def test_a_registration_token_has_bounds(operator, more):
    with pytest.raises(OperationError):
        await registration_tokens.create(operator, **more)
    assert await registration_tokens.find_all(operator) == ()


@pytest.mark.fault("B21")
@pytest.mark.parametrize("keep", [False, True])
async def test_after_a_restore_what_the_backup_forgot_is_gone(operator, tmp_path, keep):
    epoch_file = EpochFile(tmp_path / "sealing.key.epoch")
    epoch_file.raise_to(41)
    user = await make_user(operator)
    await add_grant(operator, user, await add_session(operator, user))
    await registration_tokens.create(operator)
    rehearsed = await accept_backup(operator.rehearsing(), epoch_file, keep=keep)
    assert len(await live_grants(operator, user)) == 1
    done = await accept_backup(operator, epoch_file, keep=keep)
    assert done == rehearsed
    assert done.epoch == 42
    async with operator.engine.read() as tx:
        assert (await state.load(tx)).epoch == 42
    left = 1 if keep else 0
    assert (done.sessions, done.grants) == (1 - left, 1 - left)
    assert len(await live_sessions(operator, user)) == len(await live_grants(operator, user)) == left
    [token] = await registration_tokens.find_all(operator)
    assert token.revoked_at is not None, "uses since the backup are forgotten"
    assert (await audited(operator))[-1] == "database_restored"


@pytest.mark.fault("B21")
async def test_an_epoch_file_that_cannot_be_read_is_no_reason_to_stay_down(operator, tmp_path):
    path = tmp_path / "sealing.key.epoch"
    path.write_text("nonsense")
    assert (await accept_backup(operator, EpochFile(path), keep=True)).epoch >= 1
