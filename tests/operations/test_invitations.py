"""Invitations: one for each mailbox, none for whoever has an account, and a mail for each."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from authserver.oauth.values import User
from authserver.operations import invitations, users
from authserver.operations.errors import OperationError, Problem
from authserver.operations.operator import Operator
from authserver.operations.restore import accept_backup
from authserver.sealing.epoch import EpochFile
from authserver.settings import SignUp
from authserver.store import invitations as stored_invitations
from authserver.store import users as stored_users
from authserver.store.tables import Invitations, OutboxMails
from tests.operations.rows import audited

EMAIL = "new@example.org"


@pytest.fixture
def operator(sealing_operator) -> Operator:
    """Give one with keys, since mail is sealed, where accounts are made by invitation."""
    settings = sealing_operator.settings.model_copy(update={"sign_up": SignUp.INVITE})
    return replace(sealing_operator, settings=settings)


async def mails(operator):
    async with operator.engine.read() as tx:
        return (await tx.execute(select(OutboxMails).order_by(OutboxMails.id))).all()


async def accept(operator, email=EMAIL):
    async with operator.engine.begin() as tx:
        return await stored_invitations.accept(tx, email)


async def refused(operator, *arguments, **options) -> OperationError:
    with pytest.raises(OperationError) as caught:
        await invitations.create(operator, *arguments, **options)
    assert await mails(operator) == []
    return caught.value


async def test_an_invitation_is_open_for_a_week_and_its_mail_no_longer(operator):
    invited = await invitations.create(operator, " New@Example.org ", locale="de")
    invitation = invited.invitation
    assert (invitation.email, invited.is_renewed) == ("New@example.org", False)
    assert invitation.expires_at - invitation.created_at == timedelta(days=7)
    assert await invitations.find_all(operator) == (invitation,)
    [mail] = await mails(operator)
    assert (mail.kind, mail.recipient, mail.locale) == ("invitation", "New@example.org", "de")
    assert mail.expires_at == invitation.expires_at
    assert await audited(operator) == ["invitation_created"]


async def test_inviting_again_renews_whatever_has_become_of_the_first(operator):
    first = (await invitations.create(operator, EMAIL, lifetime=timedelta(hours=1))).invitation
    await accept(operator)
    again = await invitations.create(operator, "NEW@example.org")
    assert again.is_renewed
    assert again.invitation == replace(
        first, email="NEW@example.org", expires_at=again.invitation.expires_at, accepted_at=None
    )
    assert again.invitation.expires_at > first.expires_at
    assert await invitations.find_all(operator) == (again.invitation,)
    assert len(await mails(operator)) == 2
    assert await accept(operator) == first.id
    assert await accept(operator) is None, "once"


async def test_addresses_that_only_look_alike_have_invitations_of_their_own(operator):
    for email in ("ann@fass.example", "ann@faß.example"):
        await invitations.create(operator, email)
    assert len(await invitations.find_all(operator)) == 2


@pytest.mark.parametrize(
    ("email", "options", "field"),
    [
        ("no address", {}, "email"),
        ("ann@example.org\r\nBcc: all@example.org", {}, "email"),
        ("", {}, "email"),
        (EMAIL, {"lifetime": timedelta(0)}, "expires_in"),
        (EMAIL, {"lifetime": timedelta(days=367)}, "expires_in"),
        (EMAIL, {"locale": "tlh"}, "locale"),
    ],
)
async def test_what_cannot_be_an_invitation_is_refused_by_name(operator, email, options, field):
    assert (await refused(operator, email, **options)).field == field
    assert await invitations.find_all(operator) == ()


async def test_an_unknown_app_is_refused(operator):
    assert (await refused(operator, EMAIL, client_id="nobody")).problem is Problem.NOT_FOUND


async def test_who_has_verified_the_address_is_not_invited_and_who_only_claims_it_does_not_matter(operator):
    await users.create(operator, username="squatter", email=EMAIL)
    await invitations.create(operator, EMAIL)
    await users.create(operator, username="ann", email="ann@example.org", email_verified=True)
    with pytest.raises(OperationError) as caught:
        await invitations.create(operator, "ANN@example.org")
    assert (caught.value.problem, caught.value.field) == (Problem.CONFLICT, "email")
    assert "ann" in caught.value.message
    assert [one.email for one in await invitations.find_all(operator)] == [EMAIL]
    assert len(await mails(operator)) == 1


async def test_an_account_that_is_being_made_by_an_invitation_is_waited_for(operator):
    await invitations.create(operator, EMAIL)
    async with operator.engine.begin() as tx:
        now = await tx.now()
        user = User(
            id=UUID(int=1),
            username=EMAIL,
            email=EMAIL,
            email_verified=True,
            password_hash=None,
            created_at=now,
            updated_at=now,
        )
        await stored_users.add(tx, user)
        assert await stored_invitations.accept(tx, EMAIL)
        second = asyncio.create_task(invitations.create(operator, EMAIL))
        await asyncio.sleep(0.1)
        assert not second.done()
    with pytest.raises(OperationError, match="has verified this address"):
        await second
    [stored] = await invitations.find_all(operator)
    assert stored.accepted_at is not None


@pytest.mark.parametrize("sign_up", SignUp)
async def test_nobody_is_invited_to_where_nobody_can_sign_up(operator, sign_up):
    operator = replace(operator, settings=operator.settings.model_copy(update={"sign_up": sign_up}))
    if sign_up is SignUp.OFF:
        error = await refused(operator, EMAIL)
        assert (error.problem, "AUTHSERVER_SIGN_UP" in error.message) == (Problem.CONFLICT, True)
    else:
        await invitations.create(operator, EMAIL)


async def test_an_open_invitation_is_revoked_and_no_other(operator):
    for email in (EMAIL, "accepted@example.org", "expired@example.org"):
        await invitations.create(operator, email)
    await accept(operator, "accepted@example.org")
    async with operator.engine.begin() as tx:
        expired = update(Invitations).where(Invitations.email == "expired@example.org")
        await tx.execute(expired.values(expires_at=await tx.now()))
    await invitations.revoke(operator.rehearsing(), EMAIL)
    await invitations.revoke(operator, EMAIL.upper())
    for email in (EMAIL, "accepted@example.org", "expired@example.org", "never@example.org"):
        with pytest.raises(OperationError) as caught:
            await invitations.revoke(operator, email)
        assert caught.value.problem is Problem.NOT_FOUND
    async with operator.engine.read() as tx:
        now = await tx.now()
    states = {one.email: one.state(now) for one in await invitations.find_all(operator)}
    assert states == {"accepted@example.org": "accepted", "expired@example.org": "expired"}
    assert (await audited(operator)).count("invitation_revoked") == 1


@pytest.mark.fault("B21")
async def test_after_a_restore_no_invitation_is_open_as_its_revocation_may_be_forgotten(operator, tmp_path):
    for email in (EMAIL, "accepted@example.org"):
        await invitations.create(operator, email)
    await accept(operator, "accepted@example.org")
    await accept_backup(operator, EpochFile(tmp_path / "sealing.key.epoch"), keep=True)
    assert [one.email for one in await invitations.find_all(operator)] == ["accepted@example.org"]
