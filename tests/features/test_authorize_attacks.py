"""SECURITY list A1: what an attacker does at /authorize and on its pages, seen from outside."""

import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from authserver.operations import clients as client_operations
from authserver.operations import users as user_operations
from tests.oauth.examples import CHALLENGE, NOTES, USER, VERIFIER, WEB
from tests.server import NATIVE, OTHER_USER, SERVICE, SPA, answer_of

CALLBACK = WEB.redirect_uris[0]
EVIL = "https://evil.example/cb"
LEGACY = replace(WEB, client_id="legacy-client", require_pkce=False)
MARKUP = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'`{{1234*4321}}"

MUTATED = (
    "https://app.example/Callback",
    "https://APP.example/callback",
    "HTTPS://app.example/callback",
    "http://app.example/callback",
    "https://app.example/callback/",
    "https://app.example/callback/more",
    "https://app.example/callbackmore",
    "https://app.example/callback?a=b",
    "https://app.example/callback?",
    "https://app.example/callback#",
    "https://app.example/callback#x",
    "https://app.example:443/callback",
    "https://app.example:8443/callback",
    "https://app.example./callback",
    "https://app.example.evil.example/callback",
    "https://evil-app.example/callback",
    "https://sub.app.example/callback",
    "https://app.example@evil.example/callback",
    "https://user@app.example/callback",
    "https://a@b@app.example/callback",
    "https://app.example:80@evil.example/callback",
    "https://app.example/./callback",
    "https://app.example/x/../callback",
    "https://app.example/callback/..;/evil",
    "https://app.example/..;/callback",
    "https://app.example/%2e%2e/callback",
    "https://app.example/%63allback",
    "https://app.example//callback",
    "https://app.example\\@evil.example/callback",
    "https://evil.example\\app.example/callback",
    "https:/app.example/callback",
    "https:app.example/callback",
    "//app.example/callback",
    "/callback",
    "app.example/callback",
    " https://app.example/callback",
    "https://app.example/callback ",
    "https://app.example/call\tback",
    "https://app.example/callback\r\nLocation: https://evil.example",
    "https://аpp.example/callback",
    "javascript:alert(1)",
    "data:text/html,x",
    EVIL,
)


async def assert_page(server, url, refusal=None):
    """Nobody is sent anywhere: a page says 400 and repeats nothing as markup."""
    response = await server.browser().get(url)
    assert response.status_code == 400, url
    assert "location" not in response.headers, url
    assert response.headers["content-type"].startswith("text/html")
    if refusal is not None:
        assert server.refusal == refusal, url
    return response


@pytest.mark.attack(1, 2)
async def test_only_the_very_address_that_was_registered_is_redirected_to(server):
    for uri in MUTATED:
        await assert_page(server, server.authorization_url(redirect_uri=uri), "redirect_uri_not_registered")
    await assert_page(server, server.authorization_url(client_id="nobody"), "client_unknown")
    await assert_page(server, server.authorization_url(client_id=""), "parameter_missing")
    await assert_page(server, server.authorization_url(redirect_uri=""), "redirect_uri_missing")


@pytest.mark.attack(3)
async def test_no_refusal_is_sent_to_an_address_that_was_not_checked(server):
    for change in (
        {"scope": "no:such"},
        {"scope": '"'},
        {"response_type": "token"},
        {"response_type": ""},
        {"response_mode": "fragment"},
        {"prompt": "none"},
        {"prompt": "none login"},
        {"max_age": "-1"},
        {"code_challenge": "short"},
        {"code_challenge": ""},
        {"resource": "https://nowhere.example"},
        {"request": "e30"},
        {"request_uri": "https://evil.example/r"},
        {"claims": "{"},
        {"id_token_hint": "x"},
    ):
        await assert_page(server, server.authorization_url(redirect_uri=EVIL, **change))


@pytest.mark.attack(4)
async def test_the_port_is_free_for_native_apps_on_loopback_and_for_nobody_else(server):
    browser = server.browser()
    for uri in ("http://127.0.0.1:3000/callback", "http://127.0.0.1:65535/callback", "http://[::1]:8080/callback"):
        response = await browser.get(server.authorization_url(NATIVE, redirect_uri=uri))
        assert response.status_code == 303, uri
    for uri in (
        "http://127.0.0.2/callback",
        "http://localhost/callback",
        "http://127.0.0.1:3000/other",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:80@evil.example/callback",
        "https://127.0.0.1/callback",
        "http://2130706433/callback",
    ):
        await assert_page(server, server.authorization_url(NATIVE, redirect_uri=uri), "redirect_uri_not_registered")
    await assert_page(server, server.authorization_url(WEB, redirect_uri="https://app.example:3000/callback"))


@pytest.mark.attack(6, 8, 9, 10, 18)
async def test_what_is_wrong_with_a_request_goes_to_the_client_with_state_and_issuer(server):
    url = server.authorization_url
    for target, error, refusal in (
        (url(code_challenge="", code_challenge_method=""), "invalid_request", "challenge_missing"),
        (url(code_challenge_method="plain"), "invalid_request", "challenge_method_unsupported"),
        (url(code_challenge=CHALLENGE[:-1]), "invalid_request", "challenge_malformed"),
        (url(code_challenge="a" * 129), "invalid_request", "challenge_malformed"),
        (url(code_challenge="!" * 43), "invalid_request", "challenge_malformed"),
        (url() + "&scope=openid", "invalid_request", "parameter_repeated"),
        (url() + "&nonce=b", "invalid_request", "parameter_repeated"),
        (url() + "&response_type=code", "invalid_request", "parameter_repeated"),
        (url() + "&code_challenge=" + CHALLENGE, "invalid_request", "parameter_repeated"),
        (url(response_type="token"), "unsupported_response_type", "response_type_unsupported"),
        (url(response_type="id_token token"), "unsupported_response_type", "response_type_unsupported"),
        (url(response_type="code id_token"), "unsupported_response_type", "response_type_unsupported"),
        (url(response_mode="fragment"), "invalid_request", "response_mode_unsupported"),
        (url(scope="openid admin:all"), "invalid_scope", "scope_unknown"),
        (url(scope="openid address"), "invalid_scope", "scope_not_allowed"),
        (url(resource="https://nowhere.example"), "invalid_target", "resource_unknown"),
        (url(resource=NOTES.identifier + "#x"), "invalid_target", "resource_malformed"),
        (url(request="e30"), "request_not_supported", "request_object_unsupported"),
        (url(request_uri="https://evil.example/r"), "request_uri_not_supported", "request_uri_unsupported"),
        (url(prompt="none"), "login_required", "login_needed"),
    ):
        response = await server.browser().get(target)
        assert response.headers["location"].startswith(f"{CALLBACK}?"), target
        answer = answer_of(response)
        assert (answer["error"], server.refusal) == (error, refusal), target
        assert (answer["state"], answer["iss"]) == ("a-state", server.issuer)


@pytest.mark.attack(8)
async def test_a_client_or_an_address_sent_twice_is_answered_by_a_page(server):
    for name, value in (("client_id", WEB.client_id), ("redirect_uri", CALLBACK)):
        await assert_page(server, server.authorization_url() + "&" + urlencode({name: value}), "parameter_repeated")
    answer = answer_of(await server.browser().get(server.authorization_url() + "&state=b"))
    assert answer["error"] == "invalid_request"
    assert "state" not in answer, "nobody knows which one was meant"


@pytest.mark.attack(7)
async def test_a_challenge_that_was_stripped_on_the_way_is_noticed_at_the_token_endpoint(server):
    await server.add_clients(LEGACY)
    code = await server.get_code(LEGACY, code_challenge="", code_challenge_method="")
    response = await server.redeem(code, LEGACY, code_verifier=VERIFIER)
    assert (response.json()["error"], server.refusal) == ("invalid_grant", "verifier_without_challenge")


@pytest.mark.attack(9)
async def test_a_client_without_the_code_grant_gets_no_code(server):
    client = replace(SERVICE, client_id="no-code", redirect_uris=(CALLBACK,))
    await server.add_clients(client)
    response = await server.browser().get(server.authorization_url(client, scope="notes:read"))
    assert (answer_of(response)["error"], server.refusal) == ("unauthorized_client", "response_type_not_allowed")


@pytest.mark.attack(13, 14)
async def test_every_page_keeps_its_address_to_itself_and_out_of_frames(server):
    browser = server.browser()
    login = await browser.open(server.authorization_url())
    consent = await browser.follow(await server.login(browser, login))
    await browser.submit(consent, decision="allow")
    form_post = await browser.open(server.authorization_url(response_mode="form_post"))
    pages = {
        "login": login,
        "consent": consent,
        "form_post": form_post,
        "error": await browser.get(server.authorization_url(redirect_uri=EVIL)),
        "home": await browser.get(f"{server.issuer}/"),
        "sign out": await browser.get(f"{server.issuer}/end_session"),
    }
    for name, page in pages.items():
        policy = page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer", name
        assert "no-store" in page.headers["cache-control"], name
        assert page.headers["x-frame-options"] == "DENY", name
        assert "frame-ancestors 'none'" in policy, name
        assert "default-src 'none'" in policy or "default-src 'self'" in policy, name
        assert "unsafe-inline" not in policy, name
        assert page.headers["x-content-type-options"] == "nosniff", name
        for source in re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', page.text):
            assert source.startswith("/"), f"{name} loads {source}"


@pytest.mark.attack(11)
async def test_a_sign_in_can_be_finished_by_the_browser_that_began_it_only(server):
    attacker, victim = server.browser(), server.browser()
    page = await attacker.open(server.authorization_url())
    transaction = page.url.path.rpartition("/")[2]
    await victim.open(f"{server.issuer}/login")  # the victim has cookies of its own
    for path in (f"/login/{transaction}", f"/consent/{transaction}", f"/authorize/{transaction}"):
        response = await victim.get(server.issuer + path)
        assert (response.status_code, server.refusal) == (400, "transaction_unknown"), path
        assert "location" not in response.headers
    await server.login(victim)
    response = await victim.get(f"{server.issuer}/authorize/{transaction}")
    assert (response.status_code, server.refusal) == (400, "transaction_unknown")
    for path in ("/login/1", "/authorize/x", "/consent/00000000-0000-0000-0000-000000000000", "/authorize/%00"):
        assert (await attacker.get(server.issuer + path)).status_code == 400, path


@pytest.mark.attack(15)
async def test_a_native_app_asks_for_consent_every_time(server):
    browser = server.browser()
    assert await server.get_code(NATIVE, browser)
    assert (await browser.open(server.authorization_url(NATIVE))).url.path.startswith("/consent/")


@pytest.mark.attack(16, 34)
async def test_prompt_none_never_shows_a_page(server):
    browser = server.browser()
    url = server.authorization_url
    assert answer_of(await browser.get(url(prompt="none")))["error"] == "login_required"
    await server.login(browser)
    assert answer_of(await browser.get(url(prompt="none")))["error"] == "consent_required"
    tokens = await server.code_flow(browser=browser)
    assert answer_of(await browser.get(url(prompt="none")))["code"]
    assert answer_of(await browser.get(url(prompt="none", id_token_hint=tokens["id_token"])))["code"]
    other = server.browser()
    await other.follow(await server.login(other, user=OTHER_USER))
    answer = answer_of(await other.get(url(prompt="none", id_token_hint=tokens["id_token"])))
    assert (answer["error"], server.refusal) == ("login_required", "hint_of_another_user")
    for hint in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"][:-4] + "AAAA", "x.y.z"):
        answer = answer_of(await browser.get(url(prompt="none", id_token_hint=hint)))
        assert (answer["error"], server.refusal) == ("invalid_request", "hint_malformed")
    assert answer_of(await browser.get(url(prompt="none login")))["error"] == "invalid_request"


@pytest.mark.attack(17)
async def test_a_strength_that_cannot_be_reached_is_never_passed_over(server):
    browser = server.browser()
    await server.code_flow(browser=browser)
    claims = '{"id_token":{"acr":{"essential":true,"values":["aal3"]}}}'
    answer = answer_of(await browser.get(server.authorization_url(claims=claims)))
    assert (answer["error"], server.refusal) == ("unmet_authentication_requirements", "acr_unmet")


@pytest.mark.attack(19)
async def test_what_is_too_large_is_refused_before_anything_is_looked_up(server):
    for change, status in (
        ({"state": "s" * 1025}, 400),
        ({"nonce": "n" * 1025}, 400),
        ({"scope": "s" * 8192}, 414),
        ({"login_hint": "l" * 8192}, 414),
    ):
        long = server.authorization_url(**change)
        by_get = await server.browser().get(long)
        assert by_get.status_code == status, list(change)
        by_post = await server.browser().post(f"{server.issuer}/authorize", parse_qsl(urlsplit(long).query))
        assert (by_post.status_code, server.refusal) == (400, "parameter_too_long"), list(change)
        assert "location" not in by_post.headers
    many = parse_qsl(urlsplit(server.authorization_url()).query)
    many += [("resource", f"https://{number}.example") for number in range(21)]
    response = await server.browser().post(f"{server.issuer}/authorize", many)
    assert (response.status_code, server.refusal) == (400, "parameters_too_many")
    response = await server.browser().post(f"{server.issuer}/authorize", [("a", "b" * 70_000)])
    assert response.status_code == 413
    response = await server.browser().post(f"{server.issuer}/authorize", [(f"p{n}", "x") for n in range(101)])
    assert (response.status_code, server.refusal) == (400, "parameters_too_many")


@pytest.mark.attack(20, 122)
async def test_what_strangers_write_is_never_markup(server):
    client = replace(WEB, client_id="markup", client_name=MARKUP, client_uri="https://app.example/'\"")
    await server.add_clients(client)
    browser = server.browser()
    url = server.authorization_url
    login = await browser.open(url(client, login_hint=MARKUP, ui_locales=MARKUP))
    pages = [
        login,
        await browser.submit(login, username=MARKUP, password="wrong"),
        await browser.get(url(client, redirect_uri=EVIL + MARKUP)),
        await browser.get(url(client_id=MARKUP, state=MARKUP)),
        await browser.get(f"{server.issuer}/authorize/{MARKUP}"),
        await browser.get(f"{server.issuer}/end_session?state={MARKUP}&client_id={MARKUP}"),
        await browser.follow(await server.login(browser, login)),
    ]
    assert pages[-1].url.path.startswith("/consent/")
    for page in pages:
        assert MARKUP not in page.text
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert str(1234 * 4321) not in page.text
    answer = answer_of(await browser.get(url(client, scope=MARKUP)))
    assert set(answer["error_description"]) <= {chr(code) for code in range(0x20, 0x7F)} - set('"\\')


@pytest.mark.attack(21, 36)
@pytest.mark.parametrize(
    ("cut", "refusal"), [(client_operations.disable, "client_disabled"), (client_operations.delete, "client_unknown")]
)
async def test_a_client_that_is_turned_off_gets_no_further_at_any_step(server, cut, refusal):
    browser = server.browser()
    login = await browser.open(server.authorization_url())
    consent = await browser.follow(await server.login(browser, login))
    await cut(server.operator, WEB.client_id)
    await server.services.directory.refresh()
    for path in (login.url.path, consent.url.path, f"/authorize/{login.url.path.rpartition('/')[2]}"):
        response = await browser.get(server.issuer + path)
        assert (response.status_code, server.refusal) == (400, refusal), path
    response = await browser.submit(consent, decision="allow")
    assert response.status_code == 400
    await assert_page(server, server.authorization_url(), refusal)


@pytest.mark.attack(21, 36)
async def test_a_user_who_is_turned_off_after_consent_gets_no_code(server):
    browser = server.browser()
    consent = await browser.follow(await server.login(browser, await browser.open(server.authorization_url())))
    allowed = await browser.submit(consent, decision="allow")
    await user_operations.disable(server.operator, USER.username)
    response = await browser.follow(allowed)
    assert "code" not in response.headers.get("location", "")
    assert (await server.rows("SELECT count(*) AS codes FROM authorization_codes"))[0].codes == 0
    login = await browser.open(server.authorization_url(SPA))
    assert (await server.login(browser, login)).status_code == 403, "the right password of an account turned off"
