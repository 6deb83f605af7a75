"""Changing a password, verifying an address, and passwords that came from elsewhere (FEATURES S7, S10)."""

import asyncio
import hashlib
from dataclasses import replace
from uuid import UUID

import pytest

from authserver.app import utc_now
from authserver.feature import Call
from authserver.oauth.errors import OAuthError, Refusal
from authserver.steps.change_password import change_password
from authserver.steps.limiter import TRIES_PER_ADDRESS
from authserver.steps.new_password import PasswordRefusedError, is_leaked
from authserver.store import users
from authserver.web.facts import Facts
from tests.features.account_pages import main_text
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER, WEB
from tests.server import ADDRESS, OTHER_USER, PASSWORD, answer_of
from tests.test_imported_hashes import make_hash

CHOSEN = "marmalade on the moon"


def call_of(server):
    facts = Facts(
        method="POST", path="/account/password", query="", headers=(), address=ADDRESS, request_id="a-request"
    )
    return Call(now=utc_now(), services=server.services, facts=facts)


async def change(server, current=PASSWORD, new=CHOSEN, **keep):
    async with server.services.engine.read() as tx:
        user = await users.get(tx, USER.id)
    return await change_password(call_of(server), user, current=current, new=new, **keep)


def as_uuid(value):
    return value if isinstance(value, UUID) else UUID(value)


@pytest.mark.attack(100)
@pytest.mark.attack(113)
async def test_a_change_signs_out_everywhere_else_and_tells_the_owner(server):
    here, there = server.browser(), server.browser()
    kept = await server.code_flow(browser=here)
    lost = [
        await server.code_flow(browser=there),
        await server.code_flow(replace(WEB), there, scope="openid offline_access notes:read", prompt="consent"),
    ]
    [first, *_] = await server.rows("SELECT id FROM sessions ORDER BY created_at")
    ended = await change(server, keep_session=as_uuid(first.id))
    assert (ended.sessions, ended.grants) == (1, 2)
    assert "code" in answer_of(await here.get(server.authorization_url(prompt="none")))
    assert answer_of(await there.get(server.authorization_url(prompt="none")))["error"] == "login_required"
    assert (await server.refresh(kept["refresh_token"])).status_code == 200
    for tokens in lost:
        assert (await server.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    mail = await last_mail(server, USER.email)
    assert (mail.kind, mail.parameters["address"]) == ("password_changed", ADDRESS)
    assert (await server.login(server.browser(), password=CHOSEN)).status_code == 303
    assert (await server.login(server.browser(), password=PASSWORD)).status_code == 422


async def test_an_apps_own_grant_stays_when_the_app_changes_the_password(server):
    tokens = [await server.code_flow(), await server.code_flow()]
    [grant, *_] = await server.rows("SELECT id FROM grants ORDER BY created_at")
    await change(server, keep_grant=as_uuid(grant.id))
    assert (await server.refresh(tokens[0]["refresh_token"])).status_code == 200
    assert (await server.refresh(tokens[1]["refresh_token"])).json()["error"] == "invalid_grant"


async def test_nothing_changes_without_the_old_password(server):
    browser = server.browser()
    await server.login(browser)
    with pytest.raises(OAuthError) as refused:
        await change(server, current="not it")
    assert refused.value.refusal is Refusal.PASSWORD_WRONG
    assert await mails(server) == []
    assert (await server.login(server.browser())).status_code == 303


async def test_a_bad_new_password_is_refused_with_its_reason(server):
    with pytest.raises(PasswordRefusedError) as refused:
        await change(server, new=USER.email)
    assert refused.value.fault.fault == "too_common"


async def test_guesses_at_the_old_password_wait_like_those_of_a_login(server):
    for _ in range(5):
        with pytest.raises(OAuthError):
            await change(server, current="not it")
    with pytest.raises(OAuthError) as refused:
        await change(server)
    assert refused.value.refusal is Refusal.THROTTLED


async def test_of_two_changes_at_once_one_is_made(server):
    done = await asyncio.gather(
        *(change(server, new=f"{CHOSEN} {number}") for number in range(2)), return_exceptions=True
    )
    refused = [one for one in done if isinstance(one, OAuthError)]
    assert [one.refusal for one in refused] == [Refusal.PASSWORD_WRONG]


@pytest.mark.parametrize("kind", ["pbkdf2_sha256", "argon2", "bcrypt_sha256", "bcrypt"])
async def test_an_imported_password_signs_in_and_is_hashed_anew(server, kind):
    async with server.services.engine.begin() as tx:
        await users.set_password(tx, USER.id, make_hash(kind, PASSWORD))
    assert (await server.login(server.browser(), password="not it")).status_code == 422
    assert (await server.login(server.browser())).status_code == 303
    [row] = await server.rows(f"SELECT password_hash FROM users WHERE email = '{USER.email}'")
    assert row.password_hash.startswith("$argon2id$")
    assert (await server.login(server.browser())).status_code == 303


async def test_a_verified_address_gives_the_scope_that_needs_one(server):
    await server.execute("UPDATE users SET email_verified = FALSE")
    browser = server.browser()
    scope = "openid notes:read notes:write"
    before = await server.code_flow(browser=browser, scope=scope)
    assert "notes:write" not in before["scope"].split()
    page = await browser.follow(await browser.submit(await browser.get(f"{server.issuer}/verify")))
    assert f"A code is on its way to {USER.email}." in page.text
    mail = await last_mail(server, USER.email)
    assert mail.kind == "verify_email"
    done = await browser.follow(await browser.submit(page, code=mail.code))
    assert f"{USER.email} is confirmed." in done.text
    after = await server.code_flow(browser=browser, scope=scope)
    assert "notes:write" in after["scope"].split()
    assert "email_verified" in await server.audit_events()


@pytest.mark.attack(114)
async def test_an_address_that_was_changed_meanwhile_is_not_verified_by_the_code_to_the_old_one(server):
    await server.execute("UPDATE users SET email_verified = FALSE")
    browser = server.browser()
    await server.login(browser)
    page = await browser.follow(await browser.submit(await browser.get(f"{server.issuer}/verify")))
    code = (await last_mail(server, USER.email)).code
    await server.execute(
        f"UPDATE users SET email = 'new@example.com', email_key = 'new@example.com' WHERE email = '{USER.email}'"
    )
    assert (await browser.submit(page, code=code)).status_code == 422
    [row] = await server.rows("SELECT email_verified FROM users WHERE email = 'new@example.com'")
    assert not row.email_verified


async def test_an_address_that_another_account_has_verified_gets_no_code(server):
    await server.execute(
        f"UPDATE users SET email = '{USER.email}', email_key = '{USER.email}', email_verified = FALSE "
        "WHERE username = 'bob'"
    )
    browser = server.browser()
    await server.login(browser, user=OTHER_USER)
    page = await browser.follow(await browser.submit(await browser.get(f"{server.issuer}/verify")))
    assert page.status_code == 200
    assert await mails(server, USER.email) == []


async def test_who_asks_for_too_many_codes_reads_on_that_page_how_long_to_wait(server):
    await server.execute("UPDATE users SET email_verified = FALSE")
    browser = server.browser()
    await server.login(browser)
    page = await browser.get(f"{server.issuer}/verify")
    for _ in range(TRIES_PER_ADDRESS + 1):
        answer = await browser.submit(page)
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert f"Too many tries. Wait {answer.headers['retry-after']} second" in main_text(answer)
    assert 'action="/verify"' in answer.text, "the form is there to be sent again"
    assert server.refusal == "throttled"


async def test_whoever_is_not_signed_in_is_asked_to_before_a_code_is_sent(server):
    page = await server.browser().get(f"{server.issuer}/verify")
    assert 'href="/login"' in page.text
    assert '<form method="post" action="/verify"' not in page.text


class LeakedPasswords:
    """The collection of leaked passwords as its service answers: by the first five digits of a SHA-1."""

    def __init__(self, *passwords, status="200 OK", pause=0):
        digests = [hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper() for password in passwords]
        self.lines = [f"{digest[5:]}:42" for digest in digests] + ["0" * 35 + ":0"]
        self.status, self.pause = status, pause
        self.asked = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/range/"

    async def _answer(self, reader, writer):
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1])
        body = "\r\n".join(self.lines).encode()
        head = f"HTTP/1.1 {self.status}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


async def test_a_leaked_password_is_refused_and_only_five_digits_leave(start_server):
    async with LeakedPasswords(CHOSEN) as service:
        server = await start_server(
            breached_passwords_url=service.url, outbound_allow=f"127.0.0.1:{service.port}", sign_up="open"
        )
        assert await is_leaked(call_of(server), CHOSEN)
        assert not await is_leaked(call_of(server), "violin under the stairs")
        with pytest.raises(PasswordRefusedError) as refused:
            await change(server)
        assert refused.value.fault.fault == "leaked"
        assert all(len(path.removeprefix("/range/")) == 5 for path in service.asked)
        browser = server.browser()
        page = await browser.get(f"{server.issuer}/signup")
        answer = await browser.submit(page, **{"email": "new@example.org", "new-password": CHOSEN})
        assert (answer.status_code, "found among stolen ones" in answer.text) == (422, True)


async def test_a_collection_that_does_not_answer_closes_nothing(start_server):
    async with LeakedPasswords(CHOSEN, status="503 Service Unavailable") as service:
        server = await start_server(breached_passwords_url=service.url, outbound_allow=f"127.0.0.1:{service.port}")
        assert not await is_leaked(call_of(server), CHOSEN)
        assert "leaked_passwords_not_asked" in [event["event"] for event in server.log]


async def test_nobody_is_asked_by_default(server):
    assert server.settings.breached_passwords_url is None
    assert not await is_leaked(call_of(server), CHOSEN)
