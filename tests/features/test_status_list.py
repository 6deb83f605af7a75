"""GET /status and GET /status/{list} as draft-ietf-oauth-status-list-21 has them."""

import asyncio
import zlib
from base64 import urlsafe_b64decode
from datetime import timedelta
from urllib.parse import urlsplit

import jwt
import pytest

from authserver.jobs.status_watch import StatusWatch
from authserver.oauth.status_list import LIST_SIZE, place_at
from authserver.operations import clients as client_operations
from authserver.operations import grants as grant_operations
from authserver.operations import users as user_operations
from authserver.phases import UnavailableError
from authserver.store import clients, status_lists
from authserver.store.tables import Clients, Grants
from tests.oauth.examples import USER, WEB
from tests.server import NOTES_API, SERVICE

MEDIA_TYPE = "application/statuslist+jwt"


def status_of(access_token):
    return jwt.decode(access_token, options={"verify_signature": False})["status"]["status_list"]


async def follow(server):
    """What happens each second."""
    await server.services.directory.refresh()
    await StatusWatch(server.services, server.app._clock.now).follow()


async def read_list(server, uri):
    """Fetch a list and verify it as a resource server does, with a library that is not ours."""
    response = await server.get(urlsplit(uri).path, accept=MEDIA_TYPE)
    assert (response.status_code, response.headers["content-type"]) == (200, MEDIA_TYPE)
    header = jwt.get_unverified_header(response.text)
    assert (header["typ"], header["alg"]) == ("statuslist+jwt", "ES256")
    keys = {key["kid"]: key for key in (await server.get("/jwks")).json()["keys"]}
    claims = jwt.decode(response.text, jwt.PyJWK(keys[header["kid"]]), algorithms=["ES256"], issuer=server.issuer)
    assert claims["sub"] == uri
    return claims


async def bits_of(server, uri):
    lst = (await read_list(server, uri))["status_list"]["lst"]
    octets = zlib.decompress(urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))
    assert len(octets) == LIST_SIZE // 8
    return {8 * at + bit for at, octet in enumerate(octets) if octet for bit in range(8) if octet >> bit & 1}


async def is_revoked(server, access_token):
    """Ask as a resource server would, after the second in which every process hears of it."""
    status = status_of(access_token)
    await follow(server)
    return status["idx"] in await bits_of(server, status["uri"])


async def test_every_access_token_names_its_place_in_a_list(server):
    tokens = await server.code_flow()
    status = status_of(tokens["access_token"])
    assert status["uri"] == f"{server.issuer}/status/1"
    assert 0 <= status["idx"] < LIST_SIZE
    refreshed = (await server.refresh(tokens["refresh_token"])).json()
    assert status_of(refreshed["access_token"]) == status, "one place for a grant, not one for a token"
    other = await server.code_flow()
    assert status_of(other["access_token"]) != status


async def test_a_clients_own_tokens_stand_in_the_list_of_clients(server):
    tokens = (await server.token(SERVICE, grant_type="client_credentials", scope="notes:read")).json()
    status = status_of(tokens["access_token"])
    assert status["uri"] == f"{server.issuer}/status/0"
    assert not await is_revoked(server, tokens["access_token"])


async def test_the_place_costs_a_token_little(server):
    tokens = await server.code_flow()
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert len(str(claims["status"]).replace(" ", "")) < 90
    assert len(tokens["access_token"]) < 800


async def test_a_list_says_how_long_it_is_good_and_when_to_ask_again(server):
    claims = await read_list(server, f"{server.issuer}/status/1")
    assert set(claims) == {"iss", "sub", "iat", "exp", "ttl", "status_list"}
    assert (claims["exp"] - claims["iat"], claims["ttl"]) == (360, 10)
    assert set(claims["status_list"]) == {"bits", "lst", "aggregation_uri"}
    assert claims["status_list"]["bits"] == 1


async def revoke_refresh_token(server, tokens):
    await server.call("/revoke", WEB, token=tokens["refresh_token"])


async def revoke_access_token(server, tokens):
    await server.call("/revoke", WEB, token=tokens["access_token"])


async def reuse(server, tokens):
    first = (await server.refresh(tokens["refresh_token"])).json()
    await server.set_back(Grants, rotated_at=timedelta(seconds=60))
    second = (await server.refresh(first["refresh_token"])).json()
    await server.set_back(Grants, rotated_at=timedelta(seconds=60))
    await server.refresh(second["refresh_token"])
    await server.set_back(Grants, rotated_at=timedelta(seconds=60))
    assert (await server.refresh(tokens["refresh_token"])).status_code == 400


async def disable_user(server, tokens):
    await user_operations.disable(server.operator, USER.username)


async def delete_user(server, tokens):
    await user_operations.delete(server.operator, USER.username)


async def set_password(server, tokens):
    await user_operations.set_password(server.operator, USER.username, "another long battery staple")


async def disable_client(server, tokens):
    await client_operations.disable(server.operator, WEB.client_id)


async def delete_client(server, tokens):
    await client_operations.delete(server.operator, WEB.client_id)


async def revoke_by_operator(server, tokens):
    for grant in await grant_operations.find_all(server.operator):
        await grant_operations.revoke(server.operator, str(grant.id))


@pytest.mark.parametrize(
    "end",
    [
        revoke_refresh_token,
        revoke_access_token,
        reuse,
        disable_user,
        delete_user,
        set_password,
        delete_client,
        disable_client,
        revoke_by_operator,
    ],
)
async def test_whatever_ends_a_grant_sets_its_bit(server, end):
    tokens = await server.code_flow()
    assert not await is_revoked(server, tokens["access_token"])
    await end(server, tokens)
    assert await is_revoked(server, tokens["access_token"])


async def test_a_logout_and_a_replayed_code_set_it_too(server):
    browser = server.browser()
    code = await server.get_code(browser=browser)
    first = (await server.redeem(code)).json()
    assert (await server.redeem(code)).status_code == 400
    assert await is_revoked(server, first["access_token"])
    second = await server.code_flow(browser=browser)
    await browser.get(f"{server.issuer}/end_session?id_token_hint={second['id_token']}")
    assert await is_revoked(server, second["access_token"])


async def test_a_disabled_client_and_only_it_stands_in_the_list_of_clients(server):
    ask = {"grant_type": "client_credentials", "scope": "notes:read"}
    tokens = [(await server.token(client, **ask)).json()["access_token"] for client in (SERVICE, NOTES_API)]
    await client_operations.disable(server.operator, SERVICE.client_id)
    assert [await is_revoked(server, token) for token in tokens] == [True, False]
    await client_operations.enable(server.operator, SERVICE.client_id)
    async with server.services.engine.begin() as tx:
        await clients.mark_deleted(tx, NOTES_API.client_id, await tx.now())
    assert [await is_revoked(server, token) for token in tokens] == [False, True]


async def test_a_bit_is_unset_when_no_token_can_be_alive(server):
    tokens = await server.code_flow()
    await revoke_refresh_token(server, tokens)
    await server.set_back(Grants, revoked_at=timedelta(seconds=300 + 55))
    assert await is_revoked(server, tokens["access_token"])
    await server.set_back(Grants, revoked_at=timedelta(seconds=300 + 61))
    assert not await is_revoked(server, tokens["access_token"]), "so lists stay small"


async def test_the_longest_lifetime_that_anything_asks_for_counts_and_is_remembered(server):
    tokens = await server.code_flow()
    await revoke_refresh_token(server, tokens)
    await server.set_back(Grants, revoked_at=timedelta(seconds=3600))
    assert not await is_revoked(server, tokens["access_token"])
    async with server.services.engine.begin() as tx:
        version = (await tx.raw("UPDATE state SET version = version + 1 RETURNING version")).scalar_one()
        await tx.execute(
            Clients.__table__.update()
            .where(Clients.__table__.c.client_id == SERVICE.client_id)
            .values(access_token_lifetime=timedelta(hours=2), version=version)
        )
    assert await is_revoked(server, tokens["access_token"])
    async with server.services.engine.begin() as tx:
        await clients.mark_deleted(tx, SERVICE.client_id, await tx.now())
    assert await is_revoked(server, tokens["access_token"]), "its tokens of two hours may be alive"


async def test_what_is_new_is_read_each_second_and_the_rest_is_kept(server):
    watch = StatusWatch(server.services, server.app._clock.now)
    old = await server.code_flow()
    await revoke_refresh_token(server, old)
    await server.set_back(Grants, revoked_at=timedelta(seconds=100))
    new = await server.code_flow()
    await watch.follow()
    await revoke_refresh_token(server, new)
    await watch.follow()
    bits = await bits_of(server, f"{server.issuer}/status/1")
    assert bits == {status_of(tokens["access_token"])["idx"] for tokens in (old, new)}


async def test_an_unchanged_list_is_the_same_for_a_minute_and_then_signed_again(server):
    first = await server.get("/status/1")
    again = await server.get("/status/1", if_none_match=f'"x", W/{first.headers["etag"]}')
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert first.headers["cache-control"] == again.headers["cache-control"] == "public, max-age=2"
    server.ahead = timedelta(seconds=61)
    await follow(server)
    later = await server.get("/status/1", if_none_match=first.headers["etag"])
    assert later.status_code == 200
    assert later.headers["etag"] != first.headers["etag"]


async def test_head_answers_as_get_does_without_the_body(server):
    get = await server.get("/status/1")
    head = await server.http.head("/status/1")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length", "cache-control"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (MEDIA_TYPE, 200),
        ("*/*", 200),
        ("application/*;q=0.1", 200),
        ("text/html,application/xhtml+xml,*/*;q=0.8", 200),
        ("application/statuslist+cwt, application/statuslist+jwt;q=0.5", 200),
        ("application/statuslist+cwt", 406),
        ("application/json", 406),
        (f"{MEDIA_TYPE};q=0, */*", 406),
    ],
)
async def test_it_is_served_to_whoever_reads_it(server, accept, status):
    response = await server.get("/status/1", accept=accept)
    assert response.status_code == status
    if status == 406:
        assert (response.json()["error"], server.refusal) == ("invalid_request", "media_type_not_offered")
    else:
        assert response.headers["vary"] == "Accept"


@pytest.mark.attack(62)
async def test_an_endless_accept_header_is_answered_at_once(server):
    async with asyncio.timeout(2):
        response = await server.get("/status/1", accept="text/a;q=0.1," * 50_000)
    assert response.status_code == 406


@pytest.mark.parametrize("number", ["3", "999999999", "9999999999999999999999", "01", "-1", "1.0", "x", "%D9%A1"])
async def test_a_list_that_there_is_not_is_not_found(server, number):
    response = await server.get(f"/status/{number}", accept=MEDIA_TYPE)
    assert (response.status_code, server.refusal) == (404, "status_list_unknown")
    assert response.headers["cache-control"] == "no-store"


async def test_a_number_with_nul_behind_it_is_no_number(server):
    response = await server.get("/status/1%00", accept=MEDIA_TYPE)
    assert (response.status_code, server.refusal) == (400, "parameters_malformed")


async def test_the_next_list_is_there_before_any_token_names_it(server):
    assert await bits_of(server, f"{server.issuer}/status/2") == set()
    assert (await server.get("/status")).json() == {
        "status_lists": [f"{server.issuer}/status/0", f"{server.issuer}/status/1"]
    }


async def test_the_past_is_not_served(server):
    response = await server.get("/status/1?time=1686925000")
    assert (response.status_code, server.refusal) == (501, "status_list_of_the_past")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_only_get_is_answered(server, method):
    for path in ("/status", "/status/1"):
        assert (await server.http.request(method, path)).status_code == 405


async def test_scripts_of_every_origin_may_read_it(server):
    for path in ("/status", "/status/1"):
        response = await server.get(path, origin="https://anybody.example")
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers


async def test_discovery_says_where_all_lists_are(server):
    metadata = (await server.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["status_list_aggregation_endpoint"] == f"{server.issuer}/status"
    lists = await server.get("/status")
    assert lists.headers["content-type"] == "application/json"
    for uri in lists.json()["status_lists"]:
        assert (await read_list(server, uri))["status_list"]["aggregation_uri"] == f"{server.issuer}/status"


async def test_a_list_says_nothing_but_which_places_are_revoked(server):
    """No names, no numbers of tokens, no secrets: whoever may read it is anybody."""
    before = await read_list(server, f"{server.issuer}/status/1")
    tokens = [await server.code_flow() for _ in range(3)]
    await follow(server)
    after = await read_list(server, f"{server.issuer}/status/1")
    assert after["status_list"] == before["status_list"], "tokens that live leave no trace"
    places = [status_of(one["access_token"])["idx"] for one in tokens]
    assert sorted(places) != list(range(min(places), min(places) + 3)), "and their places follow no order"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_two_nodes_serve_what_one_of_them_revoked(start_server):
    one, two = await start_server(), await start_server()
    tokens = await one.code_flow()
    await revoke_refresh_token(one, tokens)
    for server in (one, two):
        assert await is_revoked(server, tokens["access_token"])
    other = await two.code_flow()
    assert status_of(other["access_token"]) != status_of(tokens["access_token"])


async def test_without_its_database_a_node_serves_the_last_lists_until_they_end(server, monkeypatch):
    tokens = await server.code_flow()
    await revoke_refresh_token(server, tokens)
    assert await is_revoked(server, tokens["access_token"])
    first = await server.get("/status/1")

    async def gone(*_):
        raise UnavailableError("gone")

    assert server.services.status_indexes.take() is not None
    monkeypatch.setattr(status_lists, "load", gone)
    server.ahead = timedelta(seconds=300)
    with pytest.raises(UnavailableError):
        await StatusWatch(server.services, server.app._clock.now).follow()
    assert server.services.status_indexes.take() is None, "a database that comes back may have lost what was reserved"
    still = await server.get("/status/1")
    assert (still.status_code, still.text) == (200, first.text), "not signed again: nobody knows whether it still holds"
    server.ahead = timedelta(seconds=361)
    over = await server.get("/status/1")
    assert (over.status_code, over.headers["retry-after"], server.refusal) == (503, "1", "server_stale")


async def test_a_token_without_status_from_before_goes_on_until_its_end(server):
    tokens = await server.code_flow()
    await server.execute("UPDATE grants SET status_index = NULL")
    refreshed = (await server.refresh(tokens["refresh_token"])).json()
    assert "status" not in jwt.decode(refreshed["access_token"], options={"verify_signature": False})
    assert (await server.introspect(refreshed["access_token"]))["active"] is True
    await StatusWatch(server.services, server.app._clock.now).keep()
    again = (await server.refresh(refreshed["refresh_token"])).json()
    assert status_of(again["access_token"])["uri"] == f"{server.issuer}/status/1"


async def test_a_place_that_a_failover_gave_to_somebody_else_costs_nobody_a_token(server):
    first = await server.code_flow()
    (block,) = server.services.status_indexes._blocks
    taken = place_at(block.seed, block.number, block.first)
    await server.execute(f"UPDATE grants SET status_index = {taken}")
    code = await server.get_code()
    response = await server.redeem(code)
    assert response.status_code == 200
    second = response.json()
    assert status_of(second["access_token"])["idx"] != taken % LIST_SIZE
    assert status_of(second["access_token"]) != status_of(first["access_token"])
    (fresh,) = server.services.status_indexes._blocks
    assert fresh.first >= block.first + block.count, "none of the doubtful places is used again"
