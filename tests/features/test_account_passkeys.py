"""/account/passkeys: a passkey is added, renamed and removed (SECURITY rows 100, 102, 112 and 116)."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from authserver.oauth.passkey_rules import MAX_PASSKEYS
from authserver.operations import users
from authserver.store import passkeys
from tests.features.account_pages import hidden, let_the_proof_grow_old, main_text, send, sign_in
from tests.features.authenticator import (
    ELIGIBLE,
    PATH,
    PRESENT,
    SYNCED,
    VERIFIED,
    Authenticator,
    add_passkey,
    decode,
    encode,
    read_request,
    read_signal,
    send_new,
    use,
)
from tests.features.factors import add_factor, give_password
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.server import OTHER_USER

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
ONE_PASSWORD = UUID("bada5566-a7aa-401f-bd96-45619a55120d").bytes


async def open_page(server, browser):
    return await browser.get(server.issuer + PATH)


async def test_a_passkey_is_added_and_named_after_its_authenticator(server):
    browser = await sign_in(server)
    page = await open_page(server, browser)
    request = read_request(page)
    assert request["user"] | {"id": None} == {"id": None, "name": USER.username, "displayName": USER.username}
    assert decode(request["user"]["id"]) == USER.id.bytes
    assert request["authenticatorSelection"]["residentKey"] == "required"
    assert request["authenticatorSelection"]["userVerification"] == "required"
    assert (request["attestation"], request["excludeCredentials"]) == ("none", [])
    flags = PRESENT | VERIFIED | ELIGIBLE | SYNCED
    answer = await browser.follow(await send_new(browser, page, Authenticator(aaguid=ONE_PASSWORD, flags=flags)))
    text = main_text(answer)
    assert "The passkey is added." in text
    assert "1Password Synced" in text
    assert "Last used Never" in text
    assert "Add a second passkey, or you may lock yourself out." in text
    mail = await last_mail(server, USER.email)
    assert (mail.kind, mail.parameters["change"], mail.parameters["name"]) == (
        "factor_changed",
        "passkey_added",
        "1Password",
    )
    assert "passkey_added" in await server.audit_events()


async def test_a_second_one_ends_the_warning_and_the_browser_is_told_of_both(server):
    browser = await sign_in(server)
    both = [await add_passkey(server, browser) for _ in range(2)]
    page = await open_page(server, browser)
    assert "lock yourself out" not in page.text
    assert "This device only" in page.text
    names = {json.loads(one.get({"challenge": "", "rpId": "x"}))["id"] for one in both}
    assert {one["id"] for one in read_request(page)["excludeCredentials"]} == names
    signal = read_signal(page)
    assert signal["method"] == "signalAllAcceptedCredentials"
    assert set(signal["about"]["allAcceptedCredentialIds"]) == names
    assert decode(signal["about"]["userId"]) == USER.id.bytes


async def test_one_of_an_unknown_make_is_named_after_the_browser(server):
    browser = await sign_in(server)
    page = await open_page(server, browser)
    form = hidden(page) | {"passkey": Authenticator().create(read_request(page))}
    await browser.post(str(page.url), form, {"user-agent": FIREFOX})
    assert "Firefox on Linux" in main_text(await open_page(server, browser))


CHANGED = {
    "user not verified": ({"flags": PRESENT}, "passkey_unverified", "fingerprint"),
    "user not there": ({"flags": VERIFIED}, "passkey_unproven", "cannot be used here"),
    "another RP ID": ({"rp_id": "example.net"}, "passkey_unproven", "cannot be used here"),
    "another origin": ({"origin": "https://id.example.net"}, "passkey_origin", "cannot be used here"),
    "a sign-in's type": ({"type": "webauthn.get"}, "passkey_unproven", "cannot be used here"),
    "in a frame of another site": ({"client_data": {"crossOrigin": True}}, "passkey_unproven", "cannot be used here"),
    "a made-up challenge": ({"client_data": {"challenge": "AAAA"}}, "passkey_challenge", "open for a long time"),
    "too long an id": ({"credential_id": bytes(1024)}, "passkey_unproven", "cannot be used here"),
}


@pytest.mark.attack(116)
@pytest.mark.parametrize(("changes", "refusal", "words"), CHANGED.values(), ids=CHANGED)
async def test_what_is_not_exactly_right_adds_nothing(server, changes, refusal, words):
    browser = await sign_in(server)
    answer = await send_new(browser, await open_page(server, browser), Authenticator(**changes))
    assert (answer.status_code, server.refusal) == (422, refusal)
    assert words in main_text(answer)
    assert await server.rows("SELECT id FROM passkeys") == []
    assert await mails(server, USER.email) == []


@pytest.mark.attack(112)
@pytest.mark.attack(116)
async def test_a_challenge_adds_one_passkey_of_one_user_in_one_session(server):
    browser, stranger = await sign_in(server), await sign_in(server, OTHER_USER)
    page = await open_page(server, browser)
    theirs = await open_page(server, stranger)
    request = read_request(page)
    answer = await stranger.post(str(theirs.url), hidden(theirs) | {"passkey": Authenticator().create(request)})
    assert (answer.status_code, server.refusal) == (422, "passkey_challenge")
    elsewhere = await sign_in(server)
    there = await open_page(server, elsewhere)
    answer = await elsewhere.post(str(there.url), hidden(there) | {"passkey": Authenticator().create(request)})
    assert (answer.status_code, server.refusal) == (422, "passkey_challenge")
    assert (await send_new(browser, page, Authenticator())).status_code == 303
    assert (await send_new(browser, page, Authenticator())).status_code == 422
    assert len(await server.rows("SELECT id FROM passkeys")) == 1


@pytest.mark.attack(116)
async def test_a_credential_id_is_one_persons(server):
    passkey = await add_passkey(server, await sign_in(server))
    stranger = await sign_in(server, OTHER_USER)
    answer = await send_new(stranger, await open_page(server, stranger), passkey.but(key=Authenticator().key))
    assert (answer.status_code, server.refusal) == (422, "passkey_known")
    assert (await use(server, server.browser(), passkey.but(user_handle=USER.id.bytes))).status_code == 303


async def test_a_key_that_could_never_be_used_is_not_taken(server):
    browser = await sign_in(server)
    off_the_curve = bytes(64)
    authenticator = Authenticator()
    page = await open_page(server, browser)
    document = json.loads(authenticator.create(read_request(page)))
    point = authenticator.key.public_key().public_numbers()
    attestation = decode(document["response"]["attestationObject"])
    for coordinate, bad in ((point.x, off_the_curve[:32]), (point.y, off_the_curve[:31] + b"\x05")):
        attestation = attestation.replace(coordinate.to_bytes(32, "big"), bad)
    document["response"]["attestationObject"] = encode(attestation)
    answer = await browser.post(str(page.url), hidden(page) | {"passkey": json.dumps(document)})
    assert (answer.status_code, server.refusal) == (422, "passkey_unproven")


async def test_there_can_be_so_many_and_no_more(server):
    browser = await sign_in(server)
    await add_passkey(server, browser)
    page = await open_page(server, browser)
    async with server.services.engine.begin() as tx:
        [stored] = await passkeys.list_of_user(tx, USER.id)
        for number in range(MAX_PASSKEYS - 1):
            assert await passkeys.add(tx, replace(stored, id=uuid4(), credential_id=bytes([number])))
    answer = await send_new(browser, page, Authenticator())
    assert (answer.status_code, server.refusal) == (422, "passkeys_too_many")
    assert "You can have 20 passkeys. Remove one first." in main_text(answer)
    assert "data-passkey=" not in answer.text


async def test_a_passkey_gets_another_name(server):
    browser = await sign_in(server)
    await add_passkey(server, browser)
    page = await open_page(server, browser)
    answer = await browser.follow(await send(browser, page, decision="rename", name=" The  blue key "))
    assert "The passkey has its new name." in main_text(answer)
    assert "The blue key" in main_text(answer)
    for wrong in (" ", "x" * 61, "a bell\x07", "back\u202ewards"):
        answer = await send(browser, page, decision="rename", name=wrong)
        assert answer.status_code == 422
        assert "A name has between 1 and 60 characters." in main_text(answer)
    assert (await server.rows("SELECT name FROM passkeys"))[0].name == "The blue key"


@pytest.mark.attack(100)
async def test_a_removed_passkey_signs_nobody_in_and_everywhere_else_is_signed_out(server):
    browser, there = await sign_in(server), await sign_in(server)
    passkey = await add_passkey(server, browser)
    lost = await server.code_flow(browser=there)
    answer = await browser.follow(await send(browser, await open_page(server, browser), decision="remove"))
    assert "The passkey is removed." in main_text(answer)
    assert read_signal(answer)["about"]["allAcceptedCredentialIds"] == []
    assert (await there.get(f"{server.issuer}/account")).headers["location"] == "/login"
    assert (await server.refresh(lost["refresh_token"])).status_code == 400
    assert (await use(server, server.browser(), passkey)).status_code == 422
    assert server.refusal == "passkey_unknown"
    assert (await last_mail(server, USER.email)).parameters["change"] == "passkey_removed"
    assert "passkey_removed" in await server.audit_events()


@pytest.mark.attack(102, 120)
async def test_nobody_changes_somebody_elses_passkey(server):
    await add_passkey(server, await sign_in(server))
    [row] = await server.rows("SELECT id, name FROM passkeys")
    stranger = await sign_in(server, OTHER_USER)
    page = await open_page(server, stranger)
    for decision in ("rename", "remove"):
        form = hidden(page) | {"passkey_id": str(row.id), "decision": decision, "name": "mine"}
        assert (await stranger.post(str(page.url), form)).status_code == 303
        evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        assert (await stranger.post(str(page.url), form, evil)).status_code == 403
    assert [tuple(each) for each in await server.rows("SELECT id, name FROM passkeys")] == [tuple(row)]


async def test_each_change_wants_a_sign_in_of_the_last_five_minutes(server):
    browser = await sign_in(server)
    page = await open_page(server, browser)
    await let_the_proof_grow_old(server)
    assert "sign in again" in main_text(await open_page(server, browser))
    answer = await send_new(browser, page, Authenticator())
    assert answer.status_code == 403
    assert await server.rows("SELECT id FROM passkeys") == []


async def test_who_has_an_authenticator_app_adds_one_only_after_it(server):
    weak = await sign_in(server)
    phone = await add_factor(server)
    assert "sign in again" in main_text(await open_page(server, weak))
    browser = server.browser()
    await browser.submit(await give_password(server, browser), code=phone.code())
    await add_passkey(server, browser)


async def test_the_data_of_an_account_tell_of_its_passkeys_and_not_their_keys(server):
    browser = await sign_in(server)
    await add_passkey(server, browser)
    page = await browser.get(f"{server.issuer}/account/data")
    answer = await browser.post(str(page.url), hidden(page) | {"decision": "download"})
    [passkey] = answer.json()["passkeys"]
    assert set(passkey) == {"name", "authenticator", "synced", "added_at", "last_used_at"}


async def test_an_operator_helps_who_has_lost_them(server):
    passkey = await add_passkey(server, await sign_in(server))
    assert await users.count_passkeys(server.operator, USER) == 1
    await users.reset_factors(server.operator, USER.username)
    assert (await last_mail(server, USER.email)).parameters["change"] == "passkey_removed"
    assert (await use(server, server.browser(), passkey)).status_code == 422


async def test_a_passkey_goes_with_its_account(server):
    await add_passkey(server, await sign_in(server))
    await server.execute(f"DELETE FROM users WHERE username = '{USER.username}'")
    assert await server.rows("SELECT id FROM passkeys") == []
