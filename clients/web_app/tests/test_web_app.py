"""The sample app: who is sent where, what is kept where, and what a person sees when the issuer says no."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from issuer import LEEWAY
from joserfc.jwk import ECKey
from sessions import COOKIE, ServerSessions, Session
from web_app import decoded, shown_token


def query_of(location):
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def csrf_of(browser):
    return re.search(r'name="csrf" value="([^"]+)"', (await browser.get("/")).text)[1]


async def press(browser, path):
    return await browser.post(path, data={"csrf": await csrf_of(browser)})


def access_token_number(page):
    return int(re.search(r"&#34;access-(\d+)&#34;", page.text)[1])


# --- signing in ------------------------------------------------------------------------------------------------------


async def test_who_is_not_signed_in_is_sent_to_the_issuer_with_everything_a_code_flow_needs(browser, issuer):
    sent = await browser.get("/")
    assert sent.status_code == 302
    assert sent.headers["location"].startswith(f"{issuer.url}/authorize?")
    query = query_of(sent.headers["location"])
    assert query["response_type"] == "code"
    assert query["client_id"] == "demo-web"
    assert query["redirect_uri"] == "http://localhost:9002/callback"
    assert query["scope"] == "openid profile api:read"
    assert query["resource"] == "http://localhost:9001"
    assert query["code_challenge_method"] == "S256"
    assert len(query["state"]) >= 22
    assert len(query["nonce"]) >= 20


async def test_the_code_is_redeemed_with_the_verifier_of_its_challenge(browser, issuer):
    location = (await browser.get("/")).headers["location"]
    await browser.get(issuer.answer(location))
    (form,) = issuer.redeemed
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == query_of(location)["code_challenge"]
    assert form["redirect_uri"] == "http://localhost:9002/callback"


async def test_home_shows_both_tokens_decoded_with_their_age(signed_in):
    page = await signed_in.get("/")
    assert page.status_code == 200
    assert "at+jwt" in page.text
    assert access_token_number(page) == 0
    assert "&#34;aud&#34;: &#34;demo-web&#34;" in page.text
    assert re.search(r"Issued <span data-since=\"\d+\">\d</span> s ago", page.text)
    assert re.search(r"expires in <span data-until=\"\d+\">(300|29\d)</span> s", page.text)


async def test_home_shows_of_the_refresh_token_only_a_fingerprint_and_another_one_after_a_renewal(signed_in):
    def shown(page):
        return re.search(r'id="refresh-token">.*?<pre[^>]*>([0-9a-f]{16})</pre>', page.text, re.DOTALL)[1]

    before = shown(await signed_in.get("/"))
    await press(signed_in, "/experiment")
    page = await signed_in.get("/")
    assert shown(page) != before
    assert "refresh-" not in page.text.replace('"refresh-token"', "")


async def test_the_name_comes_from_userinfo_and_without_it_the_subject_must_do(signed_in, issuer):
    assert "Hello, Ann &lt;Example&gt;" in (await signed_in.get("/")).text
    await press(signed_in, "/logout")
    issuer.about = {}
    sent = await signed_in.get("/")
    await signed_in.get(issuer.answer(sent.headers["location"]))
    assert "Hello, ann" in (await signed_in.get("/")).text


async def test_userinfo_about_someone_else_signs_nobody_in(browser, issuer):
    issuer.about = {"sub": "mallory", "name": "Mallory"}
    sent = await browser.get("/")
    page = await browser.get(issuer.answer(sent.headers["location"]))
    assert page.status_code == 502
    assert "someone else" in page.text
    assert (await browser.get("/")).status_code == 302


async def test_the_browser_gets_a_random_id_and_no_token(browser, issuer):
    sent = await browser.get("/")
    back = await browser.get(issuer.answer(sent.headers["location"]))
    page = await browser.get("/")
    for answer in (sent, back, page):
        everything = answer.text + str(answer.headers)
        assert "refresh-1" not in everything
        assert not re.search(r"eyJ[\w-]+\.[\w-]+\.", everything)
    for answer in (sent, back):
        assert re.fullmatch(rf"{COOKIE}=[\w-]{{43}}; Path=/; HttpOnly; SameSite=Lax", answer.headers["set-cookie"])
    assert "set-cookie" not in page.headers


async def test_signing_in_changes_the_session_id_and_the_old_one_is_dead(browser, issuer):
    location = (await browser.get("/")).headers["location"]
    before = browser.cookies[COOKIE]
    await browser.get(issuer.answer(location))
    after = browser.cookies[COOKIE]
    assert after != before
    browser.cookies.clear()
    assert (await browser.get("/", headers={"cookie": f"{COOKIE}={before}"})).status_code == 302
    assert (await browser.get("/", headers={"cookie": f"{COOKIE}={after}"})).status_code == 200


async def test_a_session_id_that_was_planted_is_not_taken(browser):
    answer = await browser.get("/", headers={"cookie": f"{COOKIE}=planted"})
    assert answer.status_code == 302
    assert "planted" not in answer.headers["set-cookie"]


async def test_a_reload_of_the_callback_leads_home(signed_in):
    again = await signed_in.get("/callback?code=c0de&state=spent&iss=anything")
    assert (again.status_code, again.headers["location"]) == (303, "/")


# --- answers that must not count -------------------------------------------------------------------------------------


@pytest.mark.parametrize("iss", ["https://evil.example", None])
async def test_an_answer_of_another_issuer_or_of_none_is_refused_before_the_code_is_sent(browser, issuer, iss):
    location = (await browser.get("/")).headers["location"]
    page = await browser.get(issuer.answer(location, iss=iss))
    assert page.status_code == 400
    assert "not from our issuer" in page.text
    assert issuer.redeemed == []
    assert (await browser.get("/")).status_code == 302


@pytest.mark.parametrize("state", ["foreign", None])
async def test_an_answer_with_a_foreign_state_is_refused(browser, issuer, state):
    location = (await browser.get("/")).headers["location"]
    page = await browser.get(issuer.answer(location, state=state))
    assert page.status_code == 400
    assert "This sign-in is over" in page.text
    assert issuer.redeemed == []


async def test_an_answer_to_another_browser_is_refused(browser, issuer):
    location = (await browser.get("/")).headers["location"]
    browser.cookies.clear()
    assert (await browser.get(issuer.answer(location))).status_code == 400
    assert issuer.redeemed == []


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"nonce": "another"}, id="nonce"),
        pytest.param({"aud": "another-app"}, id="audience"),
        pytest.param({"iss": "https://evil.example"}, id="issuer"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"sub": None}, id="subject"),
    ],
)
async def test_an_id_token_that_does_not_fit_signs_nobody_in(browser, issuer, claims):
    issuer.claims = claims
    location = (await browser.get("/")).headers["location"]
    page = await browser.get(issuer.answer(location))
    assert page.status_code == 502
    assert "could not be checked" in page.text
    assert (await browser.get("/")).status_code == 302


async def test_an_id_token_of_another_key_signs_nobody_in(browser, issuer):
    issuer.key = ECKey.generate_key("P-256", {"kid": "k1"})
    location = (await browser.get("/")).headers["location"]
    assert (await browser.get(issuer.answer(location))).status_code == 502


async def test_a_refusal_of_the_issuer_is_shown_as_a_page_and_escaped(browser, issuer):
    location = (await browser.get("/")).headers["location"]
    page = await browser.get(
        issuer.answer(location, code=None, error="x", error_description="<script>alert(1)</script>")
    )
    assert page.status_code == 400
    assert "&lt;script&gt;" in page.text
    assert "<script>alert" not in page.text


async def test_who_did_not_allow_it_is_told_so(browser, issuer):
    location = (await browser.get("/")).headers["location"]
    page = await browser.get(issuer.answer(location, code=None, error="access_denied"))
    assert "You did not allow this app to sign you in." in page.text


# --- renewing --------------------------------------------------------------------------------------------------------


async def test_the_button_renews_the_pair_and_asks_the_api_with_the_new_token(signed_in, issuer):
    done = await press(signed_in, "/experiment")
    assert (done.status_code, done.headers["location"]) == (303, "/#answer")
    page = await signed_in.get("/")
    assert access_token_number(page) == 1
    assert "&#34;measured&#34;: 42" in page.text
    assert "Renewed 1 time " in page.text
    assert decoded(issuer.api_tokens[0])[1]["jti"] == "access-1"
    await press(signed_in, "/experiment")
    assert issuer.presented == ["refresh-1", "refresh-2"]


async def test_on_return_with_an_expired_access_token_one_is_still_signed_in(browser, issuer):
    issuer.lifetime = LEEWAY - 1
    location = (await browser.get("/")).headers["location"]
    await browser.get(issuer.answer(location))
    issuer.lifetime = 300
    assert access_token_number(await browser.get("/")) == 1
    assert access_token_number(await browser.get("/")) == 1


async def test_parallel_tabs_never_present_one_refresh_token_twice(signed_in, issuer):
    csrf = await csrf_of(signed_in)
    answers = await asyncio.gather(*(signed_in.post("/experiment", data={"csrf": csrf}) for _ in range(8)))
    assert [answer.headers["location"] for answer in answers] == ["/#answer"] * 8
    assert issuer.presented == [f"refresh-{number}" for number in range(1, 9)]


async def test_when_the_issuer_gives_no_more_tokens_one_signs_in_again(signed_in, issuer):
    issuer.refuse_refresh = "invalid_grant"
    assert (await press(signed_in, "/experiment")).headers["location"] == "/login"
    assert (await signed_in.get("/")).status_code == 302


async def test_a_new_id_token_about_someone_else_is_refused(signed_in, issuer):
    issuer.claims = {"sub": "mallory"}
    page = await press(signed_in, "/experiment")
    assert page.status_code == 502
    assert "someone else" in page.text


async def test_a_silent_issuer_is_a_page_and_loses_nothing(signed_in, issuer):
    csrf = await csrf_of(signed_in)
    issuer.silent = True
    page = await signed_in.post("/experiment", data={"csrf": csrf})
    assert page.status_code == 503
    assert "does not answer" in page.text
    issuer.silent = False
    assert (await press(signed_in, "/experiment")).headers["location"] == "/#answer"


async def test_a_silent_issuer_before_anyone_signed_in_is_a_page_too(browser, issuer):
    issuer.silent = True
    page = await browser.get("/")
    assert page.status_code == 503
    assert "does not answer" in page.text


# --- signing out -----------------------------------------------------------------------------------------------------


async def test_signing_out_revokes_the_refresh_token_forgets_everything_and_goes_to_the_issuer(signed_in, issuer):
    before = signed_in.cookies[COOKIE]
    done = await press(signed_in, "/logout")
    assert issuer.revoked == ["refresh-1"]
    assert done.status_code == 303
    assert done.headers["location"].startswith(f"{issuer.url}/end_session?")
    query = query_of(done.headers["location"])
    assert decoded(query["id_token_hint"])[1]["sub"] == "ann"
    assert query["post_logout_redirect_uri"] == "http://localhost:9002/signed-out"
    assert done.headers["set-cookie"] == f"{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
    assert (await signed_in.get("/", headers={"cookie": f"{COOKIE}={before}"})).status_code == 302
    assert "You are signed out" in (await signed_in.get("/signed-out")).text


async def test_signing_out_works_while_the_issuer_is_silent(signed_in, issuer):
    csrf = await csrf_of(signed_in)
    issuer.silent = True
    done = await signed_in.post("/logout", data={"csrf": csrf})
    assert done.status_code == 303
    assert COOKIE not in signed_in.cookies


@pytest.mark.parametrize("path", ["/logout", "/experiment"])
@pytest.mark.parametrize("data", [{}, {"csrf": ""}, {"csrf": "guessed"}, {"csrf": "gu\u00e9ssed"}])
async def test_a_form_that_is_not_ours_does_nothing(signed_in, issuer, path, data):
    await signed_in.get("/")
    page = await signed_in.post(path, data=data)
    assert page.status_code == 403
    assert "This form is too old" in page.text
    assert issuer.presented == issuer.revoked == []
    assert (await signed_in.get("/")).status_code == 200


# --- pages and sessions ----------------------------------------------------------------------------------------------


async def test_every_page_is_uncached_unframed_and_loads_its_own_files_only(signed_in, issuer):
    for path in ("/", "/signed-out", "/nowhere"):
        page = await signed_in.get(path)
        assert page.headers["cache-control"] == "no-store"
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert f"form-action 'self' {issuer.url}" in policy
        assert re.findall(r'(?:src|rel="\w+" href)="([^"]+)"', page.text)
        assert all(address.startswith("/static/") for address in re.findall(r'src="([^"]+)"', page.text))


def test_a_token_that_is_no_jwt_is_shown_as_it_is():
    assert shown_token("Access token", "opaque.but.dotted")["text"] == "opaque.but.dotted"
    assert shown_token("Access token", "opaque")["age"] is None


async def run(sessions, session_id, use):
    """Send one request with a cookie through the middleware; return the cookie it sets."""

    async def app(scope, _receive, send):
        use(scope["session"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sessions.app = app
    sent = []

    async def send(message):
        sent.append(message)

    cookie = f"{COOKIE}={session_id}".encode()
    await sessions({"type": "http", "headers": [(b"cookie", cookie)] if session_id else []}, None, send)
    cookies = [value.decode() for name, value in sent[0]["headers"] if name == b"set-cookie"]
    return re.match(r"[^=]+=([^;]*)", cookies[0])[1] if cookies else None


async def test_a_session_ends_when_it_was_not_used_for_its_lifetime():
    sessions = ServerSessions(None, secure=True, lifetime=0)
    seen: list[Session] = []
    session_id = await run(sessions, None, lambda session: session.update(user="ann"))
    await run(sessions, session_id, seen.append)
    assert seen[0] == {}


async def test_of_too_many_sessions_the_one_unused_for_longest_goes():
    sessions = ServerSessions(None, secure=True, limit=2)
    first, second = [await run(sessions, None, lambda session: session.update(user="ann")) for _ in range(2)]
    await run(sessions, first, lambda _: None)
    await run(sessions, None, lambda session: session.update(user="ann"))
    seen: list[Session] = []
    await run(sessions, first, seen.append)
    await run(sessions, second, seen.append)
    assert seen == [{"user": "ann"}, {}]


async def test_a_session_in_which_nothing_was_kept_sets_no_cookie():
    assert await run(ServerSessions(None, secure=True), None, lambda _: None) is None
