"""Passkeys at /api: alone and as the second factor, from pages of other origins and from phones (SECURITY row 116)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from authserver.oauth.values import AuthMethod, ClientType
from authserver.operations import clients as operations
from authserver.operations import users
from authserver.store import clients
from authserver.store.tables import PendingSignIns
from tests.features.account_pages import hidden, sign_in
from tests.features.authenticator import PRESENT, VERIFIED, Authenticator, add_passkey, encode, read_request, use
from tests.features.factors import add_factor, give_password
from tests.features.test_api import PHONE, Api, code_of
from tests.oauth.examples import ISSUER, SECRET, USER, WEB
from tests.server import OTHER_USER, SPA

HOST = urlsplit(ISSUER).hostname
ANDROID = "android:apk-key-hash:" + encode(hashlib.sha256(b"the app's certificate").digest())
PAGE = replace(
    PHONE,
    client_id="own-page",
    type=ClientType.SPA,
    application_type="web",
    redirect_uris=("https://own.example/callback",),
    api_register=False,
)
BACKEND = replace(
    WEB,
    client_id="own-backend",
    first_party=True,
    redirect_uris=("https://shop.example:8443/back",),
    token_endpoint_auth_method=AuthMethod.POST,
)
ROBOT = replace(PAGE, client_id="own-robot", redirect_uris=())


@pytest.fixture
async def api(start_server):
    """A server with a phone app, a page at another origin, a page with a server of its own, and an app without any."""
    server = await start_server(passkey_origins=ANDROID)
    async with server.services.engine.begin() as tx:
        for client in (PHONE, PAGE, BACKEND, ROBOT):
            await clients.add(tx, client)
    await server.services.directory.refresh()
    return Api(server)


@pytest.fixture
async def passkey(api):
    """A passkey of the user's, made on the account pages, and used at the page's origin from now on."""
    return (await add_passkey(api.server, await sign_in(api.server))).but(origin="https://own.example")


async def ask(api, client_id="own-page", **more):
    """What the app asks a browser or phone for."""
    answer = await api.post("login/passkey", client_id=client_id, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def give(api, passkey, options=None, client_id="own-page", **more):
    """Sign in by a passkey that signs these options, or new ones."""
    options = options or await ask(api, client_id)
    signed = json.loads(passkey.get(options)) if isinstance(passkey, Authenticator) else passkey
    return await api.post("login", client_id=client_id, passkey=signed, **({"scope": "notes:read"} | more))


async def begin(api, client_id="own-page", user=USER):
    """What is answered to the right password."""
    answer = await api.login(client_id=client_id, username=user.username, scope="notes:read")
    assert (answer.status_code, code_of(answer)) == (401, "second_factor_needed")
    return answer.json()


@pytest.mark.product("S1")
async def test_a_passkey_alone_brings_tokens_of_two_factors(api, passkey):
    answer = await give(api, passkey)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == "notes:read"
    assert "set-cookie" not in answer.headers
    told = await api.server.introspect(answer.json()["access_token"])
    assert (told["active"], told["sub"], told["acr"]) == (True, USER.sub, "aal2")
    [grant] = await api.server.rows("SELECT acr, amr, client_id FROM grants")
    assert (grant.acr, grant.amr, grant.client_id) == ("aal2", "pop mfa", "own-page")
    [written] = await api.server.rows("SELECT detail, client_id FROM audit_events WHERE client_id = 'own-page'")
    assert "pop mfa" in str(written.detail)
    refreshed = await api.post("refresh", client_id="own-page", refresh_token=answer.json()["refresh_token"])
    assert refreshed.status_code == 200


async def test_the_options_are_the_documents_of_the_specification_and_kept_by_nobody(api):
    answer = await api.post("login/passkey", client_id="own-page")
    assert answer.headers["cache-control"] == "no-store"
    options = answer.json()
    assert options.pop("challenge")
    assert options == {
        "rpId": HOST,
        "timeout": 1_800_000,
        "allowCredentials": [],
        "userVerification": "required",
    }
    assert await api.server.rows("SELECT * FROM replays") == []


WAYS = {
    "a page of its own origin": ("own-page", "https://own.example"),
    "a page whose server asks": ("own-backend", "https://shop.example:8443"),
    "an Android app": ("phone-app", ANDROID),
    "an iOS app": ("phone-app", f"https://{HOST}"),
}


@pytest.mark.parametrize(("client_id", "origin"), WAYS.values(), ids=WAYS)
async def test_each_kind_of_app_signs_in_at_its_own_origin(api, passkey, client_id, origin):
    proof = {"client_secret": SECRET} if client_id == "own-backend" else {}
    options = await ask(api, client_id, **proof)
    answer = await give(api, passkey.but(origin=origin), options, client_id, **proof)
    assert answer.status_code == 200, answer.text


async def test_what_phones_and_browsers_say_besides_is_passed_over(api, passkey):
    signed = json.loads(passkey.but(client_data={"androidPackageName": "com.example"}).get(await ask(api)))
    signed |= {"authenticatorAttachment": "platform", "clientExtensionResults": {"prf": {}}}
    assert (await give(api, signed)).status_code == 200


WRONG = {
    "the issuer's own origin, as on its pages": ({"origin": ISSUER}, "passkey_origin"),
    "an origin that no app has": ({"origin": "https://evil.example"}, "passkey_origin"),
    "another app's origin": ({"origin": "https://shop.example:8443"}, "passkey_origin"),
    "another port": ({"origin": "https://own.example:444"}, "passkey_origin"),
    "below the app's origin": ({"origin": "https://evil.own.example"}, "passkey_origin"),
    "plain http": ({"origin": "http://own.example"}, "passkey_origin"),
    "a phone's origin at a page's app": ({"origin": ANDROID}, "passkey_origin"),
    "no origin": ({"origin": ""}, "passkey_origin"),
    "in a frame of another site": ({"client_data": {"crossOrigin": True}}, "passkey_unproven"),
    "below a page of another site": ({"client_data": {"topOrigin": "https://own.example"}}, "passkey_unproven"),
    "the app's host as RP ID": ({"rp_id": "own.example"}, "passkey_unproven"),
    "user not verified": ({"flags": PRESENT}, "passkey_unverified"),
    "user not there": ({"flags": VERIFIED}, "passkey_unproven"),
    "a registration's type": ({"type": "webauthn.create"}, "passkey_unproven"),
    "a made-up challenge": ({"client_data": {"challenge": "AAAA"}}, "passkey_challenge"),
    "no user named": ({"user_handle": None}, "passkey_of_another"),
    "another user named": ({"user_handle": OTHER_USER.id.bytes}, "passkey_of_another"),
    "another key": ({"key": Authenticator().key}, "passkey_unproven"),
    "a passkey that is not known": ({"credential_id": b"unknown"}, "passkey_unknown"),
}


@pytest.mark.attack(116)
@pytest.mark.parametrize(("changes", "code"), WRONG.values(), ids=WRONG)
async def test_what_is_not_exactly_right_brings_no_tokens(api, passkey, changes, code):
    answer = await give(api, passkey.but(**changes))
    assert (answer.status_code, code_of(answer), api.server.refusal) == (403, code, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert await api.server.rows("SELECT id FROM grants") == []


@pytest.mark.attack(116)
@pytest.mark.parametrize("origin", [ANDROID[:-1] + "A", ANDROID + "=", ANDROID.upper(), "ios:bundle-id:com.example"])
async def test_a_phone_app_that_is_not_named_in_the_settings_is_refused(api, passkey, origin):
    answer = await give(api, passkey.but(origin=origin), client_id="phone-app")
    assert (answer.status_code, code_of(answer)) == (403, "passkey_origin")


@pytest.mark.attack(116)
async def test_the_pages_still_take_their_own_origin_only(api, passkey):
    for origin in ("https://own.example", ANDROID):
        answer = await use(api.server, api.server.browser(), passkey.but(origin=origin))
        assert (answer.status_code, api.server.refusal) == (422, "passkey_origin")


@pytest.mark.attack(116)
async def test_the_same_answer_brings_tokens_once_also_where_it_comes_twice_at_a_time(api, passkey):
    signed = json.loads(passkey.get(await ask(api)))
    answers = await asyncio.gather(*(give(api, signed) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 403]
    assert code_of(await give(api, signed)) == "passkey_challenge"
    assert len(await api.server.rows("SELECT id FROM grants")) == 1


@pytest.mark.attack(116)
async def test_a_challenge_is_used_up_by_a_wrong_answer_too(api, passkey):
    options = await ask(api)
    assert (await give(api, passkey.but(flags=PRESENT), options)).status_code == 403
    assert code_of(await give(api, passkey, options)) == "passkey_challenge"


@pytest.mark.attack(116)
async def test_a_challenge_is_of_one_app_one_step_one_sign_in_and_of_no_page(api, passkey):
    """Each of these is asked of the same user; none will do in another's place, whichever way round."""
    await add_factor(api.server)
    first, second = (await begin(api))["auth_session"], (await begin(api))["auth_session"]
    phone = (await begin(api, "phone-app"))["auth_session"]
    browser = api.server.browser()
    page = await give_password(api.server, browser)
    asked = {
        "alone": await ask(api),
        "alone on the phone": await ask(api, "phone-app"),
        "first": await ask(api, auth_session=first),
        "second": await ask(api, auth_session=second),
        "phone": await ask(api, "phone-app", auth_session=phone),
        "sign-in page": read_request(await api.server.browser().get(f"{ISSUER}/login")),
        "second page": read_request(page),
    }
    for name in asked.keys() - {"alone"}:
        assert code_of(await give(api, passkey, asked[name])) == "passkey_challenge", name
    for name in asked.keys() - {"first"}:
        answer = await give(api, passkey, asked[name], auth_session=first)
        assert code_of(answer) == "passkey_challenge", name
    for name in asked.keys() - {"second page"}:
        own = passkey.but(origin=ISSUER)
        answer = await browser.post(str(page.url), hidden(page) | {"passkey": own.get(asked[name])})
        assert (answer.status_code, api.server.refusal) == (422, "passkey_challenge"), name
    assert (await give(api, passkey, asked["first"], auth_session=first)).status_code == 200


@pytest.mark.attack(116)
@pytest.mark.parametrize(("minutes", "status"), [(29, 200), (31, 403)])
async def test_a_challenge_is_good_for_half_an_hour(api, passkey, minutes, status):
    api.server.ahead = -timedelta(minutes=minutes)
    options = await ask(api)
    api.server.ahead = timedelta()
    assert (await give(api, passkey, options)).status_code == status


@pytest.mark.attack(116)
@pytest.mark.parametrize(("before", "after", "status"), [(0, 0, 200), (5, 6, 200), (5, 5, 403), (5, 4, 403)])
async def test_a_counter_that_does_not_go_up_is_a_copy_and_the_pages_count_along(api, passkey, before, after, status):
    at_home = passkey.but(counter=before, origin=ISSUER)
    assert (await use(api.server, api.server.browser(), at_home)).status_code == 303
    answer = await give(api, passkey.but(counter=after))
    assert answer.status_code == status
    assert ("passkey_copied" in await api.server.audit_events()) == (status == 403)
    if status == 403:
        assert code_of(answer) == "passkey_copied"


async def test_a_removed_passkey_is_unknown(api, passkey):
    await api.server.execute("DELETE FROM passkeys")
    assert code_of(await give(api, passkey)) == "passkey_unknown"


async def test_a_user_who_was_turned_off_reads_so_after_the_proof_only(api, passkey):
    await users.disable(api.server.operator, USER.username)
    answer = await give(api, passkey)
    assert (answer.status_code, code_of(answer)) == (403, "user_disabled")
    assert code_of(await give(api, passkey.but(key=Authenticator().key))) == "passkey_unproven"


@pytest.mark.attack(107)
async def test_whoever_locks_the_password_does_not_lock_the_passkey(api, passkey):
    for _ in range(60):
        answer = await api.login(password="wrong", scope="notes:read")
    assert answer.status_code == 429
    assert (await give(api, passkey)).status_code == 200


async def test_the_client_and_its_scope_are_judged_as_at_every_sign_in(api, passkey):
    foreign = await api.post("login/passkey", client_id=SPA.client_id)
    assert (foreign.status_code, code_of(foreign)) == (403, "client_not_first_party")
    unproven = await api.post("login/passkey", client_id="own-backend", client_secret="guessed")
    assert (unproven.status_code, code_of(unproven)) == (403, "invalid_client")
    assert code_of(await give(api, passkey, scope="mail:send")) == "invalid_scope"
    options = await ask(api)
    await operations.disable(api.server.operator, "own-page")
    await api.server.services.directory.refresh()
    assert code_of(await give(api, passkey, options)) == "invalid_client"


async def test_after_the_password_a_passkey_will_do_in_place_of_the_code(api, passkey):
    await add_factor(api.server)
    waiting = await begin(api)
    assert waiting["next"] == "totp passkey"
    options = await ask(api, auth_session=waiting["auth_session"])
    assert [one["id"] for one in options["allowCredentials"]] == [encode(passkey.credential_id)]
    assert options["userVerification"] == "preferred"
    touched = passkey.but(flags=PRESENT, user_handle=None)
    answer = await give(api, touched, options, auth_session=waiting["auth_session"])
    assert answer.status_code == 200, answer.text
    [grant] = await api.server.rows("SELECT acr, amr FROM grants")
    assert (grant.acr, grant.amr) == ("aal2", "pwd pop mfa")
    again = await give(api, touched, options, auth_session=waiting["auth_session"])
    assert code_of(again) == "second_factor_over"


async def test_a_wrong_passkey_ends_nothing_and_the_code_still_works(api, passkey):
    phone = await add_factor(api.server)
    session = (await begin(api))["auth_session"]
    options = await ask(api, auth_session=session)
    wrong = await give(api, passkey.but(origin="https://evil.example"), options, auth_session=session)
    assert code_of(wrong) == "passkey_origin"
    body = {"client_id": "own-page", "auth_session": session, "code": phone.code(), "scope": "notes:read"}
    assert (await api.post("login", **body)).status_code == 200


@pytest.mark.attack(105)
async def test_a_sign_in_that_wrong_codes_have_ended_takes_no_passkey(api, passkey):
    await add_factor(api.server)
    session = (await begin(api))["auth_session"]
    options = await ask(api, auth_session=session)
    await api.server.execute("UPDATE pending_sign_ins SET attempts = 5")
    refused = await api.post("login/passkey", client_id="own-page", auth_session=session)
    assert (refused.status_code, code_of(refused)) == (403, "second_factor_over")
    assert code_of(await give(api, passkey, options, auth_session=session)) == "second_factor_over"


@pytest.mark.attack(116)
async def test_the_second_factor_is_not_somebody_elses_passkey(api, passkey):
    await add_factor(api.server)
    stranger = await add_passkey(api.server, await sign_in(api.server, OTHER_USER))
    session = (await begin(api))["auth_session"]
    for changes in ({}, {"user_handle": None}, {"user_handle": USER.id.bytes}):
        options = await ask(api, auth_session=session)
        theirs = stranger.but(origin="https://own.example", **changes)
        assert code_of(await give(api, theirs, options, auth_session=session)) == "passkey_of_another"
    assert await api.server.rows("SELECT id FROM grants") == []


@pytest.mark.attack(101)
async def test_the_session_asks_for_nothing_in_another_app_or_too_late(api, passkey):
    await add_factor(api.server)
    session = (await begin(api))["auth_session"]
    options = await ask(api, auth_session=session)
    for client_id in ("phone-app", "own-robot"):
        foreign = await api.post("login/passkey", client_id=client_id, auth_session=session)
        assert (foreign.status_code, code_of(foreign)) == (403, "second_factor_over")
    await api.server.set_back(PendingSignIns, expires_at=timedelta(seconds=1))
    for late in (
        await api.post("login/passkey", client_id="own-page", auth_session=session),
        await give(api, passkey, options, auth_session=session),
    ):
        assert (late.status_code, code_of(late)) == (403, "second_factor_over")


@pytest.mark.attack(104)
async def test_nobody_learns_who_has_a_passkey_before_the_password_was_right(api, passkey):
    await add_factor(api.server)
    told = []
    for username in (USER.username, OTHER_USER.username, "nobody"):
        wrong = await api.login(client_id="own-page", username=username, password="not it", scope="notes:read")
        told.append({name: wrong.json().get(name) for name in ("code", "detail", "next", "auth_session")})
    assert told[0] == told[1] == told[2]
    assert told[0]["next"] is None


async def test_next_names_no_passkey_where_there_is_none_or_the_app_has_no_place_to_ask(api):
    phone = await add_factor(api.server)
    waiting = await begin(api)
    assert waiting["next"] == "totp"
    refused = await api.post("login/passkey", client_id="own-page", auth_session=waiting["auth_session"])
    assert (refused.status_code, code_of(refused)) == (403, "passkey_not_offered")
    await add_passkey(api.server, phone.browser)
    assert (await begin(api))["next"] == "totp passkey"
    waiting = await begin(api, "own-robot")
    assert waiting["next"] == "totp"
    for session in ({}, {"auth_session": waiting["auth_session"]}):
        refused = await api.post("login/passkey", client_id="own-robot", **session)
        assert (refused.status_code, code_of(refused)) == (403, "passkey_not_offered")


async def test_browsers_are_told_which_other_origins_use_our_passkeys(api):
    answer = await api.server.get("/.well-known/webauthn")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.json() == {"origins": ["https://own.example", "https://shop.example:8443"]}
    await operations.disable(api.server.operator, "own-page")
    await api.server.services.directory.refresh()
    assert (await api.server.get("/.well-known/webauthn")).json() == {"origins": ["https://shop.example:8443"]}


async def test_scripts_of_the_app_may_ask_and_no_others(api):
    for origin, allowed in (("https://own.example", "https://own.example"), ("https://evil.example", None)):
        answer = await api.server.http.options("/api/login/passkey", headers={"origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed


async def test_where_no_app_is_our_own_there_is_nothing_to_tell(server):
    assert (await server.get("/.well-known/webauthn")).status_code == 404


async def test_an_issuer_at_an_address_has_no_passkeys_for_apps_either(start_server):
    server = await start_server(issuer="http://127.0.0.1:9000")
    async with server.services.engine.begin() as tx:
        await clients.add(tx, PAGE)
    await server.services.directory.refresh()
    assert (await server.get("/.well-known/webauthn")).status_code == 404
    api = Api(server)
    signed = json.loads(Authenticator().get({"rpId": "127.0.0.1", "challenge": "AAAA"}))
    for refused in (await api.post("login/passkey", client_id="own-page"), await give(api, signed, {"": ""})):
        assert (refused.status_code, code_of(refused)) == (403, "passkey_not_offered")


async def test_on_localhost_an_app_at_another_port_shares_the_passkeys(start_server):
    server = await start_server(issuer="http://localhost:9000")
    page = replace(PAGE, token_endpoint_auth_method=AuthMethod.NONE, redirect_uris=("http://localhost:9003/callback",))
    async with server.services.engine.begin() as tx:
        await clients.add(tx, page)
    await server.services.directory.refresh()
    at_home = Authenticator(origin=server.issuer)
    passkey = await add_passkey(server, await sign_in(server), at_home)
    api = Api(server)
    assert (await ask(api))["rpId"] == "localhost"
    assert (await give(api, passkey.but(origin="http://localhost:9003"))).status_code == 200
    assert code_of(await give(api, passkey.but(origin="http://localhost:9004"))) == "passkey_origin"
    assert (await server.get("/.well-known/webauthn")).status_code == 404
