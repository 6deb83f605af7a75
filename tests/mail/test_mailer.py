"""What the mail server says decides what becomes of a mail: sent, later, never, or not the mail's fault."""

import asyncio
from ipaddress import ip_address

import pytest
from cryptography import x509

from authserver.mail import mailer
from authserver.mail.mailer import Mailer, Outcome
from authserver.mail.writer import WireMessage
from authserver.settings.mail import parse_smtp_url
from authserver.store import outbox_queue
from tests.certificates import make_authority
from tests.mail.smtp_server import MailServer, authenticator, mail_server

MESSAGE = WireMessage(
    sender="no-reply@id.example.org",
    recipient="ann@example.org",
    content=b"Subject: hello\r\nMessage-ID: <1@id.example.org>\r\n\r\n.a line that begins with a dot\r\n",
    needs_utf8=False,
)


def make_mailer(server: MailServer, url: str | None = None, ca_file=None) -> Mailer:
    return Mailer(parse_smtp_url(url or server.url), own_host="id.example.org", ca_file=ca_file)


@pytest.fixture
async def server():
    async with mail_server() as server:
        yield server


async def test_a_message_arrives_as_it_was_written(server):
    mailer = make_mailer(server)
    delivery = await mailer.send(MESSAGE)
    await mailer.close()
    assert (delivery.outcome, delivery.answer) == (Outcome.SENT, "")
    (mail,) = server.mails
    assert (mail.sender, mail.recipient) == (MESSAGE.sender, MESSAGE.recipient)
    assert mail.content == MESSAGE.content


async def test_a_burst_goes_over_one_connection(server):
    mailer = make_mailer(server)
    assert [(await mailer.send(MESSAGE)).outcome for _ in range(5)] == [Outcome.SENT] * 5
    await mailer.close()
    assert {mail.connection for mail in server.received(5)} == {1}


@pytest.mark.fault("B12")
@pytest.mark.parametrize(
    ("stage", "answer", "outcome"),
    [
        ("recipient_answer", "450 greylisted", Outcome.DELAYED),
        ("recipient_answer", "550 no such user", Outcome.REFUSED),
        ("data_answer", "451 try later", Outcome.DELAYED),
        ("data_answer", "554 looks like spam", Outcome.REFUSED),
        ("data_answer", "421 going away", Outcome.UNAVAILABLE),
        ("recipient_answer", "421 going away", Outcome.UNAVAILABLE),
    ],
)
async def test_a_4xx_is_tried_again_and_a_5xx_never(server, stage, answer, outcome):
    setattr(server, stage, lambda _: answer)
    mailer = make_mailer(server)
    delivery = await mailer.send(MESSAGE)
    assert (delivery.outcome, delivery.answer) == (outcome, answer)
    setattr(server, stage, lambda _: "250 taken")
    assert (await mailer.send(MESSAGE)).outcome is Outcome.SENT, "the next mail begins with a clean envelope"
    await mailer.close()


@pytest.mark.fault("B12")
@pytest.mark.parametrize("answer", ["451 not now", "553 sender not allowed"])
async def test_a_sender_that_is_not_taken_is_not_the_mails_fault(server, answer):
    server.mail_answer = answer
    mailer = make_mailer(server)
    assert (await mailer.send(MESSAGE)).outcome is Outcome.UNAVAILABLE
    await mailer.close()


@pytest.mark.fault("B12")
async def test_nobody_listens():
    server = MailServer()
    await server.start()
    await server.stop()
    delivery = await make_mailer(server).send(MESSAGE)
    assert delivery.outcome is Outcome.UNAVAILABLE
    assert delivery.answer


@pytest.mark.fault("B12")
async def test_a_server_that_never_greets_is_given_up(server, monkeypatch):
    monkeypatch.setattr(mailer, "CONNECT_SECONDS", 0.2)
    server.greets = False
    delivery = await make_mailer(server).send(MESSAGE)
    assert (delivery.outcome, delivery.answer) == (Outcome.UNAVAILABLE, "no answer in time")


@pytest.mark.fault("B12")
@pytest.mark.parametrize("stage", ["recipient_answer", "data_answer"])
async def test_a_server_that_hangs_over_a_mail_is_left_and_the_next_mail_goes_over_a_new_connection(server, stage):
    setattr(server, stage, lambda recipient: "hang" if recipient == MESSAGE.recipient else "250 taken")
    mailer = make_mailer(server)
    delivery = await mailer.send(MESSAGE, seconds=0.3)
    assert (delivery.outcome, delivery.answer) == (Outcome.DELAYED, "no answer in time")
    other = WireMessage(sender=MESSAGE.sender, recipient="bob@example.org", content=MESSAGE.content, needs_utf8=False)
    assert (await mailer.send(other)).outcome is Outcome.SENT
    await mailer.close()
    assert server.mails[-1].connection == 2


@pytest.mark.fault("B12")
async def test_a_server_that_dies_between_the_message_and_its_answer_may_have_it(server):
    server.data_answer = lambda _: "die"
    assert (await make_mailer(server).send(MESSAGE)).outcome is Outcome.DELAYED
    server.received(1)


@pytest.mark.fault("B12")
async def test_a_connection_that_died_between_two_mails_costs_the_second_nothing(server):
    server.data_answer = lambda _: "drop"
    mailer = make_mailer(server)
    assert (await mailer.send(MESSAGE)).outcome is Outcome.SENT
    await asyncio.sleep(0.1)
    assert (await mailer.send(MESSAGE)).outcome is Outcome.SENT
    await mailer.close()
    assert [mail.connection for mail in server.received(2)] == [1, 2]


async def test_addresses_outside_ascii_need_a_server_that_takes_them(server, monkeypatch):
    message = WireMessage(
        sender=MESSAGE.sender, recipient="änne@example.org", content="To: änne\r\n\r\n".encode(), needs_utf8=True
    )
    mailer = make_mailer(server)
    assert (await mailer.send(message)).outcome is Outcome.SENT
    await mailer.close()
    async with mail_server(enable_SMTPUTF8=False) as old:
        mailer = make_mailer(old)
        delivery = await mailer.send(message)
        await mailer.close()
    assert delivery.outcome is Outcome.REFUSED
    assert "SMTPUTF8" in delivery.answer


async def test_an_address_outside_ascii_that_is_refused_early_is_that_mails_fault(server):
    server.mail_answer = "553 not such ones"
    message = WireMessage(sender=MESSAGE.sender, recipient="änne@example.org", content=b"\r\n", needs_utf8=True)
    mailer = make_mailer(server)
    assert (await mailer.send(message)).outcome is Outcome.REFUSED
    await mailer.close()


@pytest.fixture
def authority(tmp_path):
    """A CA of our own and a certificate of it for 127.0.0.1: (CA file, server's TLS context)."""
    return make_authority(tmp_path, x509.IPAddress(ip_address("127.0.0.1")))


async def test_tls_from_the_first_byte(authority):
    ca_file, context = authority
    async with mail_server(implicit_tls=context) as server:
        mailer = make_mailer(server, f"smtps://127.0.0.1:{server.port}", ca_file)
        assert (await mailer.send(MESSAGE)).outcome is Outcome.SENT
        await mailer.close()
        stranger = await make_mailer(server, f"smtps://127.0.0.1:{server.port}").send(MESSAGE)
    assert stranger.outcome is Outcome.UNAVAILABLE
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.answer


async def test_starttls_and_login(authority):
    ca_file, context = authority
    server = MailServer()
    await server.start(
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticator(server, b"ann", b"s@fe"),
    )
    url = f"smtp://ann:s%40fe@127.0.0.1:{server.port}?starttls=required"
    mailer = make_mailer(server, url, ca_file)
    assert (await mailer.send(MESSAGE)).outcome is Outcome.SENT
    await mailer.close()
    assert server.logins == [b"ann"]
    wrong = await make_mailer(server, url.replace("s%40fe", "wrong"), ca_file).send(MESSAGE)
    await server.stop()
    assert wrong.outcome is Outcome.UNAVAILABLE
    assert wrong.answer.startswith("535")


async def test_a_server_without_starttls_hears_nothing_where_it_is_required(server):
    delivery = await make_mailer(server, f"smtp://127.0.0.1:{server.port}?starttls=required").send(MESSAGE)
    assert delivery.outcome is Outcome.UNAVAILABLE
    assert server.mails == []


def test_a_claim_outlasts_the_longest_a_mail_may_take():
    """Twice: where a connection kept from before has died, the mail is handed in on another one."""
    assert outbox_queue.LEASE.total_seconds() > 2 * (mailer.CONNECT_SECONDS + mailer.MESSAGE_SECONDS) + 10
