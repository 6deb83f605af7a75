"""SECURITY list A2: what an attacker does with codes and tokens at /token and the endpoints that read tokens."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from authserver.features.token import client_credentials
from authserver.oauth.values import ClientType
from authserver.operations import clients as client_operations
from authserver.operations import users as user_operations
from authserver.operations.clients import Offer
from authserver.operations.errors import OperationError
from authserver.store import resources
from authserver.store.tables import AuthorizationCodes
from tests.oauth.examples import CHALLENGE, NATIVE, NOTES, SECRET, USER, VERIFIER, WEB
from tests.relying_party import read_part
from tests.server import SERVICE, SPA, basic


async def grants_of(server):
    return await server.rows("SELECT client_id, revoked_at, reason FROM grants")


@pytest.mark.attack(22)
async def test_a_replayed_code_takes_everything_back_that_it_gave(server):
    code = await server.get_code()
    tokens = (await server.redeem(code)).json()
    assert (await server.introspect(tokens["access_token"]))["active"] is True
    replay = await server.redeem(code)
    assert (replay.status_code, replay.json()["error"], server.refusal) == (400, "invalid_grant", "code_replayed")
    assert await server.introspect(tokens["access_token"]) == {"active": False}
    refreshed = await server.refresh(tokens["refresh_token"])
    assert (refreshed.json()["error"], server.refusal) == ("invalid_grant", "grant_revoked")
    assert [row.reason for row in await grants_of(server)] == ["code_replayed"]
    assert "grant_revoked" in await server.audit_events()


@pytest.mark.attack(23)
async def test_of_many_redemptions_at_once_one_makes_a_grant(server):
    code = await server.get_code()
    answers = await asyncio.gather(*(server.redeem(code) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert [row.reason for row in await grants_of(server)] == ["code_replayed"]


@pytest.mark.attack(24)
async def test_a_code_of_another_client_is_refused_kept_and_noted(server):
    code = await server.get_code(SPA)
    for thief, uri in ((WEB, SPA.redirect_uris[0]), (NATIVE, NATIVE.redirect_uris[0]), (WEB, WEB.redirect_uris[0])):
        response = await server.redeem(code, thief, redirect_uri=uri)
        assert (response.json()["error"], server.refusal) == ("invalid_grant", "code_of_another_client")
    assert (await server.audit_events()).count("code_refused") == 3
    assert (await server.redeem(code, SPA)).status_code == 200


@pytest.mark.attack(25)
async def test_the_redirect_uri_may_be_left_out_where_a_challenge_stands_for_it(server):
    assert (await server.redeem(await server.get_code(), redirect_uri="")).status_code == 200
    legacy = replace(WEB, client_id="legacy-client", require_pkce=False)
    await server.add_clients(legacy)
    code = await server.get_code(legacy, code_challenge="", code_challenge_method="")
    response = await server.redeem(code, legacy, redirect_uri="", code_verifier="")
    assert (response.json()["error"], server.refusal) == ("invalid_grant", "redirect_uri_missing")


@pytest.mark.attack(26)
async def test_a_code_is_too_old_after_its_minute(server):
    code = await server.get_code()
    (row,) = await server.rows("SELECT created_at, expires_at FROM authorization_codes")
    begun, over = (datetime.fromisoformat(str(moment)) for moment in row)
    assert over - begun == timedelta(minutes=1)
    await server.set_back(AuthorizationCodes, expires_at=timedelta())
    response = await server.redeem(code)
    assert (response.json()["error"], server.refusal) == ("invalid_grant", "code_expired")
    assert await grants_of(server) == []


@pytest.mark.attack(27)
async def test_a_wrong_verifier_spends_the_code(server):
    for verifier, refusal in (
        (VERIFIER[:42], "verifier_malformed"),
        (VERIFIER + "x" * 86, "verifier_malformed"),
        (VERIFIER[:-1] + "A", "verifier_wrong"),
        (CHALLENGE, "verifier_wrong"),
        ("ä" * 43, "verifier_malformed"),
    ):
        code = await server.get_code()
        response = await server.redeem(code, code_verifier=verifier)
        assert (response.json()["error"], server.refusal) == ("invalid_grant", refusal), verifier
        assert (await server.redeem(code)).json()["error"] == "invalid_grant", "the first try has spent it"


@pytest.mark.attack(28, 32)
async def test_only_a_posted_form_is_a_token_request(server):
    form = {"grant_type": "client_credentials", "client_id": SERVICE.client_id, "client_secret": SECRET}
    header = {"authorization": basic(SERVICE.client_id, SECRET)}
    by_get = await server.http.get("/token", params=form)
    assert (by_get.status_code, by_get.headers["allow"]) == (405, "POST")
    for answer, status in (
        (await server.http.post("/token", json=form), 415),
        (await server.http.post("/token", content=b"grant_type=x", headers={"content-type": "text/plain"}), 415),
        (await server.http.post("/token", content=b"grant_type=client_credentials", headers=header), 415),
        (await server.http.post("/token", files={"grant_type": (None, "client_credentials")}, headers=header), 415),
        (await server.http.post("/token", headers=header), 400),
        (await server.http.post("/token?grant_type=client_credentials", headers=header), 400),
        (await server.http.post("/token", params=form), 400),
        (await server.http.post("/token", content=b"x" * 65_537), 413),
    ):
        assert answer.status_code == status, answer.text
        assert answer.json()["error"] == "invalid_request"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.attack(29)
async def test_grant_types_are_offered_and_registered_or_refused(server):
    for client, grant_type, error in (
        (WEB, "password", "unsupported_grant_type"),
        (WEB, "implicit", "unsupported_grant_type"),
        (WEB, "urn:ietf:params:oauth:grant-type:token-exchange", "unsupported_grant_type"),
        (WEB, "authorization_code ", "unsupported_grant_type"),
        (WEB, "client_credentials", "unauthorized_client"),
        (SPA, "client_credentials", "unauthorized_client"),
        (SERVICE, "authorization_code", "unauthorized_client"),
        (SERVICE, "refresh_token", "unauthorized_client"),
    ):
        response = await server.token(client, grant_type=grant_type, username="ada", password="x", code="x")
        assert response.json()["error"] == error, (client.client_id, grant_type)


@pytest.mark.attack(31)
async def test_a_refresh_token_has_one_spelling(server):
    token = (await server.code_flow())["refresh_token"]
    flipped = token[:-1] + ("B" if token[-1] == "A" else "A")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = [token[: -1 - n] for n in range(0, 100, 9)]
    changed += [token + more for more in ("A", "=", "==", " ", "\n", "%20", "AAAA")]
    changed += [token.upper(), token.lower(), token.swapcase(), token[4:], "asr_" + token, flipped, token[::-1]]
    changed += [token.replace("-", "+").replace("_", "/"), "ASR_" + token[4:], token[:50] + "\x00" + token[51:]]
    changed += [token[:-1] + last for last in alphabet if last != token[-1]][::7]
    for one in changed:
        if one == token:
            continue
        response = await server.refresh(one)
        assert response.status_code == 400, one
        assert response.json()["error"] in {"invalid_grant", "invalid_request"}, one
    assert (await server.refresh(token)).status_code == 200


@pytest.mark.attack(34)
async def test_no_token_passes_for_one_of_another_kind(server):
    tokens = await server.code_flow(scope="openid offline_access notes:read")
    kinds = {name: tokens[name] for name in ("access_token", "id_token", "refresh_token")} | {"code": "asc_x"}
    for name, token in kinds.items():
        if name != "access_token":
            assert (await server.get("/userinfo", authorization=f"Bearer {token}")).status_code == 401, name
            assert await server.introspect(token) == {"active": False}, name
        if name != "refresh_token":
            assert (await server.refresh(token)).json()["error"] == "invalid_grant", name
        if name != "code":
            assert (await server.redeem(token)).json()["error"] == "invalid_grant", name
        assertion = {
            "client_assertion": token,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }
        response = await server.post("/token", {"grant_type": "client_credentials", **assertion})
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client"), name
    assert (await server.call("/revoke", WEB, token=tokens["id_token"])).status_code == 200
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200, "an ID token revokes nothing"


@pytest.mark.attack(35)
async def test_a_clients_own_token_never_names_a_user(server):
    token = (await server.token(SERVICE, grant_type="client_credentials")).json()["access_token"]
    claims = read_part(token, 1)
    assert claims["sub"] == claims["client_id"] == SERVICE.client_id
    assert (await server.get("/userinfo", authorization=f"Bearer {token}")).status_code == 403
    offer = Offer(metadata=server.services.metadata, allow_http=lambda _: False)
    for client_id in (USER.sub, USER.id.hex, USER.sub.upper()):
        with pytest.raises(OperationError):
            await client_operations.create(
                server.operator,
                offer,
                {"client_name": "x", "scope": "notes:read"},
                client_type=ClientType.SERVICE,
                client_id=client_id,
            )


CUTS = {
    "disabled": (user_operations.disable, (), "user_disabled"),
    "deleted": (user_operations.delete, (), "user_gone"),
    "given another password": (user_operations.set_password, ("another long password",), "session_ended"),
}


@pytest.mark.attack(36, 45)
@pytest.mark.parametrize(("cut", "more", "refusal"), CUTS.values(), ids=CUTS)
async def test_nothing_is_issued_to_a_user_who_was_cut_off(server, cut, more, refusal):
    tokens = await server.code_flow()
    code = await server.get_code()
    await cut(server.operator, USER.username, *more)
    redeemed = await server.redeem(code)
    assert (redeemed.json()["error"], server.refusal) == ("invalid_grant", refusal)
    refreshed = await server.refresh(tokens["refresh_token"])
    assert (refreshed.json()["error"], server.refusal) == ("invalid_grant", "grant_revoked")
    assert await server.introspect(tokens["access_token"]) == {"active": False}
    assert (await server.get("/userinfo", authorization=f"Bearer {tokens['access_token']}")).status_code == 401
    assert all(row.revoked_at is not None for row in await grants_of(server))


@pytest.mark.attack(36, 58)
async def test_a_deleted_client_gets_nothing_for_itself_nor_for_its_users(server):
    tokens = await server.code_flow()
    code = await server.get_code()
    await client_operations.delete(server.operator, WEB.client_id)
    await server.services.directory.refresh()
    for response in (await server.redeem(code), await server.refresh(tokens["refresh_token"])):
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert await server.introspect(tokens["access_token"]) == {"active": False}


@pytest.mark.attack(36)
async def test_a_code_is_worth_nothing_after_the_logout(server):
    browser = server.browser()
    code = await server.get_code(browser=browser)
    await browser.submit(await browser.get(f"{server.issuer}/end_session"), decision="sign_out")
    response = await server.redeem(code)
    assert (response.json()["error"], server.refusal) == ("invalid_grant", "session_ended")


async def test_what_a_client_was_allowed_before_is_decided_anew_when_client_or_resource_changed(server):
    """The decision is kept for as long as nothing changes, and not longer."""
    ask = {"grant_type": "client_credentials", "scope": "notes:write"}
    for _ in range(2):
        assert (await server.token(SERVICE, **ask)).json()["scope"] == "notes:write"
    await server.update_client(replace(SERVICE, scope=frozenset({"notes:read"})))
    assert (await server.token(SERVICE, **ask)).json()["error"] == "invalid_scope"
    assert server.refusal == "scope_not_allowed"
    ask["scope"] = "notes:read"
    assert (await server.token(SERVICE, **ask)).json()["scope"] == "notes:read"
    async with server.services.engine.begin() as tx:
        await resources.delete(tx, NOTES.identifier)
    await server.services.directory.refresh()
    assert (await server.token(SERVICE, **ask)).json()["error"] == "invalid_scope"
    assert server.refusal == "scope_unknown"


async def test_what_clients_ask_for_cannot_fill_the_memory(server, monkeypatch):
    monkeypatch.setattr(client_credentials, "MOST_DECIDED", 2)
    grant_type = server.services.grant_types["client_credentials"]
    for scope in ("notes:read", "notes:write", "notes:read notes:write", "notes:write notes:read"):
        response = await server.token(SERVICE, grant_type="client_credentials", scope=scope)
        assert response.json()["scope"] == " ".join(sorted(scope.split()))
    assert len(grant_type._decided) <= 2
