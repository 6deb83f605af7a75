"""Signing keys as clients and resource servers meet them: discovery, /jwks, and tokens of keys that are gone."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

from authserver.app import utc_now
from authserver.jose.compact import encode_base64url, parse_compact
from authserver.jose.keyring import Keyring, generate
from authserver.operations.key_revocation import revoke
from authserver.operations.keys import begin_algorithm, rotate
from authserver.sealing.box import Box
from authserver.sealing.epoch import EpochFile
from authserver.sealing.keyring_file import load_box
from authserver.sealing.tombstones import Tombstones, TombstonesError
from authserver.store import clients, signing_keys, state
from authserver.store.engine import Engine
from tests.server import SERVICE, WEB

HOUR = timedelta(hours=1)


def box_of(server):
    return load_box(server.settings.sealing_key_file)


def kid_of(token):
    return parse_compact(token).kid


async def age(server, by=HOUR):
    """Let every key have been published for longer; the server hears of it."""
    async with server.services.engine.begin() as tx:
        for row in await signing_keys.list_all(tx):
            await signing_keys.update(tx, replace(row, publish_at=row.publish_at - by, sign_from=_earlier(row, tx, by)))
    await server.services.directory.refresh()


def _earlier(row, tx, by):
    return row.sign_from if row.sign_until is None else row.sign_from - by


async def published(server):
    return [key["kid"] for key in (await server.get("/jwks")).json()["keys"]]


async def service_token(server):
    response = await server.token(SERVICE, grant_type="client_credentials")
    assert response.status_code == 200, response.text
    return response.json()["access_token"]


def encode_header(kid):
    return encode_base64url(json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": kid}).encode())


@contextmanager
def no_database(server, monkeypatch):
    """Let requests that ask the database fail; background jobs may."""
    asked = []

    def refuse(original):
        def ask(engine, *args, **kwargs):
            task = asyncio.current_task()
            if task is not None and not task.get_name().startswith("job:"):
                asked.append(task.get_name())
                raise AssertionError("a request has asked the database")
            return original(engine, *args, **kwargs)

        return ask

    with monkeypatch.context() as patch:
        for name in ("read", "begin"):
            patch.setattr(Engine, name, refuse(getattr(Engine, name)))
        patch.setattr(type(server.services.grant_batches), "find", refuse(type(server.services.grant_batches).find))
        yield
    assert asked == []


# --- /jwks ------------------------------------------------------------------------------------------------------------


@pytest.mark.fault("B16")
async def test_a_storm_on_jwks_is_answered_from_memory(server, monkeypatch):
    known = (await server.get("/jwks")).headers["etag"]
    with no_database(server, monkeypatch):
        answers = await asyncio.gather(*(server.get(path) for path in ["/jwks", "/.well-known/jwks.json"] * 500))
        again = await asyncio.gather(*(server.get("/jwks", if_none_match=known) for _ in range(500)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {(answer.status_code, answer.content) for answer in again} == {(304, b"")}


@pytest.mark.fault("B16")
@pytest.mark.attack(60)
async def test_a_storm_of_tokens_with_unknown_key_ids_does_not_reach_the_database(server, monkeypatch):
    token = await service_token(server)
    _, payload, signature = token.split(".")
    forged = [
        ".".join((encode_header(kid), payload, signature))
        for kid in [*(f"kid-{number}" for number in range(200)), "../../dev/null", "' or 1=1", "x" * 5000]
    ]
    await server.introspect(token)
    with no_database(server, monkeypatch):
        answers = await asyncio.gather(*(server.get("/userinfo", authorization=f"Bearer {one}") for one in forged))
        told = [await server.introspect(one) for one in forged]
    assert {answer.status_code for answer in answers} == {401}
    assert told == [{"active": False}] * len(forged)


async def test_a_reader_that_has_the_keys_gets_304_with_the_headers_that_a_200_would_have(server):
    first = await server.get("/jwks")
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["content-type"] == "application/jwk-set+json"
    for known in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}'):
        again = await server.get("/jwks", if_none_match=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == first.headers["cache-control"]
    assert (await server.get("/jwks", if_none_match='"other"')).status_code == 200


@pytest.mark.attack(67)
async def test_our_own_jwks_never_holds_a_private_member(server):
    await begin_algorithm(server.operator, box_of(server), "EdDSA")
    await begin_algorithm(server.operator, box_of(server), "PS256")
    await server.services.directory.refresh()
    document = (await server.get("/jwks")).json()
    assert {key["alg"] for key in document["keys"]} == {"ES256", "RS256", "EdDSA", "PS256"}
    assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & {name for key in document["keys"] for name in key}


async def test_max_age_shrinks_towards_a_change(server):
    (change, *_) = await rotate(server.operator, box_of(server), hurry=False)
    await server.services.directory.refresh()
    at = change.upcoming.sign_from if change.upcoming.sign_from > utc_now() else change.current.drop_at
    seconds = []
    for left in (3600, 280, 100, 4):
        server.ahead = at - timedelta(seconds=left) - utc_now()
        seconds.append(int((await server.get("/jwks")).headers["cache-control"].rpartition("=")[2]))
    assert seconds[0] == 300
    assert 270 <= seconds[1] <= 280
    assert 90 <= seconds[2] <= 100
    assert seconds[3] == 10, "shorter would only be load"


# --- an algorithm more ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["EdDSA", "PS256"])
async def test_an_algorithm_is_announced_and_used_from_when_its_key_signs(server, alg):
    announced = "id_token_signing_alg_values_supported"
    await begin_algorithm(server.operator, box_of(server), alg)
    await server.services.directory.refresh()
    assert (await server.get("/.well-known/openid-configuration")).json()[announced] == ["ES256", "RS256"]
    async with server.services.engine.begin() as tx:
        first = next(row for row in await signing_keys.list_all(tx) if row.alg == alg)
        await signing_keys.update(tx, replace(first, publish_at=first.publish_at - 48 * HOUR, sign_from=await tx.now()))
        await clients.update(tx, replace(WEB, id_token_signed_response_alg=alg))
    await server.services.directory.refresh()
    assert alg in (await server.get("/.well-known/openid-configuration")).json()[announced]
    tokens = await server.code_flow()
    key = next(key for key in (await server.get("/jwks")).json()["keys"] if key["alg"] == alg)
    claims = jwt.decode(tokens["id_token"], jwt.PyJWK(key), algorithms=[alg], audience=WEB.client_id)
    assert claims["iss"] == server.issuer
    assert kid_of(tokens["access_token"]) != key["kid"], "access tokens stay ES256"


# --- a key that leaked ------------------------------------------------------------------------------------------------


@pytest.mark.fault("B17")
async def test_a_revoked_key_is_gone_within_seconds_on_every_node_and_what_it_signed_is_refused(
    start_server, database_url
):
    """Nobody tells the nodes: they poll the version row every second. The promise is 60 s."""
    nodes = [await start_server(max_stale=2)]
    if database_url.startswith("postgresql"):
        nodes.append(await start_server(max_stale=2))
    tokens = await nodes[0].code_flow(scope="openid notes:read")
    leaked, bearer = kid_of(tokens["access_token"]), f"Bearer {tokens['access_token']}"
    for node in nodes:
        assert (await node.introspect(tokens["access_token"]))["active"]
        assert (await node.get("/userinfo", authorization=bearer)).status_code == 200
    await revoke(nodes[0].operator, box_of(nodes[0]), leaked, emergency=True)
    for node in nodes:
        async with asyncio.timeout(10):
            while leaked in await published(node):  # noqa: ASYNC110 - as a resource server would see it
                await asyncio.sleep(0.05)
        assert await node.introspect(tokens["access_token"]) == {"active": False}
        assert (await node.get("/userinfo", authorization=bearer)).status_code == 401
        assert (await node.get("/readyz")).status_code == 200
        assert Tombstones.beside(EpochFile.of(node.settings)).read() == {leaked}
    fresh = (await nodes[-1].refresh(tokens["refresh_token"])).json()["access_token"]
    for node in nodes:
        assert kid_of(fresh) in await published(node), "grants and sessions go on under the next key"
        assert (await node.introspect(fresh))["active"]


@pytest.mark.fault("B17")
async def test_a_hint_that_a_revoked_key_signed_is_no_hint(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser)
    asked = {"prompt": "none", "id_token_hint": tokens["id_token"]}
    assert "code=" in (await browser.open(server.authorization_url(**asked))).headers["location"]
    await revoke(server.operator, box_of(server), kid_of(tokens["id_token"]), emergency=True)
    await server.services.directory.refresh()
    refused = await browser.open(server.authorization_url(**asked))
    assert "error=invalid_request" in refused.headers["location"]
    assert server.refusal == "hint_malformed"


@pytest.mark.fault("B17", "B21")
async def test_a_key_whose_revocation_the_database_forgets_is_revoked_again_by_whoever_serves(server):
    leaked = kid_of(await service_token(server))
    async with server.services.engine.read() as tx:
        before = await signing_keys.list_all(tx)
    await revoke(server.operator, box_of(server), leaked, emergency=True)
    await server.services.directory.refresh()
    async with server.services.engine.begin() as tx:  # a replica that missed a commit was promoted, say
        for row in before:
            await signing_keys.update(tx, row)
    await server.services.directory.refresh()
    assert leaked not in await published(server)
    async with server.services.engine.read() as tx:
        assert next(row for row in await signing_keys.list_all(tx) if row.kid == leaked).revoked_at is not None
    await server.services.directory.refresh()
    assert kid_of(await service_token(server)) != leaked


@pytest.mark.fault("B17", "B21")
async def test_a_server_that_starts_on_a_database_that_has_forgotten_a_revocation_revokes_again_first(
    start_server, tmp_path
):
    one = await start_server()
    leaked = kid_of(await service_token(one))
    await one.app.stop()
    EpochFile(tmp_path / "sealing.key.epoch").path.unlink()  # as where the operator put another database in its place
    Tombstones(tmp_path / "sealing.key.revoked").add([leaked])
    other = await start_server()
    assert leaked not in await published(other)
    assert kid_of(await service_token(other)) != leaked
    assert any(event.get("event") == "signing_key_risen" for event in other.log)


@pytest.mark.fault("B21")
async def test_a_running_node_whose_tombstones_become_unreadable_says_so_once_and_goes_on(server):
    tombstones = Tombstones.beside(EpochFile.of(server.settings))
    tombstones.path.mkdir()
    for _ in range(2):
        await age(server)
    assert [event["event"] for event in server.log].count("tombstones") == 1
    assert (await server.get("/readyz")).status_code == 200
    await service_token(server)


@pytest.mark.fault("B21")
async def test_a_server_does_not_start_where_it_cannot_know_which_keys_were_revoked(start_server, tmp_path):
    (tmp_path / "sealing.key.revoked").mkdir()
    with pytest.raises(TombstonesError, match=r"sealing\.key\.revoked"):
        await start_server()


async def test_the_job_publishes_the_next_key_and_erases_what_was_dropped(server):
    (job,) = (job for job in server.app._jobs._jobs if job.name == "keys")
    async with server.services.engine.begin() as tx:
        for row in await signing_keys.list_all(tx):
            times = {name: getattr(row, name) for name in ("publish_at", "sign_from", "sign_until", "drop_at")}
            moved = {name: time - timedelta(days=95) for name, time in times.items() if time is not None}
            await signing_keys.update(tx, replace(row, **moved))
    await job.run()
    await server.services.directory.refresh()
    told = [event["event"] for event in server.log]
    assert (told.count("signing_key_published"), told.count("signing_key_erased")) == (2, 2)
    listed = (await server.get("/jwks")).json()["keys"]
    assert sorted(key["alg"] for key in listed) == ["ES256", "ES256", "RS256", "RS256"]


# --- nodes that do not hear of it -------------------------------------------------------------------------------------


@pytest.mark.fault("B15", "B30")
async def test_a_node_that_hears_nothing_signs_with_an_old_key_that_is_published_and_soon_with_none(start_server):
    server = await start_server(max_stale=2)
    await server.app._jobs.stop()  # it no longer polls: cut off, or stopped for a moment
    await age(server)
    old = kid_of(await service_token(server))
    await rotate(server.operator, box_of(server), hurry=True)
    token = await service_token(server)
    assert kid_of(token) == old, "it has not heard"
    async with server.services.engine.read() as tx:
        rows, now = await signing_keys.list_all(tx), await tx.now()
    fresh = Keyring.load(rows, box_of(server), issuer=server.issuer, jwks_max_age=HOUR, now=now)
    assert fresh.find(old, now) is not None, "every other node still publishes it"
    assert fresh.signing_key("ES256", now).kid != old
    await asyncio.sleep(2.2)
    assert (await server.token(SERVICE, grant_type="client_credentials")).status_code == 503
    assert (await server.get("/readyz")).status_code == 503
    answer = await server.get("/jwks")
    assert answer.status_code == 200, "what is published goes on being said"
    assert int(answer.headers["cache-control"].rpartition("=")[2]) < 300, "but is to be kept for less long"
    assert server.settings.max_stale < fresh.find(old, now).row.drop_at - now


@pytest.mark.fault("B13")
async def test_a_running_node_goes_on_when_its_sealing_key_file_is_gone(server):
    await age(server)
    box = box_of(server)
    server.settings.sealing_key_file.unlink()
    before = kid_of(await service_token(server))
    await rotate(server.operator, box, hurry=True)
    await server.services.directory.refresh()
    after = kid_of(await service_token(server))
    assert after != before
    assert after in await published(server)


@pytest.mark.fault("B13")
async def test_a_node_without_the_newest_sealing_key_publishes_what_it_cannot_open_and_goes_on(server):
    stranger = Box({"new": b"n" * 32}, current="new")
    async with server.services.engine.begin() as tx:
        now = await tx.now()
        await state.bump(tx)
        added = generate("ES256", stranger, issuer=server.issuer, generation=9, publish_at=now, sign_from=now + HOUR)
        await signing_keys.add(tx, added)
    await server.services.directory.refresh()
    assert added.kid in await published(server)
    assert kid_of(await service_token(server)) != added.kid
    assert [event["event"] for event in server.log].count("signing_key_sealed") == 1
    assert (await server.get("/readyz")).status_code == 200


# --- B14: twenty at once, and a watcher at every node -----------------------------------------------------------------


@pytest.mark.fault("B14")
async def test_twenty_rotations_at_once_are_one_and_no_token_comes_before_its_key_was_seen(
    start_server, database_url, monkeypatch
):
    """Every node's /jwks is read ten times a second. Two seconds are for late news, five are what a cache may keep."""
    monkeypatch.setattr("authserver.jose.schedule.SKEW", timedelta(seconds=2))
    nodes = [await start_server(jwks_max_age=5)]
    if database_url.startswith("postgresql"):
        nodes.append(await start_server(jwks_max_age=5))
    await age(nodes[0])
    await rotate(nodes[0].operator, box_of(nodes[0]), hurry=True)  # what is next now was published a moment ago
    for node in nodes:
        await node.services.directory.refresh()
    clock = asyncio.get_running_loop().time
    begin = clock()
    seen = [dict.fromkeys(await published(node), float("-inf")) for node in nodes]
    new = {row.kid for row in await _rows(nodes[0]) if row.publish_at > await _seconds_ago(nodes[0], 3)}
    for known in seen:
        known.update(dict.fromkeys(new & known.keys(), begin))
    outcomes = await asyncio.gather(
        *(rotate(nodes[number % len(nodes)].operator, box_of(nodes[0]), hurry=True) for number in range(20))
    )
    assert sum(any(rotation.is_changed for rotation in outcome) for outcome in outcomes) == 1
    used: dict[str, float] = {}
    while clock() < begin + 9:
        for node, known in zip(nodes, seen, strict=True):
            for kid in await published(node):
                known.setdefault(kid, clock())
            used.setdefault(kid_of(await service_token(node)), clock())
        await asyncio.sleep(0.1)
    late = set(used) & new
    assert late, "the next key has taken over while we watched"
    for kid, at in used.items():
        assert all(known[kid] <= at - 5 for known in seen), kid
    rows = await _rows(nodes[0])
    assert len([row for row in rows if row.alg == "ES256"]) <= 4


async def _rows(server):
    async with server.services.engine.read() as tx:
        return await signing_keys.list_all(tx)


async def _seconds_ago(server, count):
    async with server.services.engine.read() as tx:
        return await tx.now() - timedelta(seconds=count)
