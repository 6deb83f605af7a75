"""SECURITY list A3: refresh tokens that are stolen, raced, kept too long or asked about by the wrong party.

The rule itself is searched exhaustively in tests/oauth; here are its rows as requests, on both databases.
"""

import asyncio
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from authserver.oauth.values import RefreshPolicy
from authserver.operations import clients as client_operations
from authserver.operations.clients import ListChange, Offer
from authserver.store.tables import Grants
from tests.oauth.examples import WEB
from tests.server import NOTES_API, SERVICE, SPA

STRICT = replace(WEB, client_id="strict-client", refresh_token_policy=RefreshPolicy.STRICT)
GRACE = replace(WEB, client_id="grace-client", refresh_token_policy=RefreshPolicy.GRACE)
AGED = timedelta(seconds=11)  # past the grace of 10 seconds


async def refreshed(server, token, client):
    response = await server.refresh(token, client)
    assert response.status_code == 200, response.text
    return response.json()["refresh_token"]


@pytest.mark.attack(38)
async def test_with_strict_an_old_token_ends_the_family(server):
    await server.add_clients(STRICT)
    tokens = await server.code_flow(STRICT)
    first = tokens["refresh_token"]
    second = await refreshed(server, first, STRICT)
    third = await refreshed(server, second, STRICT)
    replay = await server.refresh(first, STRICT)
    assert (replay.status_code, replay.json()["error"], server.refusal) == (
        400,
        "invalid_grant",
        "refresh_token_reused",
    )
    assert (await server.refresh(third, STRICT)).json()["error"] == "invalid_grant"
    assert server.refusal == "grant_revoked"
    assert await server.introspect(tokens["access_token"]) == {"active": False}
    row = (await server.rows("SELECT revoked_at, reason FROM grants"))[0]
    assert row.revoked_at is not None
    assert row.reason
    assert "grant_revoked" in await server.audit_events()


@pytest.mark.attack(38, 39)
async def test_with_grace_only_the_one_before_is_forgiven_and_only_for_a_while(server):
    await server.add_clients(GRACE)
    first = (await server.code_flow(GRACE))["refresh_token"]
    second = await refreshed(server, first, GRACE)
    assert await refreshed(server, first, GRACE) == second, "within the grace: the same successor"
    await server.set_back(Grants, rotated_at=AGED)
    assert (await server.refresh(first, GRACE)).json()["error"] == "invalid_grant"
    assert server.refusal == "refresh_token_reused"
    assert (await server.refresh(second, GRACE)).json()["error"] == "invalid_grant"


@pytest.mark.attack(38)
async def test_by_default_a_lost_answer_is_forgiven_once_and_never_two_generations(server):
    first = (await server.code_flow())["refresh_token"]
    second = await refreshed(server, first, WEB)
    await server.set_back(Grants, rotated_at=AGED)
    assert await refreshed(server, first, WEB) != first, "one answer was lost"
    await server.set_back(Grants, rotated_at=AGED)
    third = await refreshed(server, second, WEB)
    await server.set_back(Grants, rotated_at=AGED)
    assert (await server.refresh(first, WEB)).json()["error"] == "invalid_grant"
    assert server.refusal == "refresh_token_reused"
    assert (await server.refresh(third, WEB)).json()["error"] == "invalid_grant"


@pytest.mark.attack(40)
async def test_parallel_refreshes_have_one_successor(server):
    token = (await server.code_flow())["refresh_token"]
    answers = await asyncio.gather(*(server.refresh(token) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert (await server.rows("SELECT generation FROM grants"))[0].generation == 1


@pytest.mark.attack(40, 41)
async def test_with_strict_one_of_many_parallel_refreshes_succeeds(server):
    await server.add_clients(STRICT)
    token = (await server.code_flow(STRICT))["refresh_token"]
    answers = await asyncio.gather(*(server.refresh(token, STRICT) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
    assert (await server.rows("SELECT revoked_at FROM grants"))[0].revoked_at is not None


@pytest.mark.attack(23, 40)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_two_nodes_give_the_same_successor(start_server):
    one, two = await start_server(), await start_server()
    code = await one.get_code()
    redeemed = await asyncio.gather(*(node.redeem(code) for node in (one, two) * 5))
    assert sorted(answer.status_code for answer in redeemed) == [200] + [400] * 9
    token = (await two.code_flow())["refresh_token"]
    answers = await asyncio.gather(*(node.refresh(token) for node in (one, two) * 10))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


@pytest.mark.attack(41)
async def test_generations_count_and_not_seconds(server):
    await server.add_clients(STRICT)
    first = (await server.code_flow(STRICT))["refresh_token"]
    token = first
    for _ in range(5):
        token = await refreshed(server, token, STRICT)
    assert (await server.refresh(first, STRICT)).json()["error"] == "invalid_grant"


@pytest.mark.attack(42)
async def test_a_restart_forgets_nothing(server):
    await server.add_clients(STRICT)
    forgiving, strict = (await server.code_flow())["refresh_token"], (await server.code_flow(STRICT))["refresh_token"]
    successor = await refreshed(server, forgiving, WEB)
    await refreshed(server, strict, STRICT)
    await server.app.stop()
    await server.app.start()
    assert await refreshed(server, forgiving, WEB) == successor
    assert (await server.refresh(strict, STRICT)).json()["error"] == "invalid_grant"
    assert server.refusal == "refresh_token_reused"


@pytest.mark.attack(43)
async def test_nothing_is_issued_after_a_revocation_was_answered(server):
    browser = server.browser()
    for _ in range(5):
        token = (await server.code_flow(browser=browser))["refresh_token"]
        racing = [asyncio.create_task(server.refresh(token)) for _ in range(4)]
        revoked = await server.call("/revoke", WEB, token=token)
        assert revoked.status_code == 200
        assert (await server.refresh(token)).json()["error"] == "invalid_grant"
        for answer in await asyncio.gather(*racing):
            if answer.status_code == 200:
                assert (await server.refresh(answer.json()["refresh_token"])).json()["error"] == "invalid_grant"
                assert await server.introspect(answer.json()["access_token"]) == {"active": False}


@pytest.mark.attack(44)
async def test_another_clients_refresh_token_is_refused_and_lives_on(server):
    token = (await server.code_flow(SPA))["refresh_token"]
    response = await server.refresh(token, WEB)
    assert (response.json()["error"], server.refusal) == ("invalid_grant", "refresh_token_of_another_client")
    assert "refresh_token_refused" in await server.audit_events()
    assert (await server.refresh(token, SPA)).status_code == 200


@pytest.mark.attack(45)
async def test_a_grant_ends_by_idleness_and_in_any_case(server):
    idle = (await server.code_flow())["refresh_token"]
    await server.set_back(Grants, rotated_at=server.settings.refresh_token_idle_lifetime)
    assert (await server.refresh(idle)).json()["error"] == "invalid_grant"
    assert server.refusal == "refresh_token_expired"
    old = (await server.code_flow())["refresh_token"]
    await server.set_back(Grants, rotated_at=timedelta(), expires_at=timedelta())
    assert (await server.refresh(old)).json()["error"] == "invalid_grant"
    assert server.refusal == "refresh_token_expired"


@pytest.mark.attack(45)
async def test_what_a_client_may_no_longer_ask_for_it_no_longer_gets(server):
    token = (await server.code_flow(scope="openid notes:read notes:write"))["refresh_token"]
    offer = Offer(metadata=server.services.metadata, allow_http=lambda _: False)
    change = ListChange("scope", remove=("notes:write",))
    await client_operations.update(server.operator, offer, WEB.client_id, {}, [change])
    await server.services.directory.refresh()
    assert (await server.refresh(token)).json()["scope"] == "notes:read openid"


@pytest.mark.attack(46)
async def test_nobody_revokes_what_is_not_theirs(server):
    tokens = await server.code_flow()
    for name in ("refresh_token", "access_token"):
        assert (await server.call("/revoke", SPA, token=tokens[name])).status_code == 200
        assert (await server.call("/revoke", NOTES_API, token=tokens[name])).status_code == 200
        bare = await server.post("/revoke", {"token": tokens[name], "client_id": WEB.client_id})
        assert (bare.status_code, bare.json()["error"]) == (401, "invalid_client")
    assert (await server.introspect(tokens["access_token"]))["active"] is True
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
    unknown = await server.call("/revoke", WEB, token="never-issued")
    assert (unknown.status_code, unknown.content) == (200, b"")


@contextmanager
def held_by_a_stranger(database_url):
    """Keep everybody else from changing grants."""
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
    else:
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT * FROM grants FOR UPDATE")
            yield
            connection.rollback()


@pytest.mark.attack(47, 126)
async def test_a_revocation_that_could_not_be_stored_is_never_answered_with_200(server, database_url):
    token = (await server.code_flow())["refresh_token"]
    with held_by_a_stranger(database_url):
        response = await server.call("/revoke", WEB, token=token)
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert (await server.refresh(token)).status_code == 200, "nothing was revoked, and the answer said so"


@pytest.mark.attack(48)
async def test_introspection_tells_strangers_nothing(server):
    tokens = await server.code_flow()
    nobody = await server.post("/introspect", {"token": tokens["access_token"]})
    assert nobody.status_code == 401
    public = await server.call("/introspect", SPA, token=tokens["access_token"])
    assert public.status_code == 401
    for name in ("access_token", "refresh_token", "id_token"):
        response = await server.call("/introspect", SERVICE, token=tokens[name])
        assert (response.status_code, response.json()) == (200, {"active": False}), name
