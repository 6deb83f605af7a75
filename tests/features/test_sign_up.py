"""/signup and /verify: the code goes out first, the account exists once it came back (DESIGN §2, FEATURES S7, S8)."""

import asyncio
import re
from datetime import timedelta

import pytest

from authserver.oauth.mailed_code_rules import CODE_LIFETIME
from authserver.store.tables import MailedCodes
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.server import PASSWORD, answer_of

EMAIL = "newcomer@example.org"
CHOSEN = "marmalade on the moon"


@pytest.fixture
async def opened(start_server):
    """A server at which anybody may sign up."""
    return await start_server(sign_up="open")


async def ask(server, browser, email=EMAIL, password=CHOSEN, page=None, **more):
    """Fill in the sign-up form; return the answer to it."""
    page = page or await browser.get(f"{server.issuer}/signup")
    return await browser.submit(page, **{"email": email, "new-password": password, "name": "New Comer", **more})


async def sign_up(server, browser, email=EMAIL):
    """Ask for an account and type the code from the mail; return the answer to that."""
    page = await browser.follow(await ask(server, browser, email))
    return await browser.submit(page, code=(await last_mail(server, email)).code)


async def users_of(server, email=EMAIL):
    return await server.rows(f"SELECT id, username, email_verified, name FROM users WHERE email = '{email}'")


async def set_back_codes(server, ago):
    await server.set_back(MailedCodes, created_at=ago, expires_at=ago - CODE_LIFETIME)


def wrong(code):
    return f"{(int(code) + 1) % 1_000_000:06}"


@pytest.mark.product("S7")
async def test_an_account_exists_and_is_signed_in_once_the_code_came_back(opened):
    browser = opened.browser()
    answer = await ask(opened, browser)
    assert answer.status_code == 303
    page = await browser.follow(answer)
    assert page.url.path.startswith("/verify/")
    assert f"If {EMAIL} can be used here, a code is on its way." in page.text
    assert await users_of(opened) == []
    mail = await last_mail(opened, EMAIL)
    assert (mail.kind, mail.locale) == ("verify_email", "en")
    done = await browser.submit(page, code=f" {mail.code[:3]} {mail.code[3:]} ")
    assert (done.status_code, done.headers["location"]) == (303, "/")
    [user] = await users_of(opened)
    assert (user.username, bool(user.email_verified), user.name) == (EMAIL, True, "New Comer")
    answer = answer_of(await browser.get(opened.authorization_url(prompt="none")))
    assert answer.get("error") == "consent_required", "signed in"
    assert {"user_signed_up", "user_signed_in"} <= set(await opened.audit_events())


async def test_the_new_account_signs_in_by_address_and_password(opened):
    await sign_up(opened, opened.browser())
    browser = opened.browser()
    page = await browser.get(f"{opened.issuer}/login")
    assert (await browser.submit(page, username=EMAIL.upper(), password=CHOSEN)).status_code == 303


async def test_a_sign_up_within_an_apps_sign_in_goes_on_to_the_app(opened):
    browser = opened.browser()
    page = await browser.open(opened.authorization_url())
    link = re.search(r'href="(/signup/[^"]+)"', page.text)[1]
    page = await browser.get(opened.issuer + link)
    assert "to continue to" in page.text
    page = await browser.follow(await ask(opened, browser, page=page))
    page = await browser.follow(await browser.submit(page, code=(await last_mail(opened, EMAIL)).code))
    assert page.url.path.startswith("/consent/")
    assert "code" in answer_of(await browser.follow(await browser.submit(page, decision="allow")))
    assert (await last_mail(opened, EMAIL)).parameters["app"] == "Notes on the web"


async def test_an_app_that_asks_for_a_new_account_gets_the_sign_up_page(opened):
    assert "create" in (await opened.get("/.well-known/openid-configuration")).json()["prompt_values_supported"]
    browser = opened.browser()
    await opened.login(browser)
    page = await browser.open(opened.authorization_url(prompt="create"))
    assert page.url.path.startswith("/signup/")
    page = await browser.follow(await ask(opened, browser, page=page))
    page = await browser.follow(await browser.submit(page, code=(await last_mail(opened, EMAIL)).code))
    assert page.url.path.startswith("/consent/")
    assert "New Comer" in page.text, "the account that signed up, not the one that was signed in before"


async def test_an_app_that_asks_for_a_new_account_where_there_are_none_gets_the_sign_in_page(server):
    assert "create" not in (await server.get("/.well-known/openid-configuration")).json()["prompt_values_supported"]
    page = await server.browser().open(server.authorization_url(prompt="create"))
    assert page.url.path.startswith("/login/")


async def test_all_problems_are_told_at_once_next_to_their_fields(opened):
    browser = opened.browser()
    answer = await ask(opened, browser, email="no address", password="short", name="x" * 201)
    assert answer.status_code == 422
    assert "<title>Error: " in answer.text
    for field in ("email", "new-password", "name"):
        assert f'<a href="#{field}">' in answer.text
        assert f'id="{field}-problem"' in answer.text
    assert 'value="no address"' in answer.text
    assert "short" not in answer.text, "a password is never shown again"
    assert await mails(opened) == []


@pytest.mark.parametrize("password", ["password1", "P@ssw0rd2024", "aaaaaaaaaaaa", "newcomer", "x" * 1025])
async def test_a_password_that_is_guessed_early_or_too_long_is_refused(opened, password):
    answer = await ask(opened, opened.browser(), password=password)
    assert answer.status_code == 422
    assert 'href="#new-password"' in answer.text
    assert await mails(opened) == []


@pytest.mark.attack(115)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ann@example.org\r\nBcc: all@example.org"),
        ("email", "ann@example.org,bob@example.org"),
        ("email", "Ann <ann@example.org>"),
        ("name", "Ann\r\nBcc: all@example.org"),
        ("name", "Ann\u202egnp.exe"),
    ],
)
async def test_nothing_that_could_be_a_line_of_a_mails_head_gets_into_one(opened, field, value):
    answer = await ask(opened, opened.browser(), **{field: value})
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert await mails(opened) == []


@pytest.mark.attack(104)
async def test_a_known_address_is_answered_like_any_other_and_its_owner_hears_of_it(opened):
    pages, kept = [], []
    for email in (EMAIL, USER.email):
        browser = opened.browser()
        answer = await ask(opened, browser, email=email)
        page = await browser.follow(answer)
        refused = await browser.submit(page, code="000000")
        pages.append([(one.status_code, normalise(one.text, email)) for one in (answer, page, refused)])
        kept.append(sorted(browser.cookies))
    assert pages[0] == pages[1]
    assert kept[0] == kept[1]
    assert [mail.kind for mail in await mails(opened, USER.email)] == ["sign_up_known_address"]
    [row] = await opened.rows(f"SELECT code_hash FROM mailed_codes WHERE email = '{USER.email}'")
    assert row.code_hash is None, "no code is right"


def normalise(html, email):
    """The page without what differs by nature: the address, ids, tokens and nonces."""
    html = html.replace(email, "EMAIL")
    html = re.sub(r'nonce="[^"]+"|name="csrf" value="[^"]+"', "", html)
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9]+ seconds?\b|countdown=\"\d+\"|data-seconds>\d+<", "", html)


@pytest.mark.attack(105)
async def test_five_wrong_codes_are_the_end_of_a_code(opened):
    browser = opened.browser(address="203.0.113.50")
    page = await browser.follow(await ask(opened, browser))
    code = (await last_mail(opened, EMAIL)).code
    for left in (4, 3, 2, 1):
        answer = await browser.submit(page, code=wrong(code))
        assert (answer.status_code, f"{left} " in answer.text) == (422, True)
    answer = await browser.submit(page, code=wrong(code))
    assert "Too many tries. Ask for a new code." in answer.text
    await opened.execute("DELETE FROM attempts")
    answer = await browser.submit(page, code=code)
    assert "Too many tries. Ask for a new code." in answer.text
    assert await users_of(opened) == []


@pytest.mark.attack(105)
async def test_of_a_thousand_parallel_guesses_five_are_evaluated(opened):
    browser = opened.browser()
    page = await browser.follow(await ask(opened, browser))
    code = (await last_mail(opened, EMAIL)).code
    form = {"csrf": re.search(r'name="csrf" value="([^"]+)"', page.text)[1]}
    answers = []
    for _ in range(10):  # a hundred at a time: what all of them wait for is one row
        guesses = (browser.post(str(page.url), form | {"code": wrong(code)}) for _ in range(100))
        answers += [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert set(answers) <= {422, 429, 503}
    [row] = await opened.rows("SELECT attempts FROM mailed_codes")
    assert row.attempts <= 5


@pytest.mark.attack(105)
async def test_a_new_code_kills_the_old_one_and_gives_the_account_no_new_tries(opened):
    browser = opened.browser()
    page = await browser.follow(await ask(opened, browser))
    first = (await last_mail(opened, EMAIL)).code
    for _ in range(5):
        await browser.submit(page, code=wrong(first))
    await opened.begin_waits_now()
    assert (await browser.submit(page, code=wrong(first))).status_code == 429
    await set_back_codes(opened, timedelta(seconds=31))
    page = await browser.follow(await browser.submit(page, action="resend"))
    assert page.status_code == 200
    second = await last_mail(opened, EMAIL)
    answer = await browser.submit(page, code=second.code)
    assert (answer.status_code, opened.refusal) == (429, "throttled"), "the account waits on, whichever code it is"
    await opened.execute("DELETE FROM attempts")
    assert (await browser.submit(page, code=second.code)).status_code == 303


async def test_another_code_is_sent_after_half_a_minute_and_the_page_says_when(opened):
    browser = opened.browser()
    page = await browser.follow(await ask(opened, browser))
    seconds = int(re.search(r'data-countdown="(\d+)"', page.text)[1])
    assert 0 < seconds <= 30
    early = await browser.submit(page, action="resend")
    assert early.status_code == 429
    assert int(early.headers["retry-after"]) <= seconds
    assert len(await mails(opened, EMAIL)) == 1
    await set_back_codes(opened, timedelta(seconds=30))
    later = await browser.submit(page, action="resend")
    assert later.status_code == 303
    old = await browser.get(str(page.url))
    assert "has been used" in old.text
    page = await browser.follow(later)
    assert (await browser.submit(page, code=(await last_mail(opened, EMAIL)).code)).status_code == 303


async def test_an_expired_code_says_so_and_a_new_one_can_be_had(opened):
    browser = opened.browser()
    page = await browser.follow(await ask(opened, browser))
    code = (await last_mail(opened, EMAIL)).code
    await set_back_codes(opened, CODE_LIFETIME)
    answer = await browser.submit(page, code=code)
    assert answer.status_code == 422
    assert "That code has expired. We can send a new one." in answer.text
    page = await browser.follow(await browser.submit(page, action="resend"))
    assert (await browser.submit(page, code=(await last_mail(opened, EMAIL)).code)).status_code == 303


@pytest.mark.attack(108)
async def test_a_code_is_used_once_and_in_one_spelling(opened):
    browser = opened.browser()
    page = await browser.follow(await ask(opened, browser))
    code = (await last_mail(opened, EMAIL)).code
    for spelling in (
        "".join(chr(ord(digit) - ord("0") + ord("０")) for digit in code),
        f"+{code}",
        f"{code}0",
        "",
        "०",
    ):
        answer = await browser.submit(page, code=spelling or " ")
        assert (answer.status_code, "Enter the six digits" in answer.text) == (422, True), spelling
    form = {"csrf": re.search(r'name="csrf" value="([^"]+)"', page.text)[1], "code": code}
    answers = await asyncio.gather(*(browser.post(str(page.url), form) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [303, 422, 422, 422]
    assert len(await users_of(opened)) == 1


@pytest.mark.attack(109)
async def test_a_code_is_worth_nothing_in_another_browser(opened):
    browser, thief = opened.browser(), opened.browser()
    page = await browser.follow(await ask(opened, browser))
    other = await thief.follow(await ask(opened, thief, email="thief@example.org"))
    code = (await last_mail(opened, EMAIL)).code
    assert (await thief.get(str(page.url))).status_code == 404
    answer = await thief.submit(other, code=code)
    assert answer.status_code == 422
    answer = await thief.post(str(page.url), {"csrf": re.search(r'csrf" value="([^"]+)"', other.text)[1], "code": code})
    assert answer.status_code == 404
    assert await users_of(opened) == []


@pytest.mark.attack(115)
async def test_no_mailbox_is_flooded_and_the_answer_stays_the_same(opened):
    answers = []
    for _ in range(5):
        browser = opened.browser()
        page = await browser.follow(await ask(opened, browser))
        answers.append((page.status_code, normalise(page.text, EMAIL)))
    assert len(set(answers)) == 1
    assert len(await mails(opened, EMAIL)) == 3
    for sent in (6, 9, 10):
        await opened.execute("DELETE FROM attempts WHERE kind = 'mail_recipient'")  # a quarter of an hour later
        for _ in range(4):
            await ask(opened, opened.browser())
        assert len(await mails(opened, EMAIL)) == sent, "ten a day at most"


async def test_two_who_prove_one_address_get_one_account(opened):
    one, two = opened.browser(), opened.browser()
    pages = [await browser.follow(await ask(opened, browser)) for browser in (one, two)]
    codes = [mail.code for mail in await mails(opened, EMAIL)]
    assert (await one.submit(pages[0], code=codes[0])).status_code == 303
    answer = await two.submit(pages[1], code=codes[1])
    assert answer.status_code == 409
    assert "There is an account with this address already." in answer.text
    assert len(await users_of(opened)) == 1


async def test_whoever_only_claimed_an_address_loses_it_as_a_username(opened):
    from authserver.operations import users as user_operations  # noqa: PLC0415

    squatter = await user_operations.create(opened.operator, username=EMAIL, email=EMAIL, password=PASSWORD)
    assert (await sign_up(opened, opened.browser())).status_code == 303
    rows = {row.username for row in await users_of(opened)}
    assert EMAIL in rows
    assert len(rows) == 2
    browser = opened.browser()
    page = await browser.get(f"{opened.issuer}/login")
    assert (await browser.submit(page, username=EMAIL, password=PASSWORD)).status_code == 422
    assert (await browser.submit(page, username=EMAIL, password=CHOSEN)).status_code == 303
    assert squatter.username == EMAIL


@pytest.mark.attack(117)
async def test_an_account_made_again_is_another_one(opened):
    from authserver.operations import users as user_operations  # noqa: PLC0415

    await sign_up(opened, opened.browser())
    [first] = await users_of(opened)
    await user_operations.delete(opened.operator, EMAIL)
    await sign_up(opened, opened.browser())
    subjects = {str(row.id) for row in await users_of(opened)}
    assert len(subjects) == 2
    assert str(first.id) in subjects


@pytest.mark.parametrize("broken", ["authserver.store.users.add", "authserver.steps.sign_up.begin_session"])
async def test_a_bug_rolls_the_whole_step_back_and_the_code_still_works(opened, monkeypatch, broken):
    async def fail(*_args, **_more):
        raise RuntimeError

    browser = opened.browser()
    page = await browser.follow(await ask(opened, browser))
    code = (await last_mail(opened, EMAIL)).code
    with monkeypatch.context() as patch:
        patch.setattr(broken, fail)
        assert (await browser.submit(page, code=code)).status_code == 500
    assert await users_of(opened) == []
    assert "user_signed_up" not in await opened.audit_events()
    assert (await browser.submit(page, code=code)).status_code == 303


async def test_nobody_signs_up_where_that_is_off(server):
    assert (await server.browser().get(f"{server.issuer}/signup")).status_code == 404
    page = await server.browser().get(f"{server.issuer}/login")
    assert "/signup" not in page.text
    assert "/forgot" in page.text


@pytest.mark.parametrize("client_registration", ["off", "open"])
async def test_a_person_who_looks_at_register_is_sent_to_the_form(start_server, client_registration):
    server = await start_server(sign_up="open", client_registration=client_registration)
    answer = await server.browser().get(f"{server.issuer}/register")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signup")


async def test_register_is_for_apps_alone_where_nobody_signs_up(anybody):
    answer = await anybody.browser().get(f"{anybody.issuer}/register")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.attack(103)
async def test_another_sites_form_signs_nobody_up(opened):
    browser = opened.browser()
    page = await browser.get(f"{opened.issuer}/signup")
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await browser.submit(page, foreign, **{"email": EMAIL, "new-password": CHOSEN})
    assert (answer.status_code, opened.refusal) == (403, "csrf")
    assert await mails(opened) == []


async def test_a_stale_form_is_shown_again_with_its_values(opened):
    browser = opened.browser()
    page = await browser.get(f"{opened.issuer}/signup")
    browser.cookies["__Host-browser"] = "asb_" + "n" * 43
    answer = await ask(opened, browser, page=page)
    assert answer.status_code == 422
    assert "This page was open for a long time." in answer.text
    assert f'value="{EMAIL}"' in answer.text
    assert (await ask(opened, browser, page=answer)).status_code == 303


async def test_a_browser_without_cookies_hears_that_they_are_needed(opened):
    browser = opened.browser()
    page = await browser.get(f"{opened.issuer}/signup")
    browser.cookies.clear()
    answer = await ask(opened, browser, page=page)
    assert answer.status_code == 403
    assert "Your browser did not keep our cookie." in answer.text
