"""The address that takes logout tokens: whom it believes, and what ends (Back-Channel Logout §2.5 to §2.8)."""

from __future__ import annotations

import time

import pytest
from joserfc.jwk import ECKey
from logout import EVENT, LEEWAY, TYPE, Ended

SID = "0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11"
GOOD = {"aud": "demo-web", "sid": SID, "jti": "one", "events": {EVENT: {}}}


@pytest.fixture
async def signed_in(browser, issuer):
    """A browser signed in through a session that the ID token names."""
    issuer.claims = {"sid": SID}
    sent = await browser.get("/")
    await browser.get(issuer.answer(sent.headers["location"]))
    assert (await browser.get("/")).status_code == 200
    return browser


def sign(issuer, typ=TYPE, **changed):
    """Return a logout token with these claims changed; ``...`` leaves one out."""
    now = int(time.time())
    claims = GOOD | {"exp": now + 120} | changed
    everything = {"iss": issuer.url, "sub": "ann", "iat": now} | claims
    return issuer.sign({name: value for name, value in everything.items() if value is not ...}, typ=typ)


async def post(browser, token):
    return await browser.post("/backchannel-logout", data={"logout_token": token}, headers={"cookie": ""})


async def is_signed_in(browser):
    return (await browser.get("/")).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="the session"),
        pytest.param({"sub": None}, id="the session without the user"),
        pytest.param({"sid": None}, id="every session of the user"),
        pytest.param({"aud": ["other", "demo-web"]}, id="several audiences"),
        pytest.param({"events": {EVENT: {"more": 1}}, "more": 1}, id="more than is understood"),
    ],
)
async def test_a_logout_token_ends_the_session_it_is_about(signed_in, issuer, changed):
    answer = await post(signed_in, sign(issuer, **changed))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert "set-cookie" not in answer.headers
    assert not await is_signed_in(signed_in)


@pytest.mark.parametrize("changed", [{"sid": "another"}, {"sub": "bob"}, {"sub": "bob", "sid": None}])
async def test_it_ends_no_other_session(signed_in, issuer, changed):
    assert (await post(signed_in, sign(issuer, **changed))).status_code == 200
    assert await is_signed_in(signed_in)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        pytest.param({"typ": "JWT"}, "typ is not", id="an ID token's type"),
        pytest.param({"typ": "at+jwt"}, "typ is not", id="an access token's type"),
        pytest.param({"iss": "https://evil.example"}, "iss", id="another issuer"),
        pytest.param({"aud": "other"}, "aud", id="another client"),
        pytest.param({"aud": ...}, "aud", id="no audience"),
        pytest.param({"exp": None}, "exp", id="no end"),
        pytest.param({"iat": None}, "iat", id="no beginning"),
        pytest.param({"exp": True}, "expired", id="an end that is no time"),
        pytest.param({"iat": 0, "exp": 120}, "expired", id="long over"),
        pytest.param({"iat": 2**40, "exp": 2**40}, "future", id="not begun"),
        pytest.param({"exp": 2**40}, "too long", id="lives for ever"),
        pytest.param({"sub": None, "sid": None}, "nobody", id="about nobody"),
        pytest.param({"sub": ["ann"]}, "nobody", id="a sub that is no text"),
        pytest.param({"events": ...}, "events", id="no events"),
        pytest.param({"events": {"https://other.example/event": {}}}, "events", id="another event"),
        pytest.param({"events": {EVENT: True}}, "events", id="an event that is no object"),
        pytest.param({"nonce": "n"}, "nonce", id="a nonce"),
        pytest.param({"jti": ...}, "jti", id="no jti"),
    ],
)
async def test_what_is_no_logout_token_for_this_app_ends_nothing(signed_in, issuer, changed, why):
    answer = await post(signed_in, sign(issuer, **changed))
    assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")
    assert answer.json()["error"] == "invalid_request"
    assert why in answer.json()["error_description"]
    assert await is_signed_in(signed_in)


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "e30.e30."])
async def test_what_is_no_jwt_ends_nothing(signed_in, token):
    assert (await post(signed_in, token)).status_code == 400
    assert await is_signed_in(signed_in)


@pytest.mark.parametrize("kid", ["k1", "k2"])
async def test_what_another_key_signed_ends_nothing(signed_in, issuer, kid):
    issuer.key = ECKey.generate_key("P-256", {"kid": kid})
    assert (await post(signed_in, sign(issuer))).status_code == 400
    assert await is_signed_in(signed_in)


async def test_keys_that_are_new_are_fetched_but_seldom(signed_in, issuer):
    for kid, status in (("k2", 200), ("k3", 400)):
        issuer.key = issuer.published_key = ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256", "use": "sig"})
        assert (await post(signed_in, sign(issuer, jti=kid))).status_code == status


async def test_each_is_taken_once(signed_in, issuer):
    token = sign(issuer)
    assert (await post(signed_in, token)).status_code == 200
    again = await post(signed_in, token)
    assert (again.status_code, "before" in again.json()["error_description"]) == (400, True)
    assert (await post(signed_in, sign(issuer, jti="two"))).status_code == 200


async def test_without_the_issuers_keys_it_is_to_be_tried_again(browser, issuer):
    issuer.silent = True
    assert (await post(browser, "a.b.c")).status_code == 503


async def test_a_clock_that_differs_a_little_is_forgiven(signed_in, issuer):
    now = int(time.time())
    assert (await post(signed_in, sign(issuer, iat=now - 150, exp=now - LEEWAY + 5))).status_code == 200
    assert not await is_signed_in(signed_in)


async def test_nobody_gets_there_by_a_link(browser):
    assert (await browser.get("/backchannel-logout")).status_code == 405


def test_a_session_that_nobody_signed_in_to_is_not_meant():
    assert not Ended(sub="ann", sid=None).means({"csrf": "x"})
