"""Mail leaves whatever the mail server does: nothing is lost, and nothing is sent late (SECURITY B12, B25)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from authserver.app import utc_now
from authserver.jobs import outbox as outbox_job
from authserver.jobs.outbox import MailSender
from authserver.mail.schedule import RETRIES
from authserver.store import outbox_queue
from authserver.store.engine import Engine
from authserver.store.tables import OutboxMails
from tests.mail.outbox_room import CODE, Room, drain
from tests.mail.smtp_server import MailServer, mail_server

pytestmark = pytest.mark.fault("B12")

DAY = timedelta(days=1)
SOON = 5.0  # seconds in which something that happens at once has happened


@pytest.fixture
async def smtp():
    async with mail_server() as server:
        yield server


@pytest.fixture
async def room(server, smtp) -> Room:
    return Room(server, smtp)


def events(room, name="mail"):
    return [event for event in room.server.log if event["event"] == name]


async def arrives(smtp: MailServer, count: int) -> None:
    async with asyncio.timeout(SOON):
        while len(smtp.mails) < count:
            smtp.arrived.clear()
            await smtp.arrived.wait()


async def test_mail_leaves_at_once_after_the_commit_and_is_blanked(start_server, smtp):
    room = Room(await start_server(smtp_url=smtp.url), smtp)
    began = asyncio.get_running_loop().time()
    mail_id = await room.add_code()
    await arrives(smtp, 1)
    assert asyncio.get_running_loop().time() - began < outbox_job.POLL_EVERY / 2, "it was woken, it did not poll"
    async with asyncio.timeout(SOON):
        while await room.state(mail_id) != "sent":  # noqa: ASYNC110 - the mark follows the answer
            await asyncio.sleep(0.01)
    assert (await room.row(mail_id)).sealed is None
    (mail,) = smtp.mails
    assert mail.message["Subject"] == "482 913 is your code for issuer.example"


@pytest.mark.attack(123)
async def test_the_log_has_one_event_for_a_mail_and_no_code_or_address_in_it(room, smtp):
    smtp.data_answer = lambda _: "554 we do not like 482 913 or 482913 of ann@example.org"
    mail_id = await room.add_code()
    await drain(room.sender())
    (event,) = events(room)
    assert (event["outcome"], event["kind"], event["answer"]) == ("refused", "login_code", "554")
    assert event["mail"] == str(mail_id)
    assert all(secret not in str(room.server.log) for secret in (CODE, "482 913", "ann@"))
    assert (await room.row(mail_id)).last_answer == "554 we do not like … or … of …"


async def test_a_day_without_a_mail_server_loses_no_notice_and_sends_no_code_late(room, smtp):
    await smtp.stop()
    notices = [await room.add(f"user{number}@example.org") for number in range(5)]
    code = await room.add_code()
    sender = room.sender()
    for _ in range(24):
        sender._paused_until = 0.0
        await drain(sender)
        await room.pass_time(timedelta(hours=1))
    assert await room.state(code) == "expired"
    assert (await room.row(code)).sealed is None
    assert {await room.state(notice) for notice in notices} <= {"waiting", "trying again"}
    await smtp.start()
    sender._paused_until = 0.0
    await room.pass_time(timedelta(minutes=1))
    await drain(sender)
    assert sorted(mail.recipient for mail in smtp.mails) == [f"user{number}@example.org" for number in range(5)]
    assert {await room.state(notice) for notice in notices} == {"sent"}
    assert len({mail.connection for mail in smtp.mails}) == 1, "a backlog goes over one connection"
    assert events(room, "mail_server_is_back")


async def test_a_mail_server_that_is_down_is_left_alone_and_no_mail_loses_tries(room, smtp):
    await smtp.stop()
    mails = [await room.add(f"user{number}@example.org") for number in range(20)]
    sender = room.sender()
    for _ in range(10):
        await drain(sender)
    assert len(events(room, "mail_server_unavailable")) == 1
    assert sender.is_paused
    assert {(await room.row(mail)).attempts for mail in mails} == {0}


@pytest.mark.parametrize("stage", ["recipient_answer", "data_answer"])
async def test_a_4xx_is_tried_again_by_the_schedule_and_given_up_after_its_end(room, smtp, stage):
    setattr(smtp, stage, lambda _: "451 not now")
    mail_id = await room.add()
    sender = room.sender()
    for attempt, wait in enumerate(RETRIES, 1):
        await drain(sender)
        row = await room.row(mail_id)
        assert (row.state, row.attempts, row.last_answer) == ("waiting", attempt, "451 not now")
        assert await room.state(mail_id) == "trying again"
        await room.pass_time(wait - timedelta(seconds=15))
        await drain(sender)
        assert (await room.row(mail_id)).attempts == attempt, "not before its time"
        await room.pass_time(timedelta(seconds=15))
    await drain(sender)
    assert await room.state(mail_id) == "failed"
    assert smtp.mails == []


async def test_a_4xx_that_ends_is_sent_and_nothing_is_sent_twice(room, smtp):
    smtp.recipient_answer = lambda _: "450 greylisted"
    mail_id = await room.add()
    sender = room.sender()
    await drain(sender)
    smtp.recipient_answer = lambda _: "250 taken"
    await room.pass_time(RETRIES[0])
    for _ in range(3):
        await drain(sender)
    assert await room.state(mail_id) == "sent"
    smtp.received(1)


async def test_a_dead_address_fails_visibly_and_holds_nobody_up(room, smtp):
    smtp.recipient_answer = lambda address: "550 no such user" if address.startswith("dead") else "250 taken"
    dead = await room.add("dead@example.org")
    alive = [await room.add(f"user{number}@example.org") for number in range(3)]
    await drain(room.sender())
    row = await room.row(dead)
    assert (row.state, row.last_answer) == ("failed", "550 no such user")
    assert row.sealed is not None, "an operator may have it tried again"
    assert {await room.state(mail) for mail in alive} == {"sent"}


async def test_what_waits_for_a_greylisting_address_waits_together(room, smtp):
    smtp.recipient_answer = lambda address: "450 later" if address.casefold().startswith("slow") else "250 taken"
    first = await room.add("slow@example.org")
    second = await room.add("Slow@example.org")
    sender = room.sender()
    await drain(sender)
    await room.pass_time(RETRIES[0])
    async with room.server.services.engine.begin() as tx:  # only the first is due
        await tx.execute(
            update(OutboxMails).where(OutboxMails.id == second).values(next_attempt_at=utc_now() + DAY / 24)
        )
    await drain(sender)
    await drain(sender)
    assert (await room.row(first)).attempts == 2
    assert (await room.row(second)).attempts == 1
    other = await room.add("user@example.org")
    await drain(sender)
    assert await room.state(other) == "sent"


@pytest.mark.parametrize("stage", ["recipient_answer", "data_answer"])
async def test_an_address_that_hangs_holds_nobody_up(start_server, smtp, stage):
    setattr(smtp, stage, lambda address: "hang" if address.startswith("dead") else "250 taken")
    room = Room(await start_server(smtp_url=smtp.url), smtp)
    await room.add("dead@example.org")
    await asyncio.sleep(0.2)
    for number in range(3):
        await room.add(f"user{number}@example.org")
    async with asyncio.timeout(SOON):
        while sum(mail.recipient.startswith("user") for mail in smtp.mails) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_message_whose_answer_got_lost_is_sent_again_to_the_byte(room, smtp):
    smtp.data_answer = lambda _: "die"
    mail_id = await room.add()
    sender = room.sender()
    await drain(sender)
    assert await room.state(mail_id) == "trying again"
    smtp.data_answer = lambda _: "250 taken"
    async with room.server.services.engine.begin() as tx:
        await outbox_queue.hurry(tx, mail_id)
    await drain(sender)
    first, second = smtp.received(2)
    assert first.content == second.content
    assert first.id == f"<{mail_id.hex}@issuer.example>"
    assert await room.state(mail_id) == "sent"


async def test_a_server_that_takes_each_mail_and_drops_the_connection_gets_each_once(room, smtp):
    smtp.data_answer = lambda _: "drop"
    mails = [await room.add(f"user{number}@example.org") for number in range(4)]
    await drain(room.sender())
    assert {await room.state(mail) for mail in mails} == {"sent"}
    assert len({mail.id for mail in smtp.received(4)}) == 4


async def test_a_mail_at_which_the_server_always_hangs_up_does_not_stand_in_the_way_of_others(room, smtp):
    smtp.data_answer = lambda address: "421 bye" if address.startswith("odd") else "250 taken"
    odd = await room.add_code("odd@example.org", minutes=5)
    fine = [await room.add_code("ann@example.org"), await room.add("bob@example.org")]
    sender = room.sender()
    await drain(sender)
    assert sender.is_paused
    await room.pass_time(sender.pause)
    sender._paused_until = 0.0
    await drain(sender)
    assert {await room.state(mail) for mail in fine} == {"sent"}
    assert await room.state(odd) == "trying again"
    assert sender._failures == 0


async def test_a_code_goes_before_a_backlog_of_notices(room, smtp):
    for number in range(10):
        await room.add(f"user{number}@example.org")
    await room.add_code("waiting@example.org")
    await drain(room.sender())
    assert smtp.mails[0].recipient == "waiting@example.org"


async def test_a_backlog_drains_at_the_rate_that_is_set(room, smtp):
    for number in range(10):
        await room.add(f"user{number}@example.org")
    sender = room.sender(f"smtp://127.0.0.1:{smtp.port}?rate=20")
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(lane.run() for lane in sender._lanes))
    assert asyncio.get_running_loop().time() - began >= 9 / 20
    smtp.received(10)


@pytest.mark.fault("B25")
async def test_of_four_processes_each_mail_is_sent_by_one(room, smtp, database_url):
    mails = [await room.add(f"user{number}@example.org") for number in range(60)]
    engines = [Engine.open(database_url) for _ in range(4)]
    settings = room.server.services.settings.model_copy(update={"smtp_url": smtp.url})
    senders = [
        MailSender(replace(room.server.services, engine=engine, settings=settings), utc_now) for engine in engines
    ]
    await asyncio.gather(*(lane.run() for sender in senders for lane in sender._lanes[:2]))
    for engine in engines:
        await engine.close()
    assert {await room.state(mail) for mail in mails} == {"sent"}
    assert len({mail.id for mail in smtp.received(60)}) == 60


@pytest.mark.fault("B25")
async def test_a_claim_that_is_over_is_somebody_elses_and_the_first_owner_cannot_put_the_mail_back(room, smtp):
    smtp.data_answer = lambda _: "hang"
    mail_id = await room.add()
    slow = asyncio.create_task(drain(room.sender()))
    await arrives(smtp, 1)
    await drain(room.sender())
    smtp.received(1)
    await room.pass_time(timedelta(minutes=4))
    smtp.data_answer = lambda _: "250 taken"
    await drain(room.sender())
    assert await room.state(mail_id) == "sent"
    for transport in list(smtp._transports):
        transport.abort()
    await slow
    assert await room.state(mail_id) == "sent"


async def test_a_mail_that_left_while_the_database_was_away_is_marked_and_not_sent_again(room, smtp, monkeypatch):
    mail_id = await room.add()
    sender = room.sender()

    async def be_away(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(outbox_job.outbox_queue, "mark_sent", lambda *_, **__: be_away())
        with pytest.raises(ConnectionError):
            await drain(sender)
    await room.pass_time(timedelta(minutes=4))
    await drain(sender)
    assert await room.state(mail_id) == "sent"
    smtp.received(1)


async def test_a_process_that_stops_lets_the_mail_on_its_way_arrive(room, smtp, monkeypatch):
    begun, gate = asyncio.Event(), asyncio.Event()
    mail_id, other = await room.add(), await room.add("bob@example.org")
    sender = room.sender()
    send = outbox_job.Mailer.send

    async def send_late(self, message, **more):
        begun.set()
        await gate.wait()
        return await send(self, message, **more)

    monkeypatch.setattr(outbox_job.Mailer, "send", send_late)
    work = asyncio.create_task(drain(sender))
    await begun.wait()
    work.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [await room.state(mail_id), await room.state(other)] == ["sent", "waiting"]
    assert (await room.row(other)).claim is None


async def test_a_row_that_does_not_open_fails_and_the_others_are_sent(room, smtp):
    broken = await room.add()
    async with room.server.services.engine.begin() as tx:
        await tx.execute(update(OutboxMails).values(recipient="eve@example.org"))
    fine = await room.add("bob@example.org")
    await drain(room.sender())
    assert [await room.state(broken), await room.state(fine)] == ["failed", "sent"]
    smtp.received(1)


async def test_a_kind_of_a_newer_version_waits_for_a_process_that_knows_it(room, smtp):
    newer = await room.add()
    async with room.server.services.engine.begin() as tx:
        await tx.execute(update(OutboxMails).values(kind="of_tomorrow"))
    fine = await room.add("bob@example.org")
    await drain(room.sender())
    assert [await room.state(newer), await room.state(fine)] == ["trying again", "sent"]


async def test_without_a_mail_server_mail_waits_codes_expire_and_the_log_says_so(room):
    notice, code = await room.add(), await room.add_code()
    await room.pass_time(timedelta(minutes=11))
    (lane,) = room.server.app._jobs._jobs[-1:]
    assert lane.name == "outbox-0"
    await lane.run()
    assert [await room.state(notice), await room.state(code)] == ["waiting", "expired"]
    assert events(room, "mail_waits")
