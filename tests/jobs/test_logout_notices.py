"""Every client hears that a session is over, whatever another client does (Back-Channel Logout §2.5, §2.8)."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from authserver.app import utc_now
from authserver.ids import uuid7
from authserver.jobs import logout_notices as job
from authserver.jobs.logout_notices import LogoutNotifier
from authserver.oauth.logout_token import RETRIES
from authserver.store import clients, logout_notices
from authserver.store.engine import Engine
from authserver.store.tables import LogoutNotices
from tests.oauth.examples import USER
from tests.relying_party import RelyingParty, find_notices, let_hear, read_part, until
from tests.server import SPA, WEB

HOUR = timedelta(hours=1)


@pytest.fixture
async def server(start_server, monkeypatch):
    """A server that may reach loopback and delivers nothing by itself."""
    with monkeypatch.context() as patch:
        patch.setattr(job, "POLL_EVERY", 3600.0)
        return await start_server(outbound_allow="127.0.0.0/8")


def notifier(server, **changes):
    """The deliverer of one process of the installation."""
    return LogoutNotifier(replace(server.services, **changes), utc_now)


async def add(server, client=WEB, count=1):
    """Store notices as a logout does."""
    async with server.services.engine.begin() as tx:
        now = await tx.now()
        for _ in range(count):
            values = {
                "id": uuid7(now),
                "client_id": client.client_id,
                "session_id": uuid7(now),
                "user_id": USER.id,
                "state": "waiting",
                "attempts": 0,
                "next_attempt_at": now,
                "created_at": now,
            }
            await tx.execute(LogoutNotices.__table__.insert().values(values))


async def pass_time(server, span):
    """Let time go by, as far as the notices know."""
    async with server.services.engine.begin() as tx:
        for row in (await tx.execute(select(LogoutNotices))).all():
            moved = {"next_attempt_at": row.next_attempt_at - span}
            await tx.execute(update(LogoutNotices).where(LogoutNotices.id == row.id).values(moved))


async def states(server):
    return [(row.state, row.attempts, row.last_answer) for row in await find_notices(server)]


@pytest.mark.parametrize("answer", [200, 204])
async def test_what_the_client_takes_is_delivered_once(server, answer):
    async with RelyingParty(answer) as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        process = notifier(server)
        for _ in range(3):
            await process.run()
        assert await states(server) == [("delivered", 1, str(answer))]
        assert len(rp.forms) == 1
        assert process._reach == {}


async def test_it_is_a_posted_form_with_the_token_and_nothing_else(server):
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        await notifier(server).run()
    assert rp.heads[0].startswith("POST /backchannel-logout?app=notes HTTP/1.1\r\n")
    assert "content-type: application/x-www-form-urlencoded\r\n" in rp.heads[0].lower()
    assert "cookie" not in rp.heads[0].lower()
    assert "authorization" not in rp.heads[0].lower()
    assert list(rp.forms[0]) == ["logout_token"]


async def test_a_no_of_the_client_is_final_and_written_down(server):
    async with RelyingParty(400) as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        process = notifier(server)
        await process.run()
        await pass_time(server, 48 * HOUR)
        await process.run()
        assert await states(server) == [("refused", 1, "400")]
        assert len(rp.forms) == 1
    (event,) = await server.rows("SELECT * FROM audit_events WHERE event = 'logout_notice_failed'")
    assert (event.client_id, event.actor) == (WEB.client_id, "job:logout_notices")
    assert "refused" in str(event.detail)


@pytest.mark.parametrize("answer", [302, 404, 500, 503, "drop"])
async def test_anything_else_is_tried_again_by_the_schedule_and_given_up_after_its_end(server, answer):
    async with RelyingParty(answer, extra="Location: http://127.0.0.1/elsewhere\r\n") as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        for attempt, wait in enumerate(RETRIES, 1):
            process = notifier(server)  # each its own: this is about the row, not about who is left alone
            await process.run()
            ((state, attempts, said),) = await states(server)
            assert (state, attempts) == ("waiting", attempt)
            assert said in {str(answer), "RemoteProtocolError"}
            await pass_time(server, wait - timedelta(seconds=3))
            await notifier(server).run()
            assert len(rp.forms) == attempt, "not before its time"
            await pass_time(server, timedelta(seconds=3))
        await notifier(server).run()
        assert [state for state, *_ in await states(server)] == ["failed"]
        assert len(rp.forms) == len(RETRIES) + 1
        assert len({claims["jti"] for claims in rp.claims}) == len(rp.claims), "each try has a token of its own"
    assert (await server.audit_events()).count("logout_notice_failed") == 1


async def test_a_client_that_answers_again_hears_of_everything(server):
    async with RelyingParty(503) as rp:
        await let_hear(server, WEB, rp.url)
        await add(server, count=5)
        process = notifier(server)
        await process.run()
        assert rp.most_at_once <= job.OF_ONE_CLIENT
        assert len(rp.forms) <= job.OF_ONE_CLIENT, "it is left alone at once"
        rp.answer = 200
        await pass_time(server, RETRIES[0])
        process._reach[WEB.client_id].left_alone_until = 0.0
        await process.run()
        assert {state for state, *_ in await states(server)} == {"delivered"}
        assert process._reach == {}


@pytest.mark.attack(96)
async def test_a_client_that_hangs_holds_no_other_up(server):
    async with RelyingParty("hang") as dead, RelyingParty() as alive:
        await let_hear(server, WEB, dead.url)
        await let_hear(server, SPA, alive.url)
        await add(server, WEB, count=20)
        await add(server, SPA, count=20)
        process = notifier(server)
        began = time.monotonic()
        work = asyncio.create_task(process.run())
        await alive.hears(20)
        assert time.monotonic() - began < 3, "while the first requests to the dead one are still open"
        assert dead.most_at_once <= job.OF_ONE_CLIENT
        await work
        assert len(dead.forms) == job.OF_ONE_CLIENT, "and then it is left alone"
        await add(server, SPA)
        await process.run()
        assert len(alive.forms) == 21
        assert [said for _, attempts, said in await states(server) if attempts and said != "200"] == [
            "TimeoutError"
        ] * 2


async def test_a_notice_that_comes_while_another_client_hangs_is_delivered_meanwhile(server):
    async with RelyingParty("hang") as dead, RelyingParty() as alive:
        await let_hear(server, WEB, dead.url)
        await let_hear(server, SPA, alive.url)
        await add(server, WEB)
        work = asyncio.create_task(notifier(server).run())
        await dead.hears(1)
        await add(server, SPA)
        await alive.hears(1, seconds=2.5)
        assert not work.done()
        await work


@pytest.mark.attack(96)
@pytest.mark.parametrize("uri", ["http://10.0.0.1/logout", "https://169.254.169.254/logout", "http://[::1]:1/logout"])
async def test_an_address_in_the_own_network_is_never_asked(server, uri, monkeypatch):
    connected = []

    async def connect(*_, **__):
        connected.append(uri)
        raise OSError

    await let_hear(server, WEB, uri)
    await add(server)
    with monkeypatch.context() as patch:
        patch.setattr("httpx2.AsyncClient.send", connect)
        await notifier(server).run()
    assert connected == []
    assert await states(server) == [("waiting", 1, "the name has an address that is not public")]


@pytest.mark.fault("B25")
async def test_of_four_processes_each_notice_is_delivered_by_one(server, database_url):
    engines = [Engine.open(database_url) for _ in range(4)]
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server, count=40)
        await asyncio.gather(*(notifier(server, engine=engine).run() for engine in engines))
        assert {state for state, *_ in await states(server)} == {"delivered"}
        assert len({claims["sid"] for claims in rp.claims}) == len(rp.forms) == 40
    for engine in engines:
        await engine.close()


@pytest.mark.fault("B25")
async def test_what_a_process_had_claimed_when_it_died_is_delivered_by_another(server):
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        async with server.services.engine.begin() as tx:
            assert await logout_notices.claim_next(tx, uuid7(utc_now())) is not None
        await notifier(server).run()
        assert rp.forms == []
        await pass_time(server, logout_notices.LEASE)
        await notifier(server).run()
        assert await states(server) == [("delivered", 2, "200")]


async def test_a_process_that_stops_lets_what_is_on_its_way_arrive(server, monkeypatch):
    begun, gate = asyncio.Event(), asyncio.Event()
    post = server.services.outbound.post_form

    async def post_late(*arguments):
        begun.set()
        await gate.wait()
        return await post(*arguments)

    monkeypatch.setattr(server.services.outbound, "post_form", post_late)
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        work = asyncio.create_task(notifier(server).run())
        await begun.wait()
        work.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert await states(server) == [("delivered", 1, "200")]


@pytest.mark.parametrize("gone", ["address", "client"])
async def test_a_client_that_wants_to_hear_no_more_is_not_asked(server, gone):
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        if gone == "address":
            await let_hear(server, WEB, None)
        else:
            async with server.services.engine.begin() as tx:
                await clients.mark_deleted(tx, WEB.client_id, await tx.now())
        await notifier(server).run()
        assert rp.forms == []
    assert await states(server) == [("failed", 1, "the client is gone, or wants to hear no more")]


async def test_a_client_that_is_turned_off_is_told_when_it_is_on_again(server):
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        async with server.services.engine.begin() as tx:
            await clients.set_disabled(tx, WEB.client_id, await tx.now())
        await notifier(server).run()
        assert (rp.forms, await states(server)) == ([], [("waiting", 1, "the client is turned off")])
        async with server.services.engine.begin() as tx:
            await clients.set_disabled(tx, WEB.client_id, None)
        await pass_time(server, RETRIES[0])
        await notifier(server).run()
        assert await states(server) == [("delivered", 2, "200")]


async def test_the_address_of_today_is_asked(server):
    async with RelyingParty() as rp:
        await let_hear(server, WEB, "https://app.example/old")
        await add(server)
        await let_hear(server, WEB, rp.url)
        await notifier(server).run()
        assert len(rp.forms) == 1


async def test_a_client_of_a_newer_version_waits_for_a_process_that_knows_it(server):
    async with RelyingParty() as rp:
        await let_hear(server, WEB, "https://app.example/hear")
        await let_hear(server, SPA, rp.url)
        await server.execute("UPDATE clients SET refresh_token_mode = 'of-tomorrow' WHERE client_id = 'web-client'")
        await add(server, WEB)
        await add(server, SPA)
        await notifier(server).run()
        assert await states(server) == [
            ("waiting", 1, "a newer version registered this client"),
            ("delivered", 1, "200"),
        ]


async def test_without_a_key_of_the_clients_algorithm_it_waits_and_says_so(server):
    await let_hear(server, replace(WEB, id_token_signed_response_alg="PS256"), "https://app.example/hear")
    await add(server)
    await notifier(server).run()
    ((state, _, said),) = await states(server)
    assert state == "waiting"
    assert said.startswith("no PS256 key signs")


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
async def test_it_is_signed_as_the_clients_id_tokens_are(server, alg):
    async with RelyingParty() as rp:
        await let_hear(server, replace(WEB, id_token_signed_response_alg=alg), rp.url)
        await add(server)
        await notifier(server).run()
        header = read_part(rp.tokens[0], 0)
    keys = (await server.get("/jwks")).json()["keys"]
    assert header == {"alg": alg, "typ": "logout+jwt", "kid": header["kid"]}
    assert [key["alg"] for key in keys if key["kid"] == header["kid"]] == [alg]


@pytest.mark.attack(123)
async def test_the_log_has_one_event_for_a_try_and_no_token_in_it(server):
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        await notifier(server).run()
        (event,) = [event for event in server.log if event["event"] == "logout_notice"]
        assert (event["outcome"], event["client"], event["attempt"], event["answer"]) == (
            "delivered",
            WEB.client_id,
            1,
            "200",
        )
        assert rp.tokens[0] not in str(server.log)


async def test_a_running_server_delivers_within_seconds(start_server):
    server = await start_server(outbound_allow="127.0.0.0/8")
    async with RelyingParty() as rp:
        await let_hear(server, WEB, rp.url)
        await add(server)
        await rp.hears(1, seconds=3)
        await until(lambda: any(event["event"] == "logout_notice" for event in server.log))
