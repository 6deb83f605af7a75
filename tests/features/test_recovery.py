"""/forgot and /reset: a new password for whoever reads the account's mail, and for nobody else (FEATURES S8, S10)."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.operations import users as user_operations
from authserver.store.tables import MailedCodes
from tests.features.test_sign_up import normalise, set_back_codes, wrong
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER, WEB
from tests.server import OTHER_USER, PASSWORD, answer_of

CHOSEN = "marmalade on the moon"


async def forget(server, browser, email=USER.email, page=None, headers=None):
    """Ask for the mail; return the page that the browser is led to."""
    page = page or await browser.get(f"{server.issuer}/forgot")
    return await browser.follow(await browser.submit(page, headers, email=email))


async def prove(server, browser, page, email=USER.email):
    """Type the code; return the page for the password."""
    return await browser.follow(await browser.submit(page, code=(await last_mail(server, email)).code))


async def choose(browser, page, password=CHOSEN):
    return await browser.submit(page, **{"new-password": password})


async def reset(server, browser, email=USER.email):
    page = await prove(server, browser, await forget(server, browser, email), email)
    return await browser.follow(await choose(browser, page))


async def signs_in(server, password, user=USER):
    await server.execute("DELETE FROM attempts")
    return (await server.login(server.browser(), user=user, password=password)).status_code == 303


@pytest.mark.product("S8", "S10")
async def test_a_forgotten_password_is_replaced_with_the_code(server):
    browser = server.browser()
    page = await forget(server, browser)
    assert page.url.path.startswith("/reset/")
    assert f"If {USER.email} can be used here, a code is on its way." in page.text
    page = await prove(server, browser, page)
    assert 'autocomplete="new-password"' in page.text
    assert re.search(r'<input id="username" name="username"[^>]*autocomplete="username"[^>]*hidden>', page.text)
    done = await browser.follow(await choose(browser, page))
    assert "You are signed out everywhere." in done.text
    assert 'href="/login"' in done.text
    assert await signs_in(server, CHOSEN)
    assert not await signs_in(server, PASSWORD)
    assert [mail.kind for mail in await mails(server, USER.email)] == ["reset_password", "password_changed"]
    assert "password_reset" in await server.audit_events()


@pytest.mark.attack(112)
async def test_opening_the_link_uses_nothing_up_and_its_button_does_once(server):
    browser, scanner, phone, thief = (server.browser() for _ in range(4))
    await forget(server, browser)
    link = (await last_mail(server, USER.email)).parameters["link"]
    for _ in range(2):
        assert (await scanner.get(link)).status_code == 200
    [row] = await server.rows("SELECT proven_at, used_at FROM mailed_codes")
    assert (row.proven_at, row.used_at) == (None, None)
    page = await phone.get(link)
    stolen = await thief.get(link)
    page = await phone.follow(await phone.submit(page))
    assert 'name="new-password"' in page.text
    refused = await thief.submit(stolen)
    assert refused.status_code == 422
    assert "This has been used." in refused.text
    assert (await thief.get(str(page.url))).status_code == 404
    assert (await choose(phone, page)).status_code == 303
    assert (await phone.get(link)).status_code == 404
    again = await choose(phone, page, "another one of those words")
    assert (again.status_code, "This has been used." in again.text) == (422, True)
    assert await signs_in(server, CHOSEN)


async def test_a_second_click_on_the_links_button_goes_on_where_the_first_one_led(server):
    browser = server.browser()
    await forget(server, browser)
    page = await browser.get((await last_mail(server, USER.email)).parameters["link"])
    answers = [await browser.submit(page) for _ in range(2)]
    assert len({answer.headers["location"] for answer in answers}) == 1


@pytest.mark.attack(112)
async def test_a_link_dies_with_time_and_with_a_newer_mail(server):
    browser = server.browser()
    page = await forget(server, browser)
    first = (await last_mail(server, USER.email)).parameters["link"]
    await set_back_codes(server, timedelta(seconds=31))
    await browser.submit(page, action="resend")
    assert (await server.browser().get(first)).status_code == 404
    assert "There is a newer mail." in (await browser.get(str(page.url))).text
    second = (await last_mail(server, USER.email)).parameters["link"]
    shown = await browser.get(second)
    await set_back_codes(server, timedelta(minutes=11))
    late = await browser.submit(shown)
    assert (late.status_code, "has expired" in late.text) == (422, True)


@pytest.mark.attack(110)
async def test_the_link_leads_to_the_configured_issuer_whatever_host_was_asked(server):
    poisoned = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "http",
        "forwarded": "host=evil.example;proto=http",
    }
    for name, value in poisoned.items():
        browser = server.browser()
        page = await browser.get(f"{server.issuer}/forgot")
        await forget(server, browser, page=page, headers={name: value})
    sent = await mails(server, USER.email)
    assert sent
    for mail in sent:
        assert mail.parameters["link"].startswith(f"{server.issuer}/reset?link=asm_")
        assert "evil.example" not in str(mail.parameters)


@pytest.mark.attack(111)
async def test_no_step_can_be_skipped(server):
    browser = server.browser()
    page = await forget(server, browser)
    skipped = await choose(browser, page)
    assert skipped.status_code == 422
    assert 'name="code"' in skipped.text
    for form in ({"new-password": CHOSEN, "code": "000000"}, {"new-password": CHOSEN, "action": "resend"}):
        assert (await browser.submit(page, **form)).status_code == 422
    assert await signs_in(server, PASSWORD)
    assert not await signs_in(server, CHOSEN)


@pytest.mark.attack(111)
async def test_the_proof_of_one_account_sets_no_other_ones_password(server):
    browser = server.browser()
    other = await forget(server, browser, OTHER_USER.email)
    mine = await prove(server, browser, await forget(server, browser))
    form = {"csrf": re.search(r'name="csrf" value="([^"]+)"', mine.text)[1], "new-password": CHOSEN}
    answer = await browser.post(str(other.url), form | {"username": OTHER_USER.email})
    assert answer.status_code == 422
    assert await signs_in(server, PASSWORD, OTHER_USER)
    assert (await browser.post(str(mine.url), form | {"username": OTHER_USER.email})).status_code == 303
    assert await signs_in(server, PASSWORD, OTHER_USER)
    assert await signs_in(server, CHOSEN)


@pytest.mark.attack(109)
async def test_a_code_for_one_thing_does_no_other(start_server):
    server = await start_server(sign_up="open")
    await server.execute("UPDATE users SET email_verified = FALSE")
    browser = server.browser()
    await server.login(browser)
    verify = await browser.follow(await browser.submit(await browser.get(f"{server.issuer}/verify")))
    assert verify.url.path.startswith("/verify/")
    code = (await last_mail(server, USER.email)).code
    page = await forget(server, browser)
    answer = await browser.submit(page, code=code)
    assert answer.status_code == 422
    crossed = await browser.get(str(verify.url).replace("/verify/", "/reset/"))
    assert crossed.status_code == 404
    crossed = await browser.get(str(page.url).replace("/reset/", "/verify/"))
    assert crossed.status_code == 404


@pytest.mark.attack(100)
@pytest.mark.attack(113)
async def test_sessions_and_grants_die_with_the_old_password_the_lone_ones_too(server):
    browser, elsewhere = server.browser(), server.browser()
    tokens = [
        await server.code_flow(browser=browser),
        await server.code_flow(replace(WEB), elsewhere, scope="openid offline_access notes:read", prompt="consent"),
    ]
    await reset(server, server.browser())
    for one in (browser, elsewhere):
        assert answer_of(await one.get(server.authorization_url(prompt="none")))["error"] == "login_required"
    for token in tokens:
        assert (await server.refresh(token["refresh_token"])).json()["error"] == "invalid_grant"
    assert {row.reason for row in await server.rows("SELECT reason FROM grants")} == {"password_reset"}


@pytest.mark.attack(113)
async def test_a_reset_signs_nobody_in(server):
    browser = server.browser()
    await reset(server, browser)
    assert "__Host-session" not in browser.cookies
    assert answer_of(await browser.get(server.authorization_url(prompt="none")))["error"] == "login_required"


async def test_other_codes_of_the_user_die_with_the_old_password(server):
    one, two = server.browser(), server.browser()
    first, second = await forget(server, one), await forget(server, two)
    codes = [mail.code for mail in await mails(server, USER.email)]
    page = await one.follow(await one.submit(first, code=codes[0]))
    assert (await choose(one, page)).status_code == 303
    answer = await two.submit(second, code=codes[1])
    assert "newer mail" in answer.text
    assert answer.status_code == 422


async def test_the_apps_sign_in_goes_on_after_the_reset(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    link = re.search(r'href="(/forgot/[^"]+)"', page.text)[1]
    page = await forget(server, browser, page=await browser.get(server.issuer + link))
    page = await browser.follow(await choose(browser, await prove(server, browser, page)))
    link = re.search(r'href="(/login/[^"]+)"', page.text)[1]
    page = await browser.follow(await server.login(browser, await browser.get(server.issuer + link), password=CHOSEN))
    assert page.url.path.startswith("/consent/")


@pytest.mark.attack(104)
async def test_an_unknown_address_is_answered_like_a_known_one(server):
    pages = []
    for email in (USER.email, "nobody@example.org"):
        browser = server.browser()
        answer = await browser.submit(await browser.get(f"{server.issuer}/forgot"), email=email)
        page = await browser.follow(answer)
        refused = [await browser.submit(page, code="000000") for _ in range(6)]
        early = await browser.submit(page, action="resend")
        pages.append([(one.status_code, normalise(one.text, email)) for one in (answer, page, *refused, early)])
    assert pages[0] == pages[1]
    assert await mails(server, "nobody@example.org") == []


@pytest.mark.attack(104)
async def test_an_account_that_is_turned_off_is_answered_like_an_unknown_one(server):
    await user_operations.disable(server.operator, USER.username)
    page = await forget(server, server.browser())
    assert page.status_code == 200
    assert await mails(server, USER.email) == []


async def test_an_account_turned_off_meanwhile_gets_no_new_password(server):
    browser = server.browser()
    page = await prove(server, browser, await forget(server, browser))
    await user_operations.disable(server.operator, USER.username)
    answer = await choose(browser, page)
    assert (answer.status_code, server.refusal) == (400, "user_disabled")
    await user_operations.enable(server.operator, USER.username)
    assert await signs_in(server, PASSWORD)


@pytest.mark.attack(118)
@pytest.mark.parametrize("password", ["short", "password1", USER.email, "x" * 1025, ""])
async def test_a_password_that_cannot_be_taken_leaves_the_proof_good(server, password):
    browser = server.browser()
    page = await prove(server, browser, await forget(server, browser))
    answer = await browser.submit(page, **{"new-password": password or " "})
    assert answer.status_code == 422
    assert 'href="#new-password"' in answer.text
    assert (await choose(browser, answer)).status_code == 303


@pytest.mark.attack(118)
async def test_a_password_of_a_megabyte_is_refused_before_it_is_read(server):
    browser = server.browser()
    page = await prove(server, browser, await forget(server, browser))
    assert (await choose(browser, page, "x" * 1_000_000)).status_code == 413
    login = await browser.get(f"{server.issuer}/login")
    assert (await browser.submit(login, username=USER.username, password="x" * 1_000_000)).status_code == 413
    assert (await browser.submit(login, username=USER.username, password="x" * 1025)).status_code == 400


@pytest.mark.attack(105)
async def test_guesses_end_a_code_here_too(server):
    browser = server.browser()
    page = await forget(server, browser)
    code = (await last_mail(server, USER.email)).code
    form = {"csrf": re.search(r'name="csrf" value="([^"]+)"', page.text)[1], "code": wrong(code)}
    await asyncio.gather(*(browser.post(str(page.url), form) for _ in range(50)))
    [row] = await server.rows("SELECT attempts, proven_at FROM mailed_codes")
    assert row.attempts <= 5
    assert row.proven_at is None


async def test_two_submissions_of_one_proof_change_the_password_once(server):
    browser = server.browser()
    page = await prove(server, browser, await forget(server, browser))
    form = {"csrf": re.search(r'name="csrf" value="([^"]+)"', page.text)[1]}
    chosen = [f"{CHOSEN} {number}" for number in range(3)]
    answers = await asyncio.gather(*(browser.post(str(page.url), form | {"new-password": one}) for one in chosen))
    assert sorted(answer.status_code for answer in answers) == [303, 422, 422]
    assert (await server.audit_events()).count("password_reset") == 1


async def test_the_proof_is_good_for_a_quarter_of_an_hour(server):
    browser = server.browser()
    page = await prove(server, browser, await forget(server, browser))
    await server.set_back(MailedCodes, expires_at=timedelta(0))
    assert (await choose(browser, page)).status_code == 422
    assert (await browser.get(str(page.url))).status_code == 404
    assert await signs_in(server, PASSWORD)


async def test_a_bug_rolls_the_reset_back_and_the_proof_still_stands(server, monkeypatch):
    async def fail(*_args, **_more):
        raise RuntimeError

    browser = server.browser()
    tokens = await server.code_flow()
    page = await prove(server, browser, await forget(server, browser))
    with monkeypatch.context() as patch:
        patch.setattr("authserver.steps.sign_out.record", fail)
        assert (await choose(browser, page)).status_code == 500
    assert (await server.refresh(tokens["refresh_token"])).status_code == 200
    assert await signs_in(server, PASSWORD)
    assert (await choose(browser, page)).status_code == 303


@pytest.mark.parametrize("email", ["", "nobody", "a@b@c"])
async def test_what_is_no_address_is_shown_again(server, email):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/forgot")
    answer = await browser.submit(page, email=email or " ")
    assert answer.status_code == 422
    assert 'href="#email"' in answer.text


async def test_many_tries_of_one_network_wait(server):
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/forgot")
    statuses = [(await browser.submit(page, email=f"user{number}@example.org")).status_code for number in range(31)]
    assert statuses == [303] * 30 + [429]


@pytest.mark.parametrize("path", ["/reset/nonsense", "/reset/01890000-0000-7000-8000-00000000000b", "/reset?link=x"])
async def test_what_was_never_asked_for_is_over(server, path):
    answer = await server.browser().get(server.issuer + path)
    assert answer.status_code == 404
    assert 'href="/forgot"' in answer.text


async def test_reset_without_a_link_leads_to_the_beginning(server):
    assert (await server.browser().get(f"{server.issuer}/reset")).headers["location"] == "/forgot"
