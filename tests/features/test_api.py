"""/api: the JSON API of an organisation's own apps, by what its callers see."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.oauth.values import AuthMethod, ClientType
from authserver.operations.mail import open_mail
from authserver.store import clients, outbox_queue
from authserver.store.tables import MailedCodes
from tests.oauth.examples import SECRET, USER, WEB
from tests.server import OTHER_USER, PASSWORD, SPA, basic

PHONE = replace(
    SPA,
    client_id="phone-app",
    client_name="Phone",
    type=ClientType.NATIVE,
    application_type="native",
    redirect_uris=("com.example.phone:/callback",),
    token_endpoint_auth_method=AuthMethod.NONE,
    scope=frozenset({"openid", "profile", "email", "notes:read", "notes:write"}),
    first_party=True,
    api_register=True,
)
PHRASE = "a rather long phrase"
PAGE = replace(PHONE, client_id="own-page", redirect_uris=("https://own.example/callback",), api_register=False)


@pytest.fixture
async def api(server):
    """A server with two apps of the organisation."""
    async with server.services.engine.begin() as tx:
        for client in (PHONE, PAGE):
            await clients.add(tx, client)
    await server.services.directory.refresh()
    return Api(server)


class Api:
    def __init__(self, server):
        self.server = server

    async def post(self, path, bearer=None, **body):
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return await self.server.http.post(f"/api/{path}", json=body, headers=headers)

    async def ask(self, method, path, token, **more):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self.server.http.request(method, f"/api/{path}", headers=headers, **more)

    async def login(self, username=USER.username, password=PASSWORD, client_id="phone-app", **more):
        return await self.post("login", client_id=client_id, username=username, password=password, **more)

    async def tokens(self):
        answer = await self.login(scope="notes:read openid")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def register(self, email="new@example.org", password=PHRASE, **more):
        more = {"scope": "notes:read"} | more
        return await self.post("register", client_id="phone-app", email=email, password=password, **more)

    async def mailed(self, kind):
        """The parameters of the newest mail of a kind."""
        async with self.server.services.engine.read() as tx:
            found = [mail for mail in await outbox_queue.list_all(tx) if mail.kind == kind]
        newest = max(found, key=lambda mail: mail.id)
        return open_mail(self.server.services.outbox, newest).parameters


def code_of(answer):
    return answer.json()["code"]


@pytest.mark.product("S1")
async def test_a_login_answers_with_both_tokens_and_no_cookie(api):
    answer = await api.login(scope="notes:read")
    assert answer.status_code == 200
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 300
    assert tokens["scope"] == "notes:read"
    assert tokens["refresh_token"].startswith("asr_")
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert (await api.server.introspect(tokens["access_token"]))["active"] is True
    assert "user_signed_in" in await api.server.audit_events()


@pytest.mark.product("S1")
async def test_the_api_works_without_scope_where_one_resource_is_meant_and_by_e_mail_address(api):
    answer = await api.login(username=USER.email, resource=["https://notes.example"])
    assert set(answer.json()["scope"].split()) <= {"notes:read", "notes:write"}


@pytest.mark.attack(104)
async def test_an_unknown_user_and_a_wrong_password_are_answered_alike(api):
    wrong = await api.login(password="not it", scope="notes:read")
    unknown = await api.login(username="nobody", scope="notes:read")
    assert wrong.status_code == unknown.status_code == 403
    assert wrong.headers["content-type"] == "application/problem+json"
    known = {"type", "title", "status", "detail", "code"}
    assert {name: wrong.json()[name] for name in known} == {name: unknown.json()[name] for name in known}
    assert code_of(wrong) == "password_wrong"


async def test_too_many_tries_are_429_with_the_wait_in_both_spellings(api):
    for _ in range(5):
        await api.login(password="not it", scope="notes:read")
    await api.server.begin_waits_now()
    answer = await api.login(password="not it", scope="notes:read")
    assert answer.status_code == 429
    assert answer.headers["ratelimit"] == f'"tries";r=0;t={answer.headers["retry-after"]}'


@pytest.mark.product("S2", "S6")
async def test_refresh_replaces_the_pair_and_logout_ends_it(api):
    tokens = await api.tokens()
    pair = (await api.post("refresh", client_id="phone-app", refresh_token=tokens["refresh_token"])).json()
    assert pair["access_token"] != tokens["access_token"]
    assert (await api.post("logout", client_id="phone-app", token=pair["refresh_token"])).status_code == 204
    gone = await api.post("refresh", client_id="phone-app", refresh_token=pair["refresh_token"])
    assert (gone.status_code, code_of(gone)) == (400, "invalid_grant")
    assert (await api.server.introspect(pair["access_token"]))["active"] is False
    assert (await api.post("logout", client_id="phone-app", token="unknown")).status_code == 204


async def test_a_refresh_token_of_another_app_is_refused_and_stays_good(api):
    tokens = await api.tokens()
    foreign = await api.post("refresh", client_id="own-page", refresh_token=tokens["refresh_token"])
    assert (foreign.status_code, code_of(foreign)) == (400, "invalid_grant")
    assert (await api.post("refresh", client_id="phone-app", refresh_token=tokens["refresh_token"])).status_code == 200


async def test_only_the_organisations_own_apps_may_ask(api):
    answer = await api.login(client_id=SPA.client_id, scope="notes:read")
    assert (answer.status_code, code_of(answer)) == (403, "client_not_first_party")
    unknown = await api.login(client_id="nobody", scope="notes:read")
    assert (unknown.status_code, code_of(unknown)) == (403, "invalid_client")
    assert "www-authenticate" not in unknown.headers  # a browser would ask its user for a password
    foreign = await api.server.code_flow(SPA, scope="openid notes:read")
    answer = await api.ask("GET", "profile", foreign["access_token"])
    assert (answer.status_code, code_of(answer)) == (403, "client_not_first_party")


async def test_a_confidential_app_proves_itself(api, server):
    own = replace(WEB, client_id="own-backend", first_party=True)
    async with server.services.engine.begin() as tx:
        await clients.add(tx, own)
    await server.services.directory.refresh()
    body = {"client_id": "own-backend", "username": USER.username, "password": PASSWORD, "scope": "notes:read"}
    assert (await api.post("login", **body)).status_code == 403
    assert (await api.post("login", **body, client_secret="guessed")).status_code == 403
    headers = {"authorization": basic("own-backend", SECRET)}
    assert (await server.http.post("/api/login", json=body, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/client_id", "/username", "/password"}),
        ({"client_id": "phone-app", "username": "ann", "pasword": "x"}, {"/password", "/pasword"}),
        ({"client_id": 7, "username": ["ann"], "password": None}, {"/client_id", "/username", "/password"}),
        ({"client_id": "phone-app", "username": "a" * 321, "password": "p"}, {"/username"}),
    ],
)
async def test_every_fault_of_a_body_is_named_at_once(api, body, pointers):
    answer = await api.server.http.post("/api/login", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "fields_invalid"
    assert {error["pointer"] for error in problem["errors"]} == pointers
    if "pasword" in body:
        assert any("did you mean password?" in error["detail"] for error in problem["errors"])


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "body_malformed"),
        (b"[]", "application/json", 400, "body_malformed"),
        (b"\xff", "application/json", 400, "body_malformed"),
        (b"", "application/json", 400, "body_malformed"),
        (b"username=ann", "application/x-www-form-urlencoded", 415, "content_type_wrong"),
        (b'"' + b"a" * 70_000 + b'"', "application/json", 413, "body_too_large"),
        (b"[" * 5000, "application/json", 400, "body_malformed"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem_and_never_a_500(api, content, media_type, status, code):
    answer = await api.server.http.post("/api/login", content=content, headers={"content-type": media_type})
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_a_problem_leads_to_a_page_that_says_what_it_means(api):
    answer = await api.login(password="not it", scope="notes:read")
    page = await api.server.http.get(answer.json()["type"], headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "wrong password" in page.text
    assert (await api.server.get("/docs/problems/nothing", accept="text/html")).status_code == 404


async def test_only_origins_of_our_own_apps_may_read_answers(api):
    allowed = await api.server.http.post("/api/login", json={}, headers={"origin": "https://own.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://own.example"
    assert "access-control-allow-credentials" not in allowed.headers
    foreign = await api.server.http.post("/api/login", json={}, headers={"origin": "https://spa.example"})
    assert "access-control-allow-origin" not in foreign.headers
    preflight = await api.server.http.request(
        "OPTIONS", "/api/profile", headers={"origin": "https://own.example", "access-control-request-method": "PATCH"}
    )
    assert "PATCH" in preflight.headers["access-control-allow-methods"]


# --- accounts --------------------------------------------------------------------------------------------------------


@pytest.mark.product("S7")
async def test_a_new_account_works_at_once_and_verification_opens_what_it_lacks(api):
    made = await api.register(name="New", username="newcomer")
    assert made.status_code == 201, made.text
    document = made.json()
    assert (await api.server.introspect(document["access_token"]))["active"] is True
    code = (await api.mailed("verify_email"))["code"]
    verified = await api.post(
        "verify",
        client_id="phone-app",
        verification_id=document["verification_id"],
        code=code,
        refresh_token=document["refresh_token"],
    )
    assert verified.status_code == 200, verified.text
    profile = (await api.ask("GET", "profile", verified.json()["access_token"])).json()
    assert (profile["email"], profile["email_verified"], profile["username"]) == ("new@example.org", True, "newcomer")


async def test_an_address_that_is_somebody_elses_is_taken_and_can_never_be_verified(api):
    known, new = await api.register(email=USER.email), await api.register()
    assert known.status_code == new.status_code == 201
    assert known.json().keys() == new.json().keys()
    assert "code" not in await api.mailed("account_exists_notice")
    document = known.json()
    answer = await api.post(
        "verify",
        client_id="phone-app",
        verification_id=document["verification_id"],
        code="000000",
        refresh_token=document["refresh_token"],
    )
    assert (answer.status_code, code_of(answer)) == (403, "mailed_code_wrong")


async def test_all_that_is_wrong_with_a_new_account_is_said_at_once(api):
    answer = await api.register(email="nowhere", password="password", username="a b")
    assert answer.status_code == 422
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/email", "/password", "/username"}
    taken = await api.register(username=OTHER_USER.username)
    assert (taken.status_code, code_of(taken)) == (409, "username_taken")


async def test_a_client_that_was_not_let_makes_no_accounts(api):
    answer = await api.post("register", client_id="own-page", email="new@example.org", password="a rather long phrase")
    assert (answer.status_code, code_of(answer)) == (403, "sign_up_not_offered")


async def test_a_new_code_is_sent_after_a_while_and_the_old_one_is_dead(api):
    document = (await api.register()).json()
    first = (await api.mailed("verify_email"))["code"]
    token = document["access_token"]
    early = await api.post("verify/resend", token, verification_id=document["verification_id"])
    assert early.status_code == 429
    await api.server.set_back(MailedCodes, created_at=timedelta(minutes=2))
    sent = await api.post("verify/resend", token, verification_id=document["verification_id"])
    assert sent.status_code == 202, sent.text
    assert sent.json()["expires_in"] == 600
    old = await api.post(
        "verify",
        client_id="phone-app",
        verification_id=document["verification_id"],
        code=first,
        refresh_token=document["refresh_token"],
    )
    assert (old.status_code, code_of(old)) == (403, "mailed_code_used")


# --- passwords -------------------------------------------------------------------------------------------------------


@pytest.mark.product("S8", "S10")
async def test_a_forgotten_password_is_reset_by_code_and_everything_else_is_dead(api):
    tokens = await api.tokens()
    asked = await api.post("password/forgot", client_id="phone-app", email=USER.email)
    unknown = await api.post("password/forgot", client_id="phone-app", email="nobody@example.net")
    assert asked.status_code == unknown.status_code == 202
    assert asked.json().keys() == unknown.json().keys()
    code = (await api.mailed("reset_password"))["code"]
    body = {"client_id": "phone-app", "reset_id": asked.json()["id"], "code": code}
    weak = await api.post("password/reset", **body, new_password="password")
    assert weak.status_code == 422
    assert weak.json()["errors"][0]["pointer"] == "/new_password"
    done = await api.post("password/reset", **body, new_password="a rather long phrase")
    assert done.status_code == 200, done.text
    assert done.json()["grants_revoked"] == 1
    assert (await api.server.introspect(tokens["access_token"]))["active"] is False
    assert (await api.login(password="a rather long phrase", scope="notes:read")).status_code == 200
    again = await api.post("password/reset", **body, new_password="another long phrase")
    assert (again.status_code, code_of(again)) == (403, "mailed_code_used")


async def test_whoever_asked_to_be_deleted_may_still_set_a_new_password(api):
    await api.server.execute(f"UPDATE users SET delete_at = '2999-01-01 00:00:00+00' WHERE email = '{USER.email}'")
    asked = await api.post("password/forgot", client_id="phone-app", email=USER.email)
    code = (await api.mailed("reset_password"))["code"]
    body = {"client_id": "phone-app", "reset_id": asked.json()["id"], "code": code}
    done = await api.post("password/reset", **body, new_password="a rather long phrase")
    assert done.status_code == 200, done.text


async def test_a_changed_password_signs_out_everywhere_but_here(api):
    here, there = await api.tokens(), await api.tokens()
    wrong = await api.post(
        "password/change", here["access_token"], current_password="not it", new_password="a rather long phrase"
    )
    assert (wrong.status_code, code_of(wrong)) == (403, "password_wrong")
    done = await api.post(
        "password/change", here["access_token"], current_password=PASSWORD, new_password="a rather long phrase"
    )
    assert done.status_code == 200, done.text
    assert (await api.server.introspect(here["access_token"]))["active"] is True
    assert (await api.server.introspect(there["access_token"]))["active"] is False


# --- people ----------------------------------------------------------------------------------------------------------


@pytest.mark.product("S10")
async def test_a_profile_is_shown_and_changed_member_by_member(api):
    token = (await api.tokens())["access_token"]
    changed = await api.ask("PATCH", "profile", token, json={"nickname": "Annie", "locale": "de"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["nickname"], changed.json()["locale"]) == ("Annie", "de")
    removed = (await api.ask("PATCH", "profile", token, json={"nickname": None})).json()
    assert (removed["nickname"], removed["locale"]) == (None, "de")
    assert (await api.ask("GET", "profile", token)).json() == removed


@pytest.mark.attack(114)
@pytest.mark.parametrize("member", ["email", "email_verified", "sub", "username", "is_admin"])
async def test_nobody_proves_an_address_by_writing_so(api, member):
    token = (await api.tokens())["access_token"]
    answer = await api.ask("PATCH", "profile", token, json={member: True})
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {
        "pointer": f"/{member}",
        "code": "unknown",
        "detail": answer.json()["errors"][0]["detail"],
    }


async def test_wrong_members_of_a_profile_are_said_at_once(api):
    token = (await api.tokens())["access_token"]
    answer = await api.ask("PATCH", "profile", token, json={"picture": "javascript:alert(1)", "zoneinfo": "Nowhere"})
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/picture", "/zoneinfo"}


async def test_sessions_are_listed_and_one_of_them_is_ended_from_another(api):
    here, there = await api.tokens(), await api.tokens()
    listed = (await api.ask("GET", "sessions", here["access_token"])).json()["sessions"]
    assert [place["kind"] for place in listed] == ["app", "app"]
    (other,) = [place for place in listed if not place["is_current"]]
    assert (await api.ask("DELETE", f"sessions/{other['id']}", here["access_token"])).status_code == 204
    assert (await api.server.introspect(there["access_token"]))["active"] is False
    assert (await api.server.introspect(here["access_token"]))["active"] is True


@pytest.mark.attack(120)
async def test_nobody_ends_the_session_of_somebody_else(api):
    mine = await api.tokens()
    theirs = (await api.login(username=OTHER_USER.username, scope="notes:read")).json()
    (place,) = (await api.ask("GET", "sessions", theirs["access_token"])).json()["sessions"]
    assert (await api.ask("DELETE", f"sessions/{place['id']}", mine["access_token"])).status_code == 204
    assert (await api.server.introspect(theirs["access_token"]))["active"] is True


@pytest.mark.parametrize("method_and_path", ["GET profile", "PATCH profile", "GET sessions", "POST verify/resend"])
async def test_without_a_live_access_token_there_is_no_person(api, method_and_path):
    method, path = method_and_path.split()
    more = {} if method == "GET" else {"json": {}}
    nobody = await api.ask(method, path, None, **more)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    tokens = await api.tokens()
    await api.post("logout", client_id="phone-app", token=tokens["refresh_token"])
    revoked = await api.ask(method, path, tokens["access_token"], **more)
    assert (revoked.status_code, code_of(revoked)) == (401, "invalid_token")


async def test_a_refusal_is_logged_once_with_its_rule_and_the_password_nowhere(api):
    await api.login(password="my secret words", scope="notes:read")
    assert api.server.refusal == "password_wrong"
    assert not re.search("my secret words", str(api.server.log))
