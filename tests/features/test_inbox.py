"""In development mail is shown on a page and never sent; anywhere else there is no such page."""

import asyncio
import re
from datetime import timedelta

import pytest

from authserver.settings import INBOX
from authserver.store.outbox import Mail

ISSUER = "http://localhost:9000"
EVIL = '<img src=https://evil.example onerror=alert(1)>"{{ 7*7 }}'


@pytest.fixture
async def dev(start_server):
    return await start_server(issuer=ISSUER, smtp_url=INBOX)


async def add_code(server, **parameters):
    async with server.services.engine.begin() as tx:
        mail = Mail(
            kind="verify_email",
            to="ann@example.org",
            locale="en",
            parameters={"code": "482913", "browser": "Firefox", "address": "192.0.2.7", **parameters},
            expires_at=await tx.now() + timedelta(minutes=10),
        )
        return await server.services.outbox.add(tx, mail)


async def deliver(server, mail_id):
    """Send what waits; the server's own sender may be at it already, as the commit wakes it."""
    (lane,) = [job for job in server.app._jobs._jobs if job.name.startswith("outbox")]
    async with asyncio.timeout(30):
        while True:
            await lane.run()
            async with server.services.engine.read() as tx:
                if await server.services.outbox.state(tx, mail_id) == "sent":
                    return
            await asyncio.sleep(0.02)


async def test_a_mail_is_listed_and_can_be_read_as_text_and_as_html(dev):
    assert "There is no mail yet." in (await dev.get("/dev/inbox")).text
    mail_id = await add_code(dev, link=f"{ISSUER}/verify?x=1&y=2")
    await deliver(dev, mail_id)
    listed = (await dev.get("/dev/inbox")).text
    assert f'<a href="/dev/inbox/{mail_id}">482 913 is your code for localhost:9000</a>' in listed
    page = await dev.get(f"/dev/inbox/{mail_id}")
    assert "482 913" in page.text
    assert f'<a href="{ISSUER}/verify?x=1&amp;y=2">' in page.text
    html = await dev.get(re.search(r'<iframe src="([^"]+)" sandbox ', page.text)[1])
    assert html.text.startswith("<!doctype html>")
    assert "482 913" in html.text


@pytest.mark.attack(122)
async def test_what_a_stranger_wrote_does_nothing_on_these_pages(dev):
    mail_id = await add_code(dev, app=EVIL)
    for path in ("/dev/inbox", f"/dev/inbox/{mail_id}", f"/dev/inbox/html/{mail_id}"):
        answer = await dev.get(path)
        assert answer.status_code == 200
        assert "<img src=https" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy.partition("script-src")[2]
    assert policy.endswith("sandbox"), "the HTML part can run nothing, wherever it is opened"
    page = await dev.get(f"/dev/inbox/{mail_id}")
    assert page.headers["content-security-policy"].endswith("frame-src 'self'")


@pytest.mark.parametrize("mail_id", ["nonsense", "01890000-0000-7000-8000-000000000000", ""])
async def test_a_mail_that_is_not_there_is_a_404(dev, mail_id):
    for path in ("/dev/inbox/", "/dev/inbox/html/"):
        answer = await dev.get(path + mail_id)
        assert (answer.status_code, dev.refusal) == (404, "path_unknown")


async def test_a_mail_that_was_dropped_is_listed_and_cannot_be_read(dev):
    mail_id = await add_code(dev)
    async with dev.services.engine.begin() as tx:
        await tx.raw("UPDATE outbox SET sealed = NULL, state = 'expired'")
    assert "What this mail said is gone." in (await dev.get("/dev/inbox")).text
    assert (await dev.get(f"/dev/inbox/{mail_id}")).status_code == 404


@pytest.mark.parametrize("path", ["/dev/inbox", "/dev/inbox/01890000-0000-7000-8000-000000000000"])
async def test_there_is_no_inbox_where_mail_is_sent(server, path):
    assert (await server.get(path)).status_code == 404
