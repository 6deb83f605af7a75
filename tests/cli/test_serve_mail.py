"""A real server process and a real mail server: what a kill -9 at the worst moment does to mail (SECURITY B12)."""

import asyncio
import os
import signal
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

from tests.cli.test_serve import ask, environment
from tests.mail.smtp_server import mail_server
from tests.ports import free_ports


@asynccontextmanager
async def serving(start, port, settings):
    process = start("serve", "--port", str(port), **settings)
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(is_ready, port):
            assert process.poll() is None, process.stderr.read()
            await asyncio.sleep(0.1)
    yield process
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0


def is_ready(port):
    try:
        return ask(port).status == 200
    except OSError:
        return False


async def run(start, settings, *arguments):
    process = start(*arguments, **settings)
    out, err = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, err
    return out


async def arrived(smtp, count):
    async with asyncio.timeout(20):
        while len(smtp.mails) < count:
            smtp.arrived.clear()
            await smtp.arrived.wait()


@pytest.mark.fault("B12")
@pytest.mark.fault("B7")
async def test_a_sender_that_is_killed_before_the_answer_sends_the_same_mail_again(here, installed, sqlite_url, start):
    async with mail_server() as smtp:
        settings = environment(
            here, sqlite_url, AUTHSERVER_SMTP_URL=smtp.url, AUTHSERVER_ISSUER="https://id.example.org"
        )
        port = free_ports(1)[0]
        smtp.data_answer = lambda _: "hang"
        async with serving(start, port, settings) as process:
            await run(start, settings, "mail", "test", "ann@example.org")
            await arrived(smtp, 1)
            os.kill(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        assert (await run(start, settings, "mail", "list")).split("\t")[1] == "waiting", "the mail is not lost"
        smtp.data_answer = lambda _: "250 taken"
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database:  # the lease is over
            database.execute("UPDATE outbox SET next_attempt_at = '2000-01-01 00:00:00.000000'")
            database.commit()
        async with serving(start, port, settings):
            await arrived(smtp, 2)
            await run(start, settings, "mail", "test", "bob@example.org")
            await arrived(smtp, 3)
    first, second, other = smtp.mails
    assert first.content == second.content, "with the same Message-ID, by which a mailbox knows the copy"
    assert other.recipient == "bob@example.org"
    assert {line.split("\t")[1] for line in (await run(start, settings, "mail", "list")).splitlines()} == {"sent"}
