"""What operators see of mail and do about it; and that what they do to an account is told to its owner."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from authserver.operations import mail, users
from authserver.operations.errors import OperationError, Problem
from authserver.operations.operator import Operator
from authserver.store import audit
from authserver.store.outbox import Mail
from authserver.store.tables import OutboxMails

NOTICE = Mail(kind="password_changed", to="ann@example.org", locale=None, parameters={})
CODE = Mail(
    kind="login_code", to="ann@example.org", locale=None, parameters={"code": "1", "browser": "", "address": ""}
)


@pytest.fixture
def operator(sealing_operator) -> Operator:
    """Give one with keys to all tests here: mail is sealed."""
    return sealing_operator


async def add(operator, notice=NOTICE, **changed) -> UUID:
    """Put a mail into the outbox, and change its row."""
    async with operator.engine.begin() as tx:
        if notice.kind == "login_code":
            notice = replace(notice, expires_at=await tx.now() + timedelta(minutes=10))
        mail_id = await operator.mail(tx, notice)
        if changed:
            await tx.execute(update(OutboxMails).where(OutboxMails.id == mail_id).values(changed))
    return mail_id


async def mails(operator):
    async with operator.engine.read() as tx:
        return (await tx.execute(select(OutboxMails).order_by(OutboxMails.id))).all()


async def audited(operator, event):
    async with operator.engine.read() as tx:
        return await audit.list_all(tx, event=event)


async def test_mails_are_listed_by_state_the_youngest_first(operator):
    waiting = await add(operator)
    again = await add(operator, last_answer="451 later")
    failed = await add(operator, state="failed", last_answer="550 no")
    assert [each.id for each in await mail.find_all(operator)] == [failed, again, waiting]
    for state, expected in (("waiting", waiting), ("trying again", again), ("failed", failed)):
        assert [each.id for each in await mail.find_all(operator, state=state)] == [expected]
    assert await mail.find_all(operator, state="sent") == ()
    assert await mail.find_all(operator, user_id=UUID(int=1)) == ()
    assert len(await mail.find_all(operator, limit=2)) == 2


async def test_a_failed_mail_is_tried_again_with_all_its_tries(operator):
    mail_id = await add(operator, state="failed", attempts=11, last_answer="550 no")
    retried = await mail.retry(operator, str(mail_id))
    assert (retried.state, retried.attempts, retried.told_state) == ("waiting", 0, "trying again")
    (event,) = await audited(operator, "mail_retried")
    assert event.actor == operator.actor
    assert event.detail == {"mail": str(mail_id), "kind": "password_changed"}


async def test_a_mail_that_waits_for_its_next_try_is_tried_now(operator):
    mail_id = await add(operator, attempts=4, last_answer="451 later")
    async with operator.engine.begin() as tx:
        now = await tx.now()
        await tx.execute(update(OutboxMails).values(next_attempt_at=now + timedelta(hours=2)))
    retried = await mail.retry(operator, str(mail_id))
    assert retried.attempts == 4
    assert retried.next_attempt_at - now < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"state": "sent", "sealed": None}, "has been sent"),
        ({"state": "expired", "sealed": None}, "has expired"),
        ({"state": "failed", "sealed": None}, "has expired"),
        ({"claim": UUID(int=3)}, "is being sent at this moment"),
    ],
)
async def test_what_cannot_be_tried_again_says_why(operator, changed, words):
    mail_id = await add(operator, CODE, **changed)
    with pytest.raises(OperationError, match=words) as caught:
        await mail.retry(operator, str(mail_id))
    assert caught.value.problem is Problem.CONFLICT


async def test_a_code_that_expired_after_its_mail_failed_is_not_sent_late(operator):
    async with operator.engine.read() as tx:
        past = await tx.now() - timedelta(seconds=1)
    mail_id = await add(operator, CODE, state="failed", expires_at=past)
    with pytest.raises(OperationError, match="has expired"):
        await mail.retry(operator, str(mail_id))
    assert await mail.retry_all_failed(operator) == 0


@pytest.mark.parametrize(("mail_id", "problem"), [("nonsense", Problem.INVALID), (str(UUID(int=5)), Problem.NOT_FOUND)])
async def test_a_mail_that_is_not_there(operator, mail_id, problem):
    with pytest.raises(OperationError) as caught:
        await mail.retry(operator, mail_id)
    assert caught.value.problem is problem


async def test_all_that_failed_is_tried_again(operator):
    for state in ("failed", "failed", "sent", "waiting"):
        await add(operator, state=state)
    assert await mail.retry_all_failed(operator) == 2
    assert [event.detail for event in await audited(operator, "mail_retried")] == [{"count": 2}]
    assert await mail.retry_all_failed(operator) == 0
    assert len(await audited(operator, "mail_retried")) == 1


async def test_a_test_mail_waits_for_a_server_to_send_it(operator):
    made = await mail.send_test(operator, "Ann@Example.org")
    assert (made.kind, made.recipient, made.told_state) == ("test", "Ann@example.org", "waiting")
    assert len(await audited(operator, "mail_tested")) == 1
    with pytest.raises(OperationError, match="e-mail address"):
        await mail.send_test(operator, "ann")


async def test_the_owner_is_told_of_a_password_that_an_operator_set(operator):
    user = await users.create(operator, username="ann", email="ann@example.org", email_verified=True)
    await users.set_password(operator.rehearsing(), "ann", "correct horse battery")
    assert await mails(operator) == []
    await users.set_password(operator, "ann", "correct horse battery")
    (row,) = await mails(operator)
    assert (row.kind, row.recipient, row.user_id) == ("password_changed", "ann@example.org", user.id)


async def test_an_address_that_nobody_has_proven_gets_no_notice(operator):
    await users.create(operator, username="ann", email="ann@example.org")
    await users.set_password(operator, "ann", "correct horse battery")
    assert await mails(operator) == []


async def test_without_the_sealing_key_nothing_changes_of_which_nobody_would_hear(operator, tmp_path):
    await users.create(operator, username="ann", email="ann@example.org", email_verified=True)
    elsewhere = operator.settings.model_copy(update={"sealing_key_file": tmp_path / "elsewhere.key"})
    with pytest.raises(OperationError, match=r"elsewhere\.key"):
        await users.set_password(replace(operator, settings=elsewhere), "ann", "correct horse battery")
    assert (await users.get(operator, "ann")).password_hash is None
    assert await mails(operator) == []
