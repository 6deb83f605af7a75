"""/account/connections: only who is signed in links an account, and nobody takes off the last way in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authserver.store import upstream_providers, users
from tests.features.account_pages import let_the_proof_grow_old, main_text, send, sign_in
from tests.features.authenticator import add_passkey
from tests.features.factors import add_factor
from tests.mailbox import mails
from tests.oauth.examples import USER
from tests.server import OTHER_USER, is_signed_in
from tests.upstream import change, come_back, link, query_of, sign_in_there


@pytest.fixture
async def server(upstream_server):
    return upstream_server


def page_of(server):
    return f"{server.issuer}/account/connections"


async def begin_link(server, browser):
    """Press the button that links; return the answer."""
    page = await browser.get(page_of(server))
    return await send(browser, page, decision="link", provider="partner")


async def forget_password(server, user=USER):
    async with server.services.engine.begin() as tx:
        await users.update(tx, replace(await users.get(tx, user.id), password_hash=None))


async def links(server):
    return [(row.provider, row.subject) for row in await server.rows("SELECT * FROM upstream_identities")]


async def test_the_page_is_in_the_menu_where_there_is_a_provider_only(server):
    browser = await sign_in(server)
    listed = 'href="/account/connections"'
    assert listed in (await browser.get(f"{server.issuer}/account")).text
    async with server.services.engine.begin() as tx:
        for provider in await upstream_providers.list_all(tx):
            await upstream_providers.delete(tx, provider.slug)
    await server.services.directory.refresh()
    assert listed not in (await browser.get(f"{server.issuer}/account")).text


async def test_who_is_signed_in_links_an_account_and_signs_in_by_it_from_then_on(server, fake):
    fake.person |= {"preferred_username": "octocat"}
    browser = await sign_in(server)
    away = await begin_link(server, browser)
    assert away.status_code == 303
    assert query_of(away.headers["location"])["max_age"] == "0"
    done = await browser.follow(await come_back(server, browser, fake.answer(away.headers["location"])))
    assert done.url.path == "/account/connections"
    text = main_text(done)
    assert "The account is linked." in text
    assert "octocat" in text
    assert "not used yet" in text
    assert "Link Partner" not in text
    assert "account_linked" in await server.audit_events()
    notice = (await mails(server, USER.email))[-1]
    assert (notice.kind, notice.parameters["change"], notice.parameters["name"]) == (
        "factor_changed",
        "account_linked",
        "Partner",
    )
    other = server.browser()
    assert (await sign_in_there(server, other, fake)).headers["location"] == "/"
    assert await is_signed_in(server, other)


async def test_a_sign_in_that_is_not_fresh_has_to_be_proven_first(server):
    browser = await sign_in(server)
    page = await browser.get(page_of(server))
    await let_the_proof_grow_old(server)
    for values in ({"decision": "link", "provider": "partner"}, {"decision": "unlink", "provider": "partner"}):
        answer = await send(browser, page, **values)
        assert answer.status_code == 403
        assert "sign in again" in main_text(answer)
    assert await server.rows("SELECT * FROM upstream_sign_ins") == []


@pytest.mark.attack(102)
async def test_linking_needs_a_form_of_our_own_page(server):
    browser = await sign_in(server)
    answer = await browser.post(
        page_of(server), {"decision": "link", "provider": "partner"}, {"sec-fetch-site": "cross-site"}
    )
    assert (answer.status_code, server.refusal) == (403, "csrf")


@pytest.mark.attack(11)
async def test_a_link_begun_by_one_person_is_not_another_one_s_who_signed_in_meanwhile(server, fake):
    """The way belongs to a session: neither its end nor another user's sign-in hands it on."""
    browser = await sign_in(server)
    away = (await begin_link(server, browser)).headers["location"]
    page = await browser.get(f"{server.issuer}/login?switch=1")
    await server.login(browser, page, OTHER_USER)
    answer = await come_back(server, browser, fake.answer(away))
    assert (answer.status_code, server.refusal) == (403, "session_ended")
    assert await links(server) == []


@pytest.mark.attack(103)
async def test_a_link_that_somebody_else_began_is_not_finished_in_the_victim_s_browser(server, fake):
    """The attacker's account there must not become a way into the victim's account here."""
    attacker, victim = await sign_in(server, OTHER_USER), await sign_in(server)
    away = (await begin_link(server, attacker)).headers["location"]
    answer = await come_back(server, victim, fake.answer(away))
    assert (answer.status_code, server.refusal) == (400, "upstream_state")
    assert await links(server) == []


@pytest.mark.attack(114)
async def test_who_is_signed_in_and_comes_back_from_a_plain_sign_in_is_not_linked(server, fake):
    browser = await sign_in(server)
    page = await browser.follow(await sign_in_there(server, browser, fake))
    assert page.url.path.endswith("/finish")
    assert await links(server) == []


async def test_an_account_that_is_linked_elsewhere_stays_there(server, fake):
    await link(server, OTHER_USER)
    browser = await sign_in(server)
    away = (await begin_link(server, browser)).headers["location"]
    answer = await come_back(server, browser, fake.answer(away))
    assert (answer.status_code, server.refusal) == (409, "upstream_linked_elsewhere")
    assert "linked to another account" in main_text(answer)
    rows = await server.rows("SELECT user_id FROM upstream_identities")
    assert [str(row.user_id).replace("-", "") for row in rows] == [OTHER_USER.id.hex]


async def test_linking_twice_changes_nothing(server, fake):
    await link(server)
    browser = await sign_in(server)
    page = await browser.get(page_of(server))
    away = await send(browser, page, decision="link", provider="partner")
    answer = await come_back(server, browser, fake.answer(away.headers["location"]))
    assert answer.status_code == 303
    assert len(await links(server)) == 1
    assert "account_linked" not in await server.audit_events()


@pytest.mark.attack(114)
async def test_an_account_with_an_unverified_address_cannot_be_linked(server, fake):
    """Whoever made it with the victim's address would keep a way in after the victim has reset the password."""
    browser = await sign_in(server)
    page = await browser.get(page_of(server))
    away = await send(browser, page, decision="link", provider="partner")
    async with server.services.engine.begin() as tx:
        await users.update(tx, replace(await users.get(tx, USER.id), email_verified=False))
    assert "Confirm your e-mail address" in main_text(await browser.get(page_of(server)))
    answer = await come_back(server, browser, fake.answer(away.headers["location"]))
    assert (answer.status_code, server.refusal) == (403, "upstream_link_unverified")
    assert await links(server) == []


@pytest.mark.attack(100)
async def test_taking_an_account_off_signs_out_everywhere_else_and_is_told(server, fake):
    await link(server)
    there = server.browser()
    await sign_in_there(server, there, fake)
    browser = await sign_in(server)
    page = await browser.get(page_of(server))
    done = await browser.follow(await send(browser, page, decision="unlink"))
    assert "not linked any more" in main_text(done)
    assert not await is_signed_in(server, there)
    assert await is_signed_in(server, browser)
    assert await links(server) == []
    assert (await mails(server, USER.email))[-1].parameters["change"] == "account_unlinked"
    again = await browser.follow(await send(browser, page, decision="unlink"))
    assert "not linked any more" not in main_text(again)
    newcomer = server.browser()
    assert (await newcomer.follow(await sign_in_there(server, newcomer, fake))).url.path.endswith("/finish")


async def test_a_passkey_is_another_way_in(server):
    browser = await sign_in(server)
    await link(server)
    await add_passkey(server, browser)
    page = await browser.get(page_of(server))
    await forget_password(server)
    assert (await send(browser, page, decision="unlink")).status_code == 303
    assert await links(server) == []


async def test_the_last_way_in_cannot_be_taken_off(server):
    browser = await sign_in(server)
    await link(server)
    page = await browser.get(page_of(server))
    await forget_password(server)
    shown = await browser.get(page_of(server))
    assert "last way to sign in" in main_text(shown)
    assert 'value="unlink"' not in shown.text
    answer = await send(browser, page, decision="unlink")
    assert answer.status_code == 422
    assert "Set a password first" in main_text(answer)
    await link(server, provider="hub", subject="583231")
    assert (await send(browser, page, decision="unlink")).status_code == 303
    assert await links(server) == [("hub", "583231")]


async def test_nobody_takes_off_what_is_another_one_s(server):
    await link(server, OTHER_USER)
    browser = await sign_in(server)
    page = await browser.get(page_of(server))
    await send(browser, page, decision="unlink", provider="partner", subject="a-subject-there")
    assert len(await links(server)) == 1


async def test_a_provider_that_is_turned_off_is_shown_and_can_be_taken_off(server):
    await link(server)
    await change(server, disabled_at=USER.created_at)
    browser = await sign_in(server)
    page = await browser.get(page_of(server))
    assert "partner" in main_text(page)
    assert (await send(browser, page, decision="unlink")).status_code == 303


async def test_a_provider_that_fails_leads_back_to_the_page(server, fake):
    browser = await sign_in(server)
    fake.metadata = {"issuer": "https://another.example"}
    answer = await begin_link(server, browser)
    assert answer.status_code == 502
    assert 'href="/account/connections"' in answer.text
    assert "Linked accounts" in main_text(answer)


async def test_without_providers_the_page_says_so(start_server):
    server = await start_server()
    page = await (await sign_in(server)).get(page_of(server))
    assert "There is no other provider here" in main_text(page)


async def test_what_is_linked_is_part_of_one_s_data(server):
    await link(server)
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/account/data")
    document = (await send(browser, page, decision="download")).json()
    [linked] = document["linked_accounts"]
    assert (linked["provider"], linked["subject"], linked["account_name"]) == ("partner", "a-subject-there", "octocat")


async def test_the_second_factor_is_still_asked_for_of_who_proves_it_again_there(server, fake):
    phone = await add_factor(server)
    await link(server)
    page = await phone.browser.follow(await sign_in_there(server, phone.browser, fake))
    assert page.url.path.startswith("/second-factor/")


async def test_a_state_that_is_wanted_twice_is_refused_on_the_account_page_too(server, fake):
    browser = await sign_in(server)
    answer = fake.answer((await begin_link(server, browser)).headers["location"])
    await come_back(server, browser, answer)
    again = await come_back(server, browser, answer)
    assert again.status_code == 400
    assert 'href="/account/connections"' in again.text
