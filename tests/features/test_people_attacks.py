"""Attacks on accounts, by the pages and by /api (SECURITY A9 and A10): what a stranger learns, takes or breaks."""

import json
from dataclasses import replace

import pytest

from authserver.oauth.status_list import place_at
from authserver.store import users
from authserver.web.cookies import DEVICE
from tests.features.test_api import PHONE, PHRASE, Api, code_of
from tests.features.test_sign_up import ask, sign_up, wrong
from tests.mailbox import last_mail, mails
from tests.oauth.examples import USER
from tests.server import PASSWORD, SERVICE

LOOKALIKE = USER.email.replace("a", "ａ", 1)  # another mailbox, whose spelling folds to the user's
SQUATTED = "owner@example.org"
ASKING = pytest.mark.parametrize(
    ("apps", "path"),
    [("open", "forgot"), ("open", "login-code"), ("open", "signup"), ("invite", "signup")],
    indirect=["apps"],
)
UNVERIFIED = f"SELECT email, email_verified FROM users WHERE email IN ('{SQUATTED}', 'attacker@example.org')"


async def forgot(api, email):
    return (await api.post("password/forgot", client_id="phone-app", email=email)).json()["id"]


async def reset(api, reset_id, code="000000", password=PHRASE):
    return await api.post("password/reset", client_id="phone-app", reset_id=reset_id, code=code, new_password=password)


@pytest.mark.attack(104)
@ASKING
async def test_no_mail_about_an_account_goes_to_an_address_that_only_looks_like_its_own(apps, path):
    server, browser = apps.server, apps.server.browser()
    page = await browser.get(f"{server.issuer}/{path}")
    answer = await browser.submit(page, **{"email": LOOKALIKE, "new-password": PHRASE})
    assert answer.status_code == 303, "as for any address"
    assert await mails(server) == []


@pytest.mark.attack(104)
async def test_no_code_to_a_password_goes_to_a_lookalike_from_an_app_either(apps):
    await forgot(apps, LOOKALIKE)
    await apps.register(email=LOOKALIKE)
    assert await mails(apps.server) == []


async def test_an_address_in_other_letters_of_ascii_is_the_accounts_own(apps):
    await forgot(apps, USER.email.upper())
    assert [mail.kind for mail in await mails(apps.server)] == ["reset_password"]


@pytest.mark.attack(104)
async def test_a_new_password_like_an_address_tells_nobody_whether_it_is_known(apps):
    password = f"{USER.email}1"
    known = await reset(apps, await forgot(apps, USER.email), password=password)
    unknown_password = "nobody@example.org1"
    unknown = await reset(apps, await forgot(apps, "nobody@example.org"), password=unknown_password)
    assert (known.status_code, code_of(known)) == (unknown.status_code, code_of(unknown))


@pytest.mark.attack(104)
async def test_a_new_password_like_the_username_is_refused_once_the_code_was_right_and_the_code_stays_good(apps):
    server = apps.server
    names = "username = 'zanzibarian', username_key = 'zanzibarian', name = NULL"
    await server.execute(f"UPDATE users SET {names} WHERE email = '{USER.email}'")
    reset_id = await forgot(apps, USER.email)
    code = (await last_mail(server, USER.email)).code
    guessed = await reset(apps, reset_id, wrong(code), "zanzibarian1")
    assert code_of(guessed) == "mailed_code_wrong", "whoever has no code learns nothing of the account"
    refused = await reset(apps, reset_id, code, "zanzibarian1")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/new_password")
    assert (await reset(apps, reset_id, code)).status_code == 200


@pytest.mark.attack(118)
@pytest.mark.parametrize(
    ("code", "status"), [("12345", 400), ("000000", 403)], ids=["no code at all", "a code that is used up"]
)
async def test_no_password_is_hashed_for_a_code_that_cannot_be_right(apps, monkeypatch, code, status):
    reset_id = await forgot(apps, "nobody@example.org")
    if code == "000000":
        await apps.server.execute("UPDATE mailed_codes SET attempts = 5")
    hasher, hashed = apps.server.services.hasher, []
    monkeypatch.setattr(type(hasher), "hash", lambda _, password: hashed.append(password))
    assert (await reset(apps, reset_id, code)).status_code == status
    assert hashed == []


@pytest.mark.attack(104)
async def test_naming_ones_address_as_username_tells_nobody_whether_it_is_known(apps):
    await sign_up(apps.server, apps.server.browser(), "known@example.org")
    answers = [
        await apps.register(email=email, username=email) for email in ("known@example.org", "unknown@example.org")
    ]
    assert [answer.status_code for answer in answers] == [201, 201]


@pytest.mark.attack(106)
@pytest.mark.attack(104)
@pytest.mark.parametrize("email", [USER.email, "nobody@example.org"], ids=["known", "unknown"])
@ASKING
async def test_guesses_at_a_password_and_at_a_code_share_one_budget_for_every_address(apps, path, email):
    server = apps.server
    for _ in range(5):
        await apps.login(username=email, password="not it", scope="notes:read")
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/{path}")
    page = await browser.follow(await browser.submit(page, **{"email": email, "new-password": PHRASE}))
    await server.begin_waits_now()
    assert (await browser.submit(page, code="000000")).status_code == 429


@pytest.mark.attack(106)
async def test_a_disabled_account_shares_it_too(apps):
    await apps.server.execute("UPDATE users SET disabled_at = created_at")
    await test_guesses_at_a_password_and_at_a_code_share_one_budget_for_every_address(apps, "forgot", USER.email)


@pytest.mark.attack(114)
async def test_whoever_proves_an_address_in_an_app_signs_in_by_it_whoever_claimed_it_as_a_name_before(apps):
    squatter = await apps.register(email=SQUATTED)
    assert squatter.status_code == 201
    owner = (await apps.register(email=SQUATTED, password="quite another phrase")).json()
    async with apps.server.services.engine.read() as tx:
        assert (await users.find_by_username(tx, SQUATTED)) is not None
    code = (await last_mail(apps.server, SQUATTED)).code
    verified = await apps.post(
        "verify",
        client_id="phone-app",
        verification_id=owner["verification_id"],
        code=code,
        refresh_token=owner["refresh_token"],
    )
    assert verified.status_code == 200, verified.text
    login = await apps.login(username=SQUATTED, password="quite another phrase", scope="notes:read")
    assert login.status_code == 200
    assert (await apps.login(username=SQUATTED, password=PHRASE, scope="notes:read")).status_code == 403


@pytest.mark.attack(114)
async def test_nobody_keeps_an_owner_from_changing_to_an_address_by_claiming_it(apps):
    server, browser = apps.server, apps.server.browser()
    await sign_up(server, browser, "before@example.org")
    assert (await apps.register(email=SQUATTED)).status_code == 201
    page = await browser.get(f"{server.issuer}/account/email")
    page = await browser.follow(await browser.submit(page, email=SQUATTED))
    await browser.submit(page, code=(await last_mail(server, SQUATTED)).code)
    login = await apps.login(username=SQUATTED, password="marmalade on the moon", scope="notes:read")
    assert login.status_code == 200


@pytest.mark.attack(109)
async def test_nobody_replaces_the_code_of_somebody_else(apps):
    server = apps.server
    victim = (await apps.register()).json()
    await server.execute("UPDATE mailed_codes SET created_at = '2001-01-01 00:00:00'")
    attacker = (await apps.register(email="attacker@example.org")).json()
    answer = await apps.post(
        "verify/resend", bearer=attacker["access_token"], verification_id=victim["verification_id"]
    )
    assert (answer.status_code, code_of(answer)) == (403, "mailed_code_unknown")
    [code] = await server.rows("SELECT used_at FROM mailed_codes WHERE email = 'new@example.org'")
    assert code.used_at is None


@pytest.mark.attack(105)
async def test_a_first_code_asked_for_again_leaves_one_that_works(apps):
    tokens = (await apps.register()).json()
    assert (await apps.post("verify/resend", bearer=tokens["access_token"])).status_code == 202
    rows = await apps.server.rows("SELECT id FROM mailed_codes WHERE used_at IS NULL")
    assert len(rows) == 1


@pytest.mark.attack(109)
@pytest.mark.parametrize("path", ["verify", "reset"])
async def test_a_browser_sees_nothing_of_a_code_that_an_app_asked_for(apps, path):
    server = apps.server
    code_id = (await apps.register()).json()["verification_id"] if path == "verify" else await forgot(apps, USER.email)
    browser = server.browser()  # without any cookie, as an app is
    page = await browser.get(f"{server.issuer}/{path}/{code_id}")
    assert page.status_code == 404
    assert "@example.org" not in page.text


@pytest.mark.attack(109)
async def test_an_app_can_do_nothing_with_a_code_that_a_browser_asked_for(apps):
    server, browser = apps.server, apps.server.browser()
    page = await browser.get(f"{server.issuer}/forgot")
    answer = await browser.submit(page, email=USER.email)
    code_id = answer.headers["location"].rpartition("/")[2]
    refused = await reset(apps, code_id, (await last_mail(server, USER.email)).code)
    assert (refused.status_code, code_of(refused)) == (403, "mailed_code_unknown")


@pytest.mark.attack(107)
async def test_a_cookie_is_worth_nothing_at_the_api(apps):
    server, browser = apps.server, apps.server.browser()
    await server.login(browser)
    assert DEVICE in browser.cookies
    cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    body = {"client_id": "phone-app", "username": USER.username, "password": "not it", "scope": "notes:read"}
    for _ in range(5):
        await server.http.post("/api/login", json=body)
    await server.begin_waits_now()
    answer = await server.http.post("/api/login", json=body, headers=cookie)
    server.http.cookies.clear()
    assert answer.status_code == 429, "what exempts a browser is no matter of an app"


ODD_TEXTS = ["\x00", "a\x00b", "\ud800", "\u202e", "\ufdd0", "x" * 5000, "9" * 5000, "", " ", "../..", "[::1"]
ODD_VALUES = [None, True, 0, -1, 10**400, 1.5e308, [], [[]], {}, {"a": {"b": []}}, ["\x00"], ["\ud800"]]
BODIES = {
    "login": {
        "username": USER.username,
        "password": PASSWORD,
        "scope": "notes:read",
        "resource": ["https://x.example"],
    },
    "register": {
        "email": "n@example.org",
        "password": PHRASE,
        "username": "nn",
        "name": "N",
        "scope": "notes:read",
        "resource": ["https://x.example"],
    },
    "refresh": {"refresh_token": "asr_x", "scope": "notes:read", "resource": ["https://x.example"]},
    "logout": {"token": "asr_x"},
    "verify": {"verification_id": "x", "code": "123456", "refresh_token": "asr_x"},
    "verify/resend": {"verification_id": "x"},
    "password/forgot": {"email": USER.email},
    "password/reset": {"reset_id": "x", "code": "123456", "new_password": PHRASE},
    "password/change": {"current_password": PASSWORD, "new_password": PHRASE},
}


@pytest.mark.attack(126)
@pytest.mark.parametrize("path", BODIES)
async def test_no_odd_member_of_a_body_is_an_error_of_the_server(apps, path):
    token = (await apps.tokens())["access_token"]
    is_of_a_client = path not in {"verify/resend", "password/change"}
    good = ({"client_id": "phone-app", "client_secret": "x"} if is_of_a_client else {}) | BODIES[path]
    bodies = [good | {member: odd} for member in good for odd in [*ODD_TEXTS, *ODD_VALUES]]
    bodies += [good | {odd: 1} for odd in ODD_TEXTS]
    for body in bodies:
        await assert_answered(apps, "POST", path, token, json.dumps(body).encode())
    for content in (b"[" * 60_000, b'{"a":' * 12_000, b"\xff", b"9" * 60_000, b"NaN", b'"\\ud800"'):
        await assert_answered(apps, "POST", path, token, content)


@pytest.mark.attack(126)
async def test_no_odd_member_of_a_profile_is_an_error_of_the_server(apps):
    token = (await apps.tokens())["access_token"]
    members = (await apps.ask("GET", "profile", token)).json()
    for body in ({member: odd} for member in [*members, "\x00"] for odd in [*ODD_TEXTS, *ODD_VALUES]):
        await assert_answered(apps, "PATCH", "profile", token, json.dumps(body).encode())
    for session in ("%00", "%ff", "%ed%a0%80", "x", "a%2Fb"):
        await assert_answered(apps, "DELETE", f"sessions/{session}", token, b"")


async def assert_answered(api, method, path, token, content):
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    answer = await api.server.http.request(method, f"/api/{path}", content=content, headers=headers)
    assert answer.status_code < 500, (path, content[:200], answer.text)


@pytest.mark.attack(115)
async def test_a_name_is_text_wherever_it_is_shown(apps):
    server, browser = apps.server, apps.server.browser()
    name = "<script>alert(1)</script>"
    page = await browser.follow(await ask(server, browser, "x@example.org", name=name))
    await browser.submit(page, code=(await last_mail(server, "x@example.org")).code)
    page = await browser.get(f"{server.issuer}/account")
    assert name not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.attack(36)
async def test_whoever_is_leaving_gets_nothing_from_an_app(apps):
    server = apps.server
    tokens = await apps.tokens()
    await server.execute("UPDATE users SET delete_at = '2999-01-01 00:00:00'")
    assert (await apps.login(scope="notes:read")).status_code == 400
    refreshed = await apps.post("refresh", client_id="phone-app", refresh_token=tokens["refresh_token"])
    assert (refreshed.status_code, server.refusal) == (400, "user_gone")
    for method, path in (("GET", "profile"), ("GET", "sessions")):
        assert (await apps.ask(method, path, tokens["access_token"])).status_code == 401
    answer = await server.get("/userinfo", authorization=f"Bearer {tokens['access_token']}")
    assert answer.status_code == 401


@pytest.mark.attack(115)
async def test_asking_for_codes_to_ones_own_address_has_an_end(start_server):
    server = await start_server()
    await server.add_clients(PHONE)
    api = Api(server)
    token = (await api.register()).json()["access_token"]
    answers = [await api.post("verify/resend", bearer=token) for _ in range(31)]
    assert answers[0].status_code == 202
    assert answers[-1].status_code == 429


@pytest.mark.attack(35)
async def test_a_token_of_no_person_is_nobody_at_the_api(apps):
    server = apps.server
    client = replace(SERVICE, client_id="own-service", first_party=True)
    await server.add_clients(client)
    token = (await server.token(client, grant_type="client_credentials", scope="notes:read")).json()["access_token"]
    for method, path in (("GET", "profile"), ("GET", "sessions"), ("PATCH", "profile")):
        assert (await apps.ask(method, path, token, json={})).status_code == 401


@pytest.mark.attack(109)
async def test_the_code_of_one_account_proves_no_address_of_another(apps):
    victim, attacker = [(await apps.register(email=email)).json() for email in (SQUATTED, "attacker@example.org")]
    own_code = (await last_mail(apps.server, "attacker@example.org")).code
    answer = await apps.post(
        "verify",
        client_id="phone-app",
        verification_id=victim["verification_id"],
        code=own_code,
        refresh_token=attacker["refresh_token"],
    )
    assert code_of(answer) == "mailed_code_wrong"
    assert not any(row.email_verified for row in await apps.server.rows(UNVERIFIED))
    answer = await apps.post(
        "verify",
        client_id="phone-app",
        verification_id=attacker["verification_id"],
        code=own_code,
        refresh_token=victim["refresh_token"],
    )
    assert answer.status_code == 200
    verified = [row.email for row in await apps.server.rows(UNVERIFIED) if row.email_verified]
    assert verified == ["attacker@example.org"], "the code's own account, whoever's token came with it"


@pytest.mark.attack(36)
async def test_an_app_that_is_not_our_own_any_more_gets_nothing_at_the_api(apps):
    tokens = await apps.tokens()
    await apps.server.update_client(replace(PHONE, first_party=False))
    refreshed = await apps.post("refresh", client_id="phone-app", refresh_token=tokens["refresh_token"])
    shown = await apps.ask("GET", "profile", tokens["access_token"])
    assert (refreshed.status_code, shown.status_code) == (403, 403)


@pytest.mark.attack(109)
async def test_a_token_that_is_none_costs_no_code(apps):
    tokens = (await apps.register()).json()
    code = (await last_mail(apps.server, "new@example.org")).code
    body = {"client_id": "phone-app", "verification_id": tokens["verification_id"], "code": code}
    assert (await apps.post("verify", refresh_token="asr_x", **body)).status_code == 400
    assert (await apps.post("verify", refresh_token=tokens["refresh_token"], **body)).status_code == 200


@pytest.mark.fault("B28")
@pytest.mark.parametrize("path", ["login", "register"])
async def test_a_place_that_a_failover_gave_to_another_process_is_no_fault_of_a_person(apps, path):
    server = apps.server
    await apps.tokens()
    (block,) = server.services.status_indexes._blocks
    taken = place_at(block.seed, block.number, block.first)
    await server.execute(f"UPDATE grants SET status_index = {taken}")
    answer = await (apps.login(scope="notes:read") if path == "login" else apps.register())
    assert answer.status_code == (200 if path == "login" else 201), answer.text
