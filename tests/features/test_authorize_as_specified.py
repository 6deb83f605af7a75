"""What RFC 6749, 7636, 9207 and OpenID Connect Core §3.1.2 ask of /authorize and can only be seen over HTTP.

The tables in tests/specifications name these tests; the rest of the rules is held in tests/oauth.
"""

import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import joserfc.jwt
import pytest
from joserfc.jwk import KeySet

from tests.browser_client import FORM, read_form
from tests.oauth.examples import ISSUER, USER, WEB
from tests.server import OTHER_USER, PASSWORD, SPA, answer_of

CALLBACK = WEB.redirect_uris[0]


async def read_id_token(server, id_token):
    """Verify an ID token as a client does, against /jwks, and return its claims."""
    keys = KeySet.import_key_set((await server.get("/jwks")).json())
    return joserfc.jwt.decode(id_token, keys, algorithms=["ES256", "RS256"]).claims


async def test_a_code_goes_back_with_state_and_issuer(server):
    response = await server.authorize(state="a b&c=d+e/ä")
    assert response.status_code == 303
    assert response.headers["location"].startswith(f"{CALLBACK}?")
    answer = answer_of(response)
    metadata = (await server.get("/.well-known/oauth-authorization-server")).json()
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == "a b&c=d+e/ä"
    assert answer["iss"] == ISSUER == metadata["issuer"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"


@pytest.mark.attack(10)
async def test_a_denial_goes_back_with_state_and_issuer(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    page = await browser.follow(await server.login(browser, page))
    response = await browser.follow(await browser.submit(page, decision="deny"))
    answer = answer_of(response)
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "a-state", ISSUER)
    assert "code" not in answer


async def test_form_post_is_a_page_that_posts_the_same_parameters(server):
    page = await server.authorize(response_mode="form_post")
    form = read_form(page.text)
    assert (page.status_code, form.action) == (200, CALLBACK)
    assert form.fields.keys() == {"code", "state", "iss"}
    assert (form.fields["state"], form.fields["iss"]) == ("a-state", ISSUER)
    assert (await server.redeem(form.fields["code"])).status_code == 200
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.attack(10)
async def test_form_post_carries_refusals_too(server):
    page = await server.browser().open(server.authorization_url(response_mode="form_post", prompt="none"))
    form = read_form(page.text)
    assert form.action == CALLBACK
    assert (form.fields["error"], form.fields["iss"]) == ("login_required", ISSUER)


async def test_get_and_post_are_answered_alike(server):
    browser = server.browser()
    await server.get_code(browser=browser)
    url = server.authorization_url()
    by_get = await browser.get(url)
    by_post = await browser.post(
        f"{ISSUER}/authorize", parse_qsl(urlsplit(url).query), {"origin": "https://app.example", "sec-fetch-site": ""}
    )
    assert by_get.status_code == by_post.status_code == 303
    assert answer_of(by_get).keys() == answer_of(by_post).keys() == {"code", "state", "iss"}


@pytest.mark.parametrize("prompt", ["", "none"])
async def test_a_form_of_an_app_finds_the_user_signed_in(server, prompt):
    """Browsers keep SameSite=Lax cookies back from another site's POST, and send them where it leads."""
    browser = server.browser()
    await server.get_code(browser=browser)
    before = dict(browser.cookies)
    form = parse_qsl(urlsplit(server.authorization_url(prompt=prompt)).query)
    headers = {"origin": "https://app.example", "sec-fetch-site": "cross-site", "content-type": FORM}
    response = await server.http.post("/authorize", content=urlencode(form), headers=headers)
    assert response.status_code == 303
    assert "set-cookie" not in response.headers, "it would replace what the browser has"
    answer = answer_of(await browser.open(ISSUER + response.headers["location"]))
    assert answer.keys() == {"code", "state", "iss"}
    assert browser.cookies == before


async def test_a_form_too_long_for_an_address_is_answered_as_it_came(server):
    form = dict(parse_qsl(urlsplit(server.authorization_url()).query)) | {"login_hint": "ä" * 2500}
    response = await server.post("/authorize", form)
    assert response.status_code == 303
    assert response.headers["location"].startswith("/login/")


async def test_parameters_in_the_url_of_a_post_are_not_read(server):
    response = await server.http.post(server.authorization_url(), content="", headers={"content-type": FORM})
    assert response.status_code == 400
    assert "location" not in response.headers


async def test_nobody_gets_a_code_without_signing_in(server):
    page = await server.browser().open(server.authorization_url())
    assert page.status_code == 200
    assert page.url.path.startswith("/login/")


async def test_the_code_says_nothing_of_what_it_stands_for(server):
    url = server.authorization_url()
    codes = {await server.get_code() for _ in range(3)}
    assert len(codes) == 3
    for code in codes:
        assert len(code) >= 43  # 256 random bits
        for _, value in parse_qsl(urlsplit(url).query):
            assert value not in code


async def test_the_metadata_says_what_the_endpoint_does(server):
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        metadata = (await server.get(path)).json()
        assert metadata["issuer"] == ISSUER
        assert metadata["authorization_endpoint"] == f"{ISSUER}/authorize"
        assert metadata["token_endpoint"] == f"{ISSUER}/token"
        assert metadata["code_challenge_methods_supported"] == ["S256"]
        assert metadata["authorization_response_iss_parameter_supported"] is True
        assert metadata["response_types_supported"] == ["code"]
        assert set(metadata["response_modes_supported"]) == {"query", "form_post"}
        assert metadata["request_parameter_supported"] is False
        assert metadata["request_uri_parameter_supported"] is False


async def test_the_registered_query_is_kept(server):
    client = replace(WEB, redirect_uris=(f"{CALLBACK}?tenant=a%20b&x",))
    await server.update_client(client)
    response = await server.authorize(client)
    assert response.headers["location"].startswith(f"{CALLBACK}?tenant=a%20b&x&code=")


@pytest.mark.attack(1, 3)
async def test_an_unregistered_redirect_uri_is_answered_by_a_page(server):
    for changes in (
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{CALLBACK}/..;/"},
        {"redirect_uri": "https://app.example@evil.example/callback", "response_type": "token"},
        {"client_id": "nobody"},
        {"client_id": ""},
        {"redirect_uri": ""},
    ):
        response = await server.browser().get(server.authorization_url(**changes))
        assert response.status_code == 400, changes
        assert response.headers["content-type"].startswith("text/html")
        assert "location" not in response.headers


async def test_unknown_parameters_change_nothing(server):
    browser = server.browser()
    await server.get_code(browser=browser)
    response = await browser.get(
        server.authorization_url(unknown="x", display="wap", ui_locales="tlh xx-YY", acr_values="unheard-of", foo="")
    )
    assert answer_of(response).keys() == {"code", "state", "iss"}


@pytest.mark.attack(16)
async def test_prompt_none_shows_no_page(server):
    browser = server.browser()
    url = server.authorization_url(prompt="none")
    assert answer_of(await browser.get(url))["error"] == "login_required"
    page = await browser.open(server.authorization_url())
    await server.login(browser, page)
    assert answer_of(await browser.get(url))["error"] == "consent_required"
    await server.get_code(browser=browser)
    assert "code" in answer_of(await browser.get(url))


async def test_prompt_login_asks_a_user_who_is_signed_in(server):
    browser = server.browser()
    await server.get_code(browser=browser)
    page = await browser.open(server.authorization_url(prompt="login"))
    assert page.url.path.startswith("/login/")
    response = await browser.follow(await server.login(browser, page))
    assert "code" in answer_of(response)


async def test_consent_is_asked_once_and_remembered(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    page = await browser.follow(await server.login(browser, page))
    assert page.url.path.startswith("/consent/")
    assert "code" in answer_of(await browser.follow(await browser.submit(page, decision="allow")))
    assert "code" in answer_of(await browser.open(server.authorization_url()))
    for changes in ({"prompt": "consent"}, {"scope": "openid notes:read notes:write"}):
        page = await browser.open(server.authorization_url(**changes))
        assert page.url.path.startswith("/consent/")


async def test_the_id_token_repeats_the_nonce_and_says_when_the_user_signed_in(server):
    browser = server.browser()
    tokens = await server.code_flow(browser=browser, nonce="n-0S6_WzA2Mj", max_age="600")
    claims = await read_id_token(server, tokens["id_token"])
    assert claims["nonce"] == "n-0S6_WzA2Mj"
    assert claims["iat"] - 60 <= claims["auth_time"] <= claims["iat"]
    tokens = await server.code_flow(browser=browser, nonce="")
    assert "nonce" not in await read_id_token(server, tokens["id_token"])


@pytest.mark.attack(17)
async def test_a_login_older_than_max_age_is_repeated(server):
    browser = server.browser()
    await server.get_code(browser=browser)
    page = await browser.open(server.authorization_url(max_age="0"))
    assert page.url.path.startswith("/login/")
    assert answer_of(await browser.get(server.authorization_url(max_age="0", prompt="none")))["error"] == (
        "login_required"
    )
    assert "code" in answer_of(await browser.get(server.authorization_url(max_age="600", prompt="none")))


@pytest.mark.attack(16)
async def test_a_hint_at_another_user_never_gets_a_code(server):
    hint = (await server.code_flow())["id_token"]
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    page = await browser.follow(await server.login(browser, page, user=OTHER_USER))
    await browser.submit(page, decision="allow")
    silent = server.authorization_url(id_token_hint=hint, prompt="none")
    assert answer_of(await browser.get(silent))["error"] == "login_required"
    page = await browser.open(server.authorization_url(id_token_hint=hint))
    assert page.url.path.startswith("/login/")
    response = await browser.follow(await server.login(browser, page, user=OTHER_USER))
    assert answer_of(response)["error"] == "login_required"
    page = await browser.open(server.authorization_url(id_token_hint=hint))
    response = await browser.follow(await server.login(browser, page, user=USER))
    assert "code" in answer_of(response)


async def test_a_login_hint_fills_in_the_login_page(server):
    page = await server.browser().open(server.authorization_url(login_hint='ada"><b>'))
    assert read_form(page.text).fields["username"] == 'ada"><b>'
    assert '"><b>' not in page.text


@pytest.mark.attack(102, 103)
async def test_a_form_of_another_site_is_refused(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    response = await browser.submit(page, foreign, username=USER.username, password=PASSWORD)
    assert response.status_code == 403
    page = await browser.follow(await server.login(browser, page))
    response = await browser.submit(page, foreign, decision="allow")
    assert response.status_code == 403
    assert "location" not in response.headers
    response = await browser.submit(page, {"sec-fetch-site": ""}, csrf="forged", decision="allow")
    assert response.status_code == 403
    page = await browser.open(server.authorization_url())
    assert page.url.path.startswith("/consent/")


@pytest.mark.attack(18)
async def test_what_a_form_says_of_the_request_is_not_believed(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url(scope="openid"))
    page = await browser.follow(await server.login(browser, page))
    response = await browser.submit(
        page, decision="allow", scope="openid notes:read notes:write", redirect_uri="https://evil.example/"
    )
    response = await browser.follow(response)
    assert response.headers["location"].startswith(CALLBACK)
    tokens = (await server.redeem(answer_of(response)["code"])).json()
    assert tokens["scope"] == "openid"


@pytest.mark.attack(12)
async def test_every_redirect_after_a_form_is_303(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    response = await server.login(browser, page)
    assert response.status_code == 303
    page = await browser.follow(response)
    response = await browser.submit(page, decision="allow")
    assert response.status_code == 303
    assert (await browser.get(f"{ISSUER}{response.headers['location']}")).status_code == 303


async def test_a_public_client_on_https_signs_in_like_any_other(server):
    tokens = await server.code_flow(SPA)
    assert tokens["token_type"] == "Bearer"


async def test_a_sign_in_that_took_too_long_starts_again(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    await server.execute("UPDATE transactions SET expires_at = created_at")
    response = await browser.get(str(page.url))
    assert (response.status_code, server.refusal) == (400, "transaction_expired")
    assert "start again here, or go back to Notes on the web" in response.text
    href = re.search(r'<a role="button" href="([^"]+)">Start again</a>', response.text).group(1)
    page = await browser.open(server.issuer + unescape(href))
    page = await browser.follow(await server.login(browser, page))
    answer = answer_of(await browser.follow(await browser.submit(page, decision="allow")))
    assert answer["state"] == "a-state", "nothing of the app's request is lost"
    assert (await server.redeem(answer["code"])).status_code == 200


async def test_a_sign_in_that_was_answered_does_not_start_again(server):
    browser = server.browser()
    page = await browser.open(server.authorization_url())
    await server.authorize(browser=browser)
    await browser.follow(await server.login(browser, page))
    await server.execute("UPDATE transactions SET expires_at = created_at, finished_at = created_at")
    response = await browser.get(str(page.url))
    assert (response.status_code, server.refusal) == (400, "transaction_expired")
    assert "Start again</a>" not in response.text
