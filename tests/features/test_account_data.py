"""/account/data: take one's data along; leave, and stay after all within thirty days (SECURITY row 117)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authserver.operations import users
from authserver.operations.errors import OperationError, Problem
from authserver.store.purge import purge_expired
from authserver.store.tables import Users
from tests.features.account_pages import hidden, main_text, send, sign_in
from tests.mailbox import mails
from tests.oauth.examples import USER
from tests.server import PASSWORD, answer_of


async def leave(server, browser):
    """Delete the account; return the answer."""
    page = await browser.get(f"{server.issuer}/account/data")
    return await send(browser, page, 1, decision="delete", sure="yes")


async def test_ones_data_is_one_file_without_secrets(server):
    browser = await sign_in(server)
    await server.code_flow(browser=browser)
    answer = await send(browser, await browser.get(f"{server.issuer}/account/data"), decision="download")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert document["account"]["email"] == USER.email
    assert document["account"]["has_password"] is True
    assert document["account"]["has_second_factor"] is False
    assert [app["client_id"] for app in document["consents"]] == ["web-client"]
    assert [app["client_id"] for app in document["access"]] == ["web-client"]
    assert document["devices"][0]["methods"] == ["pwd"]
    assert {event["event"] for event in document["activity"]} >= {"user_signed_in", "consent_given", "data_exported"}
    assert not any(secret in answer.text for secret in ("hash", "$argon2", "cookie", PASSWORD))


async def test_only_who_says_yes_is_deleted(server):
    browser = await sign_in(server)
    page = await browser.get(f"{server.issuer}/account/data")
    assert "For 30 days you can sign in and keep your account after all." in main_text(page)
    answer = await send(browser, page, 1, decision="delete")
    assert answer.status_code == 422
    assert "Tick the box" in main_text(answer)
    assert (await browser.get(f"{server.issuer}/account")).status_code == 200


async def test_who_leaves_is_signed_out_everywhere_at_once_and_told_by_mail(server):
    browser, elsewhere = await sign_in(server), await sign_in(server)
    tokens = await server.code_flow(browser=elsewhere, scope="openid offline_access notes:read")
    answer = await leave(server, browser)
    assert "Your account will be deleted on" in main_text(answer)
    assert "__Host-session" not in browser.cookies
    assert (await elsewhere.get(f"{server.issuer}/account")).headers["location"] == "/login"
    assert (await server.refresh(tokens["refresh_token"])).status_code == 400
    assert (await server.introspect(tokens["access_token"])) == {"active": False}
    assert [mail.kind for mail in await mails(server, USER.email)][-1] == "account_deletion"


async def test_who_signs_in_within_the_grace_period_can_stay_and_gets_nothing_before(server):
    await leave(server, await sign_in(server))
    browser = server.browser()
    page = await browser.follow(await server.login(browser))
    assert page.url.path == "/account/restore"
    assert "You asked us to delete your account." in main_text(page)
    assert (await browser.open(f"{server.issuer}/account/profile")).url.path == "/account/restore"
    refused = await browser.get(server.authorization_url())
    assert answer_of(refused)["error"] == "access_denied"
    assert server.refusal == "user_gone"
    done = await browser.follow(await browser.submit(page, decision="stay"))
    assert done.url.path == "/account"
    assert (await browser.open(f"{server.issuer}/account/restore")).url.path == "/account"
    assert (await server.code_flow(browser=browser))["access_token"]
    events = await server.audit_events()
    assert events.count("account_deletion_asked") == events.count("account_kept") == 1


async def test_who_leaves_and_signs_in_for_an_app_is_asked_and_goes_on_to_the_app(server):
    await leave(server, await sign_in(server))
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    page = await browser.follow(await server.login(browser, page))
    assert page.url.path == "/account/restore"
    page = await browser.follow(await browser.submit(page, decision="stay"))
    assert page.url.path.startswith("/consent/")
    page = await browser.follow(await browser.submit(page, decision="allow"))
    assert "code" in answer_of(page)


async def test_who_still_wants_to_leave_is_signed_out_again(server):
    await leave(server, await sign_in(server))
    browser = server.browser()
    page = await browser.follow(await server.login(browser))
    answer = await browser.submit(page, decision="leave")
    assert answer.headers["location"] == "/"
    assert "__Host-session" not in browser.cookies
    assert await server.rows("SELECT id FROM users WHERE username = 'ada' AND delete_at IS NOT NULL")
    assert (await server.audit_events())[-1] == "session_ended"


@pytest.mark.attack(102)
async def test_another_site_can_neither_keep_nor_drop_the_account(server):
    await leave(server, await sign_in(server))
    browser = server.browser()
    page = await browser.follow(await server.login(browser))
    elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await browser.post(str(page.url), hidden(page) | {"decision": "stay"}, elsewhere)
    assert (answer.status_code, server.refusal) == (403, "csrf")


@pytest.mark.attack(117)
async def test_after_thirty_days_the_account_is_gone_and_its_subject_is_nobodys(server):
    await leave(server, await sign_in(server))
    await purge_expired(server.services.engine)
    assert await server.rows("SELECT id FROM users WHERE username = 'ada'"), "not before"
    await server.set_back(Users, delete_at=timedelta(seconds=1))
    await purge_expired(server.services.engine)
    assert await server.rows("SELECT id FROM users") == []
    answer = await server.login(server.browser())
    assert answer.status_code == 422
    assert "That e-mail or password is not right." in answer.text
    again = await users.create(server.operator, username=USER.username, email=USER.email)
    assert again.sub != USER.sub


async def test_an_operator_can_keep_the_account_of_who_asks_for_it(server):
    await leave(server, await sign_in(server))
    kept = await users.enable(server.operator, "ada")
    assert kept.is_active
    browser = server.browser()
    assert (await browser.follow(await server.login(browser))).url.path == "/"


@pytest.mark.attack(117)
async def test_the_name_of_who_is_leaving_is_not_free_yet(server):
    await leave(server, await sign_in(server))
    with pytest.raises(OperationError) as refused:
        await users.create(server.operator, username=USER.username, email="another@example.org")
    assert refused.value.problem is Problem.CONFLICT
