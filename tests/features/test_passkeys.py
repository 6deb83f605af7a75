"""Sign-in with a passkey, alone or as the second factor: SECURITY rows 17, 98, 104, 107 and 116."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from authserver.operations import users
from authserver.store.tables import PendingSignIns, Sessions
from tests.features.account_pages import hidden, main_text, newest_session, sign_in
from tests.features.authenticator import (
    ELIGIBLE,
    PRESENT,
    SYNCED,
    VERIFIED,
    Authenticator,
    add_passkey,
    read_request,
    read_signal,
    use,
)
from tests.features.factors import add_factor, give_password
from tests.features.test_second_factor import ESSENTIAL
from tests.mailbox import mails
from tests.oauth.examples import ISSUER, USER
from tests.server import OTHER_USER, answer_of, is_signed_in

HOST = urlsplit(ISSUER).hostname


@pytest.fixture
async def passkey(server):
    """A passkey of the user's, made in a browser of its own."""
    return await add_passkey(server, await sign_in(server))


async def test_a_passkey_alone_signs_in_with_two_factors(server, passkey):
    browser = server.browser()
    answer = await use(server, browser, passkey)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert await is_signed_in(server, browser)
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal2", "pop mfa")
    written = await server.rows("SELECT detail FROM audit_events WHERE event = 'user_signed_in' ORDER BY id")
    assert "pop mfa" in str(written[-1].detail)


async def test_the_page_asks_for_any_passkey_of_this_host_and_for_its_user(server, passkey):
    request = read_request(await server.browser().get(f"{server.issuer}/login"))
    assert (request["rpId"], request["allowCredentials"]) == (HOST, [])
    assert request["userVerification"] == "required"


async def test_an_apps_sign_in_goes_on_and_the_cookies_are_new(server, passkey):
    browser = server.browser()
    browser.cookies["__Host-session"] = "asn_planted"
    page = await browser.open(server.authorization_url())
    page = await browser.follow(await use(server, browser, passkey, page))
    assert page.url.path.startswith("/consent/")
    assert browser.cookies["__Host-session"] != "asn_planted"


async def test_a_browser_not_seen_before_is_news_to_the_owner_and_known_from_then_on(server, passkey):
    browser = server.browser()
    await use(server, browser, passkey)
    assert "__Host-device" in browser.cookies
    assert [mail.kind for mail in await mails(server, USER.email)].count("new_device") == 1


async def test_a_shared_computer_keeps_the_session_no_longer_than_the_browser(server, passkey):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    form = hidden(page) | {"passkey": passkey.get(read_request(page)), "shared_computer": "yes"}
    await browser.post(str(page.url), form)
    [line] = [line for line in browser.cookie_lines if line.startswith("__Host-session=")]
    assert "max-age" not in line.lower()
    assert "__Host-device" not in browser.cookies


CHANGED = {
    "user not verified": ({"flags": PRESENT}, "passkey_unverified"),
    "user not there": ({"flags": VERIFIED}, "passkey_unproven"),
    "another RP ID": ({"rp_id": "example.net"}, "passkey_unproven"),
    "the host's parent as RP ID": ({"rp_id": HOST.partition(".")[2]}, "passkey_unproven"),
    "another origin": ({"origin": "https://id.example.net"}, "passkey_origin"),
    "a port at the origin": ({"origin": f"{ISSUER}:8443"}, "passkey_origin"),
    "a subdomain as origin": ({"origin": f"https://evil.{HOST}"}, "passkey_origin"),
    "plain http": ({"origin": ISSUER.replace("https", "http")}, "passkey_origin"),
    "a registration's type": ({"type": "webauthn.create"}, "passkey_unproven"),
    "in a frame of another site": ({"client_data": {"crossOrigin": True}}, "passkey_unproven"),
    "below a page of another site": ({"client_data": {"topOrigin": "https://evil.example"}}, "passkey_unproven"),
    "a made-up challenge": ({"client_data": {"challenge": "AAAA"}}, "passkey_challenge"),
    "no user named": ({"user_handle": None}, "passkey_of_another"),
    "another user named": ({"user_handle": OTHER_USER.id.bytes}, "passkey_of_another"),
    "another key": ({"key": Authenticator().key}, "passkey_unproven"),
    "synced without being able to": ({"flags": PRESENT | VERIFIED | SYNCED}, "passkey_unproven"),
    "a passkey that is not known": ({"credential_id": b"unknown"}, "passkey_unknown"),
}


@pytest.mark.attack(116)
@pytest.mark.parametrize(("changes", "refusal"), CHANGED.values(), ids=CHANGED)
async def test_what_is_not_exactly_right_signs_nobody_in(server, passkey, changes, refusal):
    browser = server.browser()
    answer = await use(server, browser, passkey.but(**changes))
    assert (answer.status_code, server.refusal) == (422, refusal)
    assert "<title>Error:" in answer.text
    assert not await is_signed_in(server, browser)


CAUSES = {
    "user not there": "present",
    "another RP ID": "RP ID",
    "the host's parent as RP ID": "RP ID",
    "another origin": "origin",
    "a port at the origin": "origin",
    "a subdomain as origin": "origin",
    "plain http": "origin",
    "a registration's type": "client data type",
    "another key": "signature",
}


@pytest.mark.attack(116)
@pytest.mark.parametrize(("case", "cause"), CAUSES.items(), ids=CAUSES)
async def test_the_log_says_what_was_wrong_with_it(server, passkey, case, cause):
    await use(server, server.browser(), passkey.but(**CHANGED[case][0]))
    assert cause in server.log[-1]["cause"]


@pytest.mark.attack(116)
async def test_the_same_answer_signs_in_once_also_where_it_comes_twice_at_a_time(server, passkey):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    form = hidden(page) | {"passkey": passkey.get(read_request(page))}
    answers = await asyncio.gather(*(browser.post(str(page.url), form) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [303, 422]
    again = await browser.post(str(page.url), form)
    assert (again.status_code, server.refusal) == (422, "passkey_challenge")
    assert "This page was open for a long time." in main_text(again)


@pytest.mark.attack(116)
async def test_a_challenge_is_used_up_by_a_wrong_answer_too(server, passkey):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    assert (await use(server, browser, passkey.but(flags=PRESENT), page)).status_code == 422
    assert (await use(server, browser, passkey, page)).status_code == 422
    assert server.refusal == "passkey_challenge"


@pytest.mark.attack(116)
async def test_a_challenge_is_of_one_browser_one_request_and_one_page(server, passkey):
    browser, other = server.browser(), server.browser()
    page = await browser.get(f"{server.issuer}/login")
    request = read_request(page)
    for victim, where in (
        (other, await other.get(f"{server.issuer}/login")),
        (browser, await browser.open(server.authorization_url())),
    ):
        answer = await victim.post(str(where.url), hidden(where) | {"passkey": passkey.get(request)})
        assert (answer.status_code, server.refusal) == (422, "passkey_challenge")
    waiting = server.browser()
    phone = await add_factor(server)
    page = await give_password(server, waiting)
    answer = await use(server, phone.browser, passkey, await phone.browser.get(f"{server.issuer}/login"))
    assert answer.status_code == 303
    request = read_request(await waiting.get(f"{server.issuer}/login"))
    answer = await waiting.post(str(page.url), hidden(page) | {"passkey": passkey.get(request)})
    assert (answer.status_code, server.refusal) == (422, "passkey_challenge")


@pytest.mark.attack(116)
@pytest.mark.parametrize(("minutes", "status"), [(29, 303), (31, 422)])
async def test_a_challenge_is_good_for_half_an_hour(server, passkey, minutes, status):
    browser = server.browser()
    server.ahead = -timedelta(minutes=minutes)
    page = await browser.get(f"{server.issuer}/login")
    server.ahead = timedelta()
    assert (await use(server, browser, passkey, page)).status_code == status


@pytest.mark.attack(116)
@pytest.mark.parametrize(
    ("before", "after", "status"), [(0, 0, 303), (5, 6, 303), (5, 5, 422), (5, 4, 422), (5, 0, 422)]
)
async def test_a_counter_that_does_not_go_up_is_a_copy(server, passkey, before, after, status):
    assert (await use(server, server.browser(), passkey.but(counter=before))).status_code == 303
    answer = await use(server, server.browser(), passkey.but(counter=after))
    assert answer.status_code == status
    assert ("passkey_copied" in await server.audit_events()) == (status == 422)
    if status == 422:
        assert server.refusal == "passkey_copied"
        assert (await server.rows("SELECT sign_count FROM passkeys"))[0].sign_count == before


@pytest.mark.attack(116)
async def test_of_two_uses_of_one_count_at_once_one_is_a_copy(server, passkey):
    one, other = server.browser(), server.browser()
    copy = passkey.but(counter=7)
    answers = await asyncio.gather(use(server, one, copy), use(server, other, copy))
    assert sorted(answer.status_code for answer in answers) == [303, 422]


@pytest.mark.attack(116)
async def test_a_removed_passkey_is_unknown_and_the_browser_may_forget_it(server, passkey):
    await server.execute("DELETE FROM passkeys")
    answer = await use(server, server.browser(), passkey)
    assert "This passkey is not known here. It may have been removed." in main_text(answer)
    signal = read_signal(answer)
    assert signal["method"] == "signalUnknownCredential"
    assert signal["about"] == {"rpId": HOST, "credentialId": json.loads(passkey.get(read_request(answer)))["id"]}


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"id": 1}', "[" * 5_000, "ｘ", '{"id":"a","rawId":"a"}'])
async def test_what_no_browser_says_is_refused_in_words_and_the_text_is_kept(server, text):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    answer = await browser.post(str(page.url), hidden(page) | {"passkey": text or "x", "username": "ada@exam"})
    assert (answer.status_code, server.refusal) == (422, "parameter_malformed")
    assert "That passkey cannot be used here." in main_text(answer)
    assert 'value="ada@exam"' in answer.text


@pytest.mark.attack(102)
async def test_a_passkey_from_a_form_of_another_site_signs_nobody_in(server, passkey):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    form = hidden(page) | {"passkey": passkey.get(read_request(page))}
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert (await browser.post(str(page.url), form, foreign)).status_code == 403
    assert (await browser.post(str(page.url), form | {"csrf": "x"}, {"sec-fetch-site": ""})).status_code == 403
    assert not await is_signed_in(server, browser)


@pytest.mark.attack(104)
async def test_the_sign_in_page_asks_alike_whoever_has_a_passkey(server, passkey):
    asked = []
    for name in (USER.username, OTHER_USER.username, "nobody"):
        page = await server.browser().open(server.authorization_url(login_hint=name))
        wrong = await server.login(server.browser(), user=OTHER_USER, password="wrong")
        asked += [read_request(page) | {"challenge": ""}, read_request(wrong) | {"challenge": ""}]
    assert all(request == asked[0] for request in asked)
    assert asked[0]["allowCredentials"] == []


@pytest.mark.attack(107)
async def test_whoever_locks_the_password_does_not_lock_the_passkey(server, passkey):
    for _ in range(60):
        answer = await server.login(server.browser(), password="wrong")
    assert answer.status_code == 429
    assert "You need not wait to sign in with a passkey." in answer.text
    assert (await use(server, server.browser(), passkey)).status_code == 303


async def test_a_user_who_was_turned_off_reads_so_after_the_proof_only(server, passkey):
    await users.disable(server.operator, USER.username)
    browser = server.browser()
    answer = await use(server, browser, passkey)
    assert (answer.status_code, server.refusal) == (403, "user_disabled")
    assert "turned off" in main_text(answer)
    assert (await use(server, browser, passkey.but(key=Authenticator().key))).status_code == 422


async def test_who_is_leaving_may_sign_in_to_stay(server):
    browser = await sign_in(server)
    passkey = await add_passkey(server, browser)
    page = await browser.get(f"{server.issuer}/account/data")
    await browser.post(str(page.url), hidden(page) | {"decision": "delete", "sure": "yes"})
    again = server.browser()
    assert (await use(server, again, passkey)).status_code == 303
    assert (await again.get(f"{server.issuer}/account")).headers["location"] == "/account/restore"


async def test_a_passkey_needs_no_authenticator_app_beside_it(server, passkey):
    await add_factor(server)
    browser = server.browser()
    assert (await use(server, browser, passkey)).headers["location"] == "/"
    assert await is_signed_in(server, browser)


async def test_after_the_password_a_passkey_is_as_good_as_the_app(server, passkey):
    await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    request = read_request(page)
    assert [one["id"] for one in request["allowCredentials"]] == [json.loads(passkey.get(request))["id"]]
    answer = await use(server, browser, passkey.but(flags=PRESENT, user_handle=None), page)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    session = await newest_session(server)
    assert (session.acr, session.amr) == ("aal2", "pwd pop mfa")


@pytest.mark.attack(116)
async def test_the_second_factor_is_not_somebody_elses_passkey(server):
    await add_passkey(server, (await add_factor(server)).browser)
    stranger = await add_passkey(server, await sign_in(server, OTHER_USER))
    browser = server.browser()
    page = await give_password(server, browser)
    for changes in ({}, {"user_handle": None}, {"user_handle": USER.id.bytes}):
        answer = await use(server, browser, stranger.but(**changes), page)
        assert answer.status_code == 422
        page = await browser.get(str(page.url))
    assert server.refusal == "passkey_of_another"
    assert not await is_signed_in(server, browser)


async def test_a_sign_in_that_waited_for_too_long_takes_no_passkey(server, passkey):
    await add_factor(server)
    browser = server.browser()
    page = await give_password(server, browser)
    await server.set_back(PendingSignIns, expires_at=timedelta(seconds=1))
    answer = await use(server, browser, passkey, page)
    assert answer.status_code == 422
    assert "Please start again." in main_text(answer)
    assert not await is_signed_in(server, browser)


@pytest.mark.attack(17)
@pytest.mark.parametrize("asked", [{"acr_values": "aal2"}, {"claims": ESSENTIAL}], ids=["a wish", "essential"])
async def test_a_session_of_a_password_becomes_stronger_by_a_passkey(server, asked):
    browser = await sign_in(server)
    passkey = await add_passkey(server, browser)
    before = await newest_session(server)
    page = await browser.open(server.authorization_url(**asked))
    assert page.url.path.startswith("/second-factor/")
    assert 'name="code"' not in page.text, "there is no app to ask"
    page = await browser.follow(await use(server, browser, passkey, page))
    assert page.url.path.startswith("/consent/")
    session = await newest_session(server)
    assert (session.acr, session.amr, session.auth_time) == ("aal2", "pwd pop mfa", before.auth_time)


@pytest.mark.attack(17)
async def test_a_sign_in_with_a_passkey_is_enough_for_what_apps_ask_and_young_again(server, passkey):
    browser = server.browser()
    page = await browser.open(server.authorization_url(claims=ESSENTIAL))
    page = await browser.follow(await use(server, browser, passkey, page))
    old = await newest_session(server)
    await server.set_back(Sessions, auth_time=timedelta(seconds=5))
    page = await browser.open(server.authorization_url(max_age="1"))
    assert page.url.path.startswith("/login/")
    page = await browser.follow(await use(server, browser, passkey, page))
    code = answer_of(await browser.follow(await browser.submit(page, decision="allow")))["code"]
    tokens = (await server.redeem(code)).json()
    said = (await server.introspect(tokens["access_token"]))["acr"]
    assert said == "aal2"
    assert (await newest_session(server)).auth_time > old.auth_time


async def test_what_the_passkey_says_of_its_copies_is_kept(server, passkey):
    await use(server, server.browser(), passkey.but(flags=PRESENT | VERIFIED | ELIGIBLE | SYNCED))
    [row] = await server.rows("SELECT backed_up, last_used_at FROM passkeys")
    assert row.backed_up
    assert row.last_used_at is not None


async def test_an_issuer_at_an_address_offers_none(start_server):
    server = await start_server(issuer="http://127.0.0.1:9000")
    page = await server.browser().get(f"{server.issuer}/login")
    assert "passkey" not in page.text.lower()
    assert (await server.browser().get(f"{server.issuer}/account/passkeys")).status_code == 404
