"""SIGN_UP=invite: whose address an operator has invited makes an account, and nobody else learns who that is."""

import re
from datetime import timedelta

import pytest

from authserver.operations import invitations
from authserver.store import audit, users
from authserver.store.tables import Invitations, MailedCodes
from tests.features.test_sign_up import EMAIL, ask, normalise, sign_up, users_of, wrong
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.upstream import sign_in_there

STRANGER = "stranger@example.org"


@pytest.fixture
async def closed(start_server):
    """A server at which accounts are made by invitation."""
    return await start_server(sign_up="invite")


async def invite(server, email=EMAIL, **more):
    return (await invitations.create(server.operator, email, **more)).invitation


async def code_page(server, browser, email=EMAIL):
    """Ask for an account; return the page that asks for the code."""
    return await browser.follow(await ask(server, browser, email))


async def code_mails(server, email):
    return [mail.kind for mail in await mails(server, email) if mail.kind != "invitation"]


async def test_who_is_invited_makes_an_account_and_the_invitation_is_used(closed):
    invitation = await invite(closed, locale="de", client_id="web-client")
    mail = await last_mail(closed, EMAIL)
    assert (mail.kind, mail.locale, mail.parameters["app"]) == ("invitation", "de", "Notes on the web")
    browser = closed.browser()
    page = await browser.get(mail.parameters["link"])
    assert "You need an invitation for this." in page.text
    assert f'value="{EMAIL}"' in page.text
    page = await browser.follow(await ask(closed, browser, page=page))
    assert f"If {EMAIL} was invited, a code is on its way." in page.text
    done = await browser.submit(page, code=(await last_mail(closed, EMAIL)).code)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    [stored] = await invitations.find_all(closed.operator)
    assert stored.accepted_at is not None
    async with closed.services.engine.read() as tx:
        [event] = await audit.list_all(tx, event="user_signed_up")
        assert await users.find_owner(tx, EMAIL) == await users.get(tx, event.user_id)
    assert event.detail == {"invitation": str(invitation.id)}


@pytest.mark.attack(112)
async def test_a_scanner_that_follows_the_mails_link_finds_no_secret_and_uses_nothing_up(closed):
    await invite(closed)
    link = (await last_mail(closed, EMAIL)).parameters["link"]
    assert link == f"{closed.issuer}/signup?email=newcomer%40example.org"
    for _ in range(2):
        assert (await closed.browser().get(link)).status_code == 200
    assert (await sign_up(closed, closed.browser())).status_code == 303


@pytest.mark.attack(115)
@pytest.mark.parametrize("email", ['"><script>alert(1)</script>@x', "no address", "x" * 3000 + "@x"])
async def test_a_link_with_anything_else_for_an_address_shows_it_as_text_or_not_at_all(closed, email):
    page = await closed.http.get("/signup", params={"email": email})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "no address" not in page.text


@pytest.mark.attack(104)
async def test_invited_known_and_all_other_addresses_are_answered_alike_and_strangers_get_no_mail(closed):
    await invite(closed)
    answers, kept = [], []
    for email in (EMAIL, USER.email, STRANGER):
        browser = closed.browser()
        answer = await ask(closed, browser, email=email)
        page = await browser.follow(answer)
        refused = await browser.submit(page, code="000000")
        early = await browser.submit(page, action="resend")
        await closed.set_back(MailedCodes, created_at=timedelta(minutes=1))
        again = await browser.submit(page, action="resend")
        second = await browser.follow(again)
        wrong_again = await browser.submit(second, code="000000")
        used = await browser.get(str(page.url))
        shown = (answer, page, refused, early, again, second, wrong_again, used)
        answers.append([(one.status_code, normalise(one.text, email)) for one in shown])
        kept.append(sorted(browser.cookies))
    assert answers[0] == answers[1] == answers[2]
    assert kept[0] == kept[1] == kept[2]
    assert await code_mails(closed, EMAIL) == ["verify_email"] * 2
    assert await code_mails(closed, USER.email) == ["sign_up_known_address"] * 2
    assert await mails(closed, STRANGER) == []
    rows = await closed.rows(f"SELECT code_hash, mail_id FROM mailed_codes WHERE email = '{STRANGER}'")
    assert {(row.code_hash, row.mail_id) for row in rows} == {(None, None)}, "no code is right"


@pytest.mark.attack(104)
@pytest.mark.parametrize("fate", ["expired", "revoked", "accepted"])
async def test_an_invitation_that_is_over_is_as_good_as_none(closed, fate):
    await invite(closed)
    if fate == "expired":
        await closed.set_back(Invitations, expires_at=timedelta(0))
    elif fate == "accepted":
        await closed.set_back(Invitations, accepted_at=timedelta(0))
    else:
        await invitations.revoke(closed.operator, EMAIL)
    page = await code_page(closed, closed.browser())
    other = await code_page(closed, closed.browser(), STRANGER)
    assert normalise(page.text, EMAIL) == normalise(other.text, STRANGER)
    assert await code_mails(closed, EMAIL) == []


@pytest.mark.attack(104)
async def test_an_address_that_only_looks_like_an_invited_one_gets_no_code(closed):
    await invite(closed, "ann@fass.example")
    await code_page(closed, closed.browser(), "ann@faß.example")
    assert await mails(closed, "ann@faß.example") == []
    assert await code_mails(closed, "ann@fass.example") == []


async def test_an_invited_address_can_be_typed_in_other_letters_of_ascii(closed):
    await invite(closed, "Newcomer@Example.org")
    assert (await sign_up(closed, closed.browser())).status_code == 303


@pytest.mark.parametrize("fate", ["expired", "revoked"])
async def test_an_invitation_that_ends_before_the_code_came_back_makes_no_account_and_the_page_says_so(closed, fate):
    await invite(closed)
    browser = closed.browser()
    page = await code_page(closed, browser)
    code = (await last_mail(closed, EMAIL)).code
    if fate == "expired":
        await closed.set_back(Invitations, expires_at=timedelta(0))
    else:
        await invitations.revoke(closed.operator, EMAIL)
    guessed = await browser.submit(page, code=wrong(code))
    assert "That code is not right." in guessed.text, "whoever has no code learns nothing of it"
    refused = await browser.submit(page, code=code)
    assert (refused.status_code, closed.refusal) == (403, "invitation_over")
    assert "The invitation for this address is over, so no account was made." in refused.text
    assert await users_of(closed) == []
    assert not {"user_signed_up", "user_signed_in"} & set(await closed.audit_events())
    assert await closed.rows("SELECT id FROM sessions") == []
    await invite(closed)
    assert (await browser.submit(page, code=code)).status_code == 303, "renewed, the same code is good"


async def test_a_revoked_invitation_gets_no_new_code(closed):
    await invite(closed)
    browser = closed.browser()
    page = await code_page(closed, browser)
    await invitations.revoke(closed.operator, EMAIL)
    await closed.set_back(MailedCodes, created_at=timedelta(minutes=1))
    again = await browser.follow(await browser.submit(page, action="resend"))
    assert f"If {EMAIL} was invited" in again.text
    assert await code_mails(closed, EMAIL) == ["verify_email"]


async def test_one_invitation_makes_one_account(closed):
    await invite(closed)
    one, two = closed.browser(), closed.browser()
    pages = [await code_page(closed, browser) for browser in (one, two)]
    codes = [mail.code for mail in await mails(closed, EMAIL) if mail.kind == "verify_email"]
    assert (await one.submit(pages[0], code=codes[0])).status_code == 303
    late = await two.submit(pages[1], code=codes[1])
    assert (late.status_code, "There is an account with this address already." in late.text) == (409, True)
    await closed.execute(f"UPDATE users SET deleted_at = created_at WHERE email = '{EMAIL}'")
    late = await two.submit(pages[1], code=codes[1])
    assert (late.status_code, "The invitation for this address is over" in late.text) == (403, True)


async def test_a_bug_leaves_the_invitation_open(closed, monkeypatch):
    async def fail(*_args, **_more):
        raise RuntimeError

    await invite(closed)
    browser = closed.browser()
    page = await code_page(closed, browser)
    code = (await last_mail(closed, EMAIL)).code
    with monkeypatch.context() as patch:
        patch.setattr("authserver.steps.sign_up.begin_session", fail)
        assert (await browser.submit(page, code=code)).status_code == 500
    [stored] = await invitations.find_all(closed.operator)
    assert stored.accepted_at is None
    assert (await browser.submit(page, code=code)).status_code == 303


async def test_pages_and_discovery_offer_it_as_they_do_where_anybody_signs_up(closed):
    browser = closed.browser()
    assert "create" in (await closed.get("/.well-known/openid-configuration")).json()["prompt_values_supported"]
    page = await browser.open(closed.authorization_url(prompt="create"))
    assert page.url.path.startswith("/signup/")
    page = await browser.open(closed.authorization_url())
    link = re.search(r'href="(/signup/[^"]+)">([^<]+)<', page.text)
    assert link[2] == "You were invited? Create an account"
    assert page.text.count('href="/signup') == 1
    answer = await browser.get(f"{closed.issuer}/register")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signup")


@pytest.mark.parametrize("apps", ["invite"], indirect=True)
async def test_an_app_makes_no_accounts_where_they_are_made_by_invitation(apps):
    server = apps.server
    await invite(server)
    for email in (EMAIL, STRANGER, USER.email):
        answer = await apps.register(email=email)
        assert (answer.status_code, answer.json()["code"]) == (403, "sign_up_by_invitation")
        assert "/signup" in answer.json()["detail"]
    assert (await server.get("/docs/problems/sign_up_by_invitation")).status_code == 200
    assert [mail.kind for mail in await mails(server)] == ["invitation"]
    assert await users_of(server) == []


@pytest.mark.parametrize("upstream_server", ["invite"], indirect=True)
async def test_a_provider_that_may_make_accounts_needs_no_invitation(upstream_server, fake):
    server, browser = upstream_server, upstream_server.browser()
    page = await browser.follow(await sign_in_there(server, browser, fake))
    page = await browser.follow(await browser.submit(page, email=STRANGER))
    assert f"If {STRANGER} can be used here, a code is on its way." in page.text
    assert (await browser.submit(page, code=(await last_mail(server, STRANGER)).code)).status_code == 303


async def test_where_anybody_signs_up_an_invitation_is_used_too(start_server):
    opened = await start_server(sign_up="open")
    await invite(opened)
    await sign_up(opened, opened.browser())
    await sign_up(opened, opened.browser(), STRANGER)
    [stored] = await invitations.find_all(opened.operator)
    assert stored.accepted_at is not None
    assert len(await users_of(opened, STRANGER)) == 1
