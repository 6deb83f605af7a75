"""Mail is in the outbox exactly where the change that caused it is committed, and nobody can read it there."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, update

from authserver.operations.mail import make_outbox
from authserver.sealing.box import Box, UnsealError
from authserver.sealing.subkeys import Subkeys, make_master
from authserver.store.outbox import Mail
from authserver.store.tables import OutboxMails

ISSUER = "https://id.example.org"
BOX = Box({"k1": bytes(32)}, current="k1")
MASTER = make_master(BOX, key_id=0, now=datetime(2026, 11, 21, tzinfo=UTC))
NOBODY = UUID(int=0)


@pytest.fixture
def outbox():
    return make_outbox(Subkeys([MASTER], BOX), issuer=ISSUER)


MAIL = Mail(
    kind="login_code",
    to="ann@example.org",
    locale="de",
    parameters={"code": "482913", "browser": "Firefox on Linux", "address": "192.0.2.7"},
    expires_at=datetime(2099, 1, 1, tzinfo=UTC),
)


async def rows(engine):
    async with engine.read() as tx:
        return (await tx.execute(select(OutboxMails))).all()


async def test_a_mail_waits_sealed_for_its_address(engine, outbox):
    async with engine.begin() as tx:
        mail_id = await outbox.add(tx, MAIL)
        assert await outbox.state(tx, mail_id) == "waiting"
    (row,) = await rows(engine)
    assert (row.id, row.kind, row.recipient, row.locale, row.expires_at) == (
        mail_id,
        "login_code",
        "ann@example.org",
        "de",
        MAIL.expires_at,
    )
    assert b"482913" not in row.sealed
    assert outbox.open(row.sealed, mail_id=mail_id, kind=row.kind, to=row.recipient) == MAIL.parameters


async def test_a_sealed_mail_does_not_open_for_another_address(engine, outbox):
    async with engine.begin() as tx:
        mail_id = await outbox.add(tx, MAIL)
    (row,) = await rows(engine)
    with pytest.raises(UnsealError):
        outbox.open(row.sealed, mail_id=mail_id, kind=row.kind, to="eve@example.org")


async def test_a_change_that_is_rolled_back_sends_no_mail_and_wakes_nobody(engine, outbox):
    woken = []
    outbox.on_commit(lambda: woken.append("woken"))
    with pytest.raises(KeyError):
        async with engine.begin() as tx:
            await outbox.add(tx, MAIL)
            raise KeyError
    assert await rows(engine) == []
    assert woken == []


async def test_the_sender_is_woken_after_the_commit_and_not_before(engine, outbox):
    woken = []
    outbox.on_commit(lambda: woken.append("woken"))
    async with engine.begin() as tx:
        await outbox.add(tx, MAIL)
        assert woken == []
    assert woken == ["woken"]


@pytest.mark.parametrize(
    ("state", "last_answer", "told"),
    [
        ("waiting", None, "waiting"),
        ("waiting", "451 try later", "trying again"),
        ("sent", "451 try later", "sent"),
        ("failed", "550 no such user", "failed"),
        ("expired", None, "expired"),
    ],
)
async def test_a_person_is_told_what_became_of_a_mail(engine, outbox, state, last_answer, told):
    async with engine.begin() as tx:
        mail_id = await outbox.add(tx, MAIL)
        await tx.execute(update(OutboxMails).values(state=state, last_answer=last_answer))
        assert await outbox.state(tx, mail_id) == told
        assert await outbox.state(tx, NOBODY) is None


@pytest.mark.attack(115)
@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@example.org\r\nBcc: all@example.org",
        "ann@example.org, bob@example.org",
        "ann <ann@example.org>",
        "ann@example.org\x00",
        "a" * 250 + "@example.org",
    ],
)
async def test_what_is_not_one_address_gets_no_mail(engine, outbox, address):
    with pytest.raises(ValueError, match="one e-mail address"):
        async with engine.begin() as tx:
            await outbox.add(tx, replace(MAIL, to=address))
    assert await rows(engine) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"kind": "newsletter"}, "no mail of the kind", id="an unknown kind"),
        pytest.param({"parameters": {"code": "1", "browser": ""}}, "missing parameters", id="a missing parameter"),
        pytest.param({"parameters": {**MAIL.parameters, "x": ""}}, "unknown parameters", id="an unknown parameter"),
        pytest.param({"expires_at": None}, "says when it expires", id="a code that never expires"),
        pytest.param(
            {"parameters": {**MAIL.parameters, "stop_link": "https://evil.example/stop"}},
            "does not lead to this server",
            id="a link to elsewhere",
            marks=pytest.mark.attack(110),
        ),
        pytest.param(
            {"parameters": {**MAIL.parameters, "stop_link": "https://id.example.org.evil.example/"}},
            "does not lead to this server",
            id="a link to a host that begins like ours",
            marks=pytest.mark.attack(110),
        ),
        pytest.param(
            {"kind": "factor_changed", "parameters": {"change": "hacked"}}, "change is one of", id="an unknown change"
        ),
    ],
)
async def test_a_mail_that_could_not_be_written_is_refused_when_it_is_handed_in(engine, outbox, changed, words):
    with pytest.raises(ValueError, match=words):
        async with engine.begin() as tx:
            await outbox.add(tx, replace(MAIL, **changed))
    assert await rows(engine) == []
