"""FEATURES S9: whoever asks for mail is answered without it, and it arrives once the mail server does its part."""

import asyncio
from datetime import timedelta

import pytest

from tests.features.test_api import PHONE
from tests.mail.outbox_room import Room
from tests.mail.smtp_server import mail_server
from tests.oauth.examples import USER

HANG_BOUND = 20.0  # seconds: not how long an answer takes, but how long somebody who waits for SMTP would


@pytest.fixture
async def smtp():
    async with mail_server() as server:
        yield server


async def ask_for_mail(server):
    """Register and ask for a password, and return the answers' statuses."""
    register = {"email": "new@example.org", "password": "a rather long phrase", "scope": "notes:read"}
    forgot = {"email": USER.email}
    answers = [
        await server.http.post(f"/api/{path}", json={"client_id": "phone-app", **body})
        for path, body in (("register", register), ("password/forgot", forgot))
    ]
    return [answer.status_code for answer in answers]


@pytest.mark.product("S9")
@pytest.mark.fault("B12")
@pytest.mark.parametrize("state", ["refuses", "hangs over a mail", "never greets", "is down", "is not set"])
async def test_nobody_waits_for_a_mail_server_or_sees_its_errors(start_server, smtp, state):
    url = "" if state == "is not set" else smtp.url
    if state == "refuses":
        smtp.data_answer = lambda _: "451 not now"
    elif state == "hangs over a mail":
        smtp.data_answer = lambda _: "hang"
    elif state == "never greets":
        smtp.greets = False
    elif state == "is down":
        await smtp.stop()
    server = await start_server(smtp_url=url)
    await server.add_clients(PHONE)
    async with asyncio.timeout(HANG_BOUND):
        assert await ask_for_mail(server) == [201, 202]
    room = Room(server, smtp)
    async with server.services.engine.read() as tx:
        rows = (await tx.raw("SELECT count(*) FROM outbox WHERE state = 'waiting' AND sealed IS NOT NULL")).scalar_one()
    assert rows == 2, "both mails are kept"
    if state == "is down":
        await smtp.start()
        await room.pass_time(timedelta(minutes=2))
        async with asyncio.timeout(HANG_BOUND):  # by itself: the next look is seconds away
            while {mail.recipient for mail in smtp.mails} != {"new@example.org", USER.email}:
                smtp.arrived.clear()
                await smtp.arrived.wait()
