"""What another provider says is looked at: its tokens, its userinfo, its documents; and one that is not well."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import replace

import pytest
from authlib.oidc.core.util import create_half_hash
from joserfc.jwk import OctKey

from authserver.store import upstream_providers
from tests.features.account_pages import hidden
from tests.jose.keys import client_key, public
from tests.relying_party import until
from tests.upstream import (
    CLIENT_ID,
    begin,
    come_back,
    go,
    like_github,
    link,
    oidc,
    query_of,
    refused,
    register,
    sign_in_there,
)


@pytest.fixture
async def server(upstream_server):
    return upstream_server


# --- the ID token -----------------------------------------------------------------------------------------------------


@pytest.mark.attack(66)
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"nonce": "another"}, id="another nonce"),
        pytest.param({"nonce": None}, id="no nonce"),
        pytest.param({"nonce": 1}, id="a nonce that is no text"),
        pytest.param({"aud": "another-client"}, id="another aud"),
        pytest.param({"aud": None}, id="no aud"),
        pytest.param({"aud": {"a": 1}}, id="an aud that is an object"),
        pytest.param({"aud": [CLIENT_ID, "another-client"]}, id="two aud without azp"),
        pytest.param({"azp": "another-client"}, id="another azp"),
        pytest.param({"iss": "https://attacker.example"}, id="another iss"),
        pytest.param({"iss": None}, id="no iss"),
        pytest.param({"exp": 1_700_000_000}, id="expired"),
        pytest.param({"exp": None}, id="no exp"),
        pytest.param({"exp": "9999999999"}, id="an exp that is a text"),
        pytest.param({"exp": True}, id="an exp that is true"),
        pytest.param({"iat": None}, id="no iat"),
        pytest.param({"iat": 9_000_000_000}, id="from the future"),
        pytest.param({"nbf": 9_000_000_000}, id="not yet"),
        pytest.param({"sub": None}, id="no sub"),
        pytest.param({"sub": ""}, id="an empty sub"),
        pytest.param({"sub": "x" * 256}, id="a sub too long"),
        pytest.param({"sub": "a\x00b"}, id="a sub with NUL"),
        pytest.param({"at_hash": "another"}, id="another access token"),
    ],
)
async def test_an_id_token_with_other_claims_is_refused(server, fake, claims):
    await link(server)
    fake.id_token = claims
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_token")


@pytest.mark.attack(59)
@pytest.mark.parametrize("alg", ["none", "None", "ES256"])
async def test_an_id_token_without_a_signature_is_refused(server, fake, alg):
    await link(server)
    fake.signed, fake.alg = False, alg
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_token")


@pytest.mark.attack(59)
async def test_an_id_token_signed_with_the_public_key_as_a_secret_is_refused(server, fake, monkeypatch):
    await link(server)
    fake.alg = "HS256"
    pem = client_key("ES256").as_pem(private=False)
    monkeypatch.setattr("tests.upstream.client_key", lambda _: OctKey.import_key(base64.b64encode(pem).decode()))
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_token")


@pytest.mark.attack(34)
async def test_another_kind_of_token_and_an_unknown_key_are_refused(server, fake):
    await link(server)
    fake.keys = [public(client_key("RS256"))]
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_token")
    fake.token = {"id_token": "not.a.token"}
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_token")
    fake.token = {"id_token": None}
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_token")


async def test_a_key_that_is_new_at_the_provider_is_fetched_once_more(server, fake, monkeypatch):
    await link(server)
    assert (await sign_in_there(server, server.browser(), fake)).status_code == 303
    fake.alg, fake.keys = "RS256", [public(client_key("RS256"))]
    monkeypatch.setattr("authserver.remote_documents.RETRY_AFTER", 0.0)
    assert (await sign_in_there(server, server.browser(), fake)).status_code == 303
    assert fake.asked.count("jwks") == 2


async def test_several_audiences_with_our_azp_and_a_right_at_hash_are_accepted(server, fake):
    await link(server)
    half = create_half_hash("an-access-token", "ES256").decode()
    fake.id_token = {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID, "at_hash": half, "exp": time.time() - 30}
    assert (await sign_in_there(server, server.browser(), fake)).status_code == 303


@pytest.mark.attack(34)
@pytest.mark.parametrize("person", [{"sub": "somebody else"}, {"sub": None}, {"name": "no sub at all"}])
async def test_userinfo_of_another_subject_is_refused(server, fake, person):
    fake.person = person
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_profile")


@pytest.mark.parametrize("subject", [None, "", True, 1.5, ["583231"]])
async def test_a_provider_without_id_token_has_to_name_a_subject(server, fake, subject):
    fake.person = {"id": subject, "login": "octocat"}
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake, "hub"), "upstream_profile")


# --- a provider that is not well --------------------------------------------------------------------------------------


@pytest.mark.attack(84)
@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"<html>", b"{" * 60_000, b'{"access_token":"a","access_token":"b"}', b" " * 70_000, b"\xff"]
)
async def test_garbage_and_too_much_of_it_is_a_page_that_leads_back(server, fake, raw):
    fake.raw = raw
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_unavailable")


@pytest.mark.parametrize(
    "token", [{"access_token": None}, {"access_token": "a\nb"}, {"token_type": "mac"}, {"access_token": "x" * 9000}]
)
async def test_a_token_response_that_cannot_be_used_is_a_page_too(server, fake, token):
    fake.token = token
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_refused")


async def test_an_error_of_the_token_endpoint_is_a_page_too(server, fake):
    fake.token, fake.status = {"error": "invalid_grant", "access_token": None}, 400
    browser = server.browser()
    await refused(server, browser, await sign_in_there(server, browser, fake), "upstream_refused")


@pytest.mark.fault("B32")
async def test_a_slow_provider_holds_no_transaction_and_nobody_else_up(server, fake, monkeypatch):
    monkeypatch.setattr("authserver.outbound.TOTAL_SECONDS", 2.0)
    await link(server)
    browser = server.browser()
    location = await begin(server, browser)
    fake.pause = 5.0
    waiting = asyncio.create_task(come_back(server, browser, fake.answer(location)))
    await until(lambda: "token" in fake.asked)
    await server.execute("UPDATE users SET name = name")  # SQLite has one writer: it must be free meanwhile
    assert not waiting.done()
    await refused(server, browser, await waiting, "upstream_unavailable")


@pytest.mark.attack(83)
@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": None},
        {"jwks_uri": None},
        {"token_endpoint": "http://public.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://id.example/\r\nset-cookie: a=b"},
        {"userinfo_endpoint": 5},
    ],
)
async def test_a_discovery_document_that_says_too_little_or_lies_leads_nowhere(server, fake, metadata):
    fake.metadata = metadata
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    answer = await browser.post(f"{server.issuer}/upstream", hidden(page, 1) | {"provider": "partner"})
    assert (answer.status_code, server.refusal) == (502, "upstream_unavailable")
    assert "location" not in answer.headers


@pytest.mark.attack(83)
@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
async def test_a_provider_s_document_cannot_send_us_into_our_own_network(server, fake, name):
    """Whatever the document names is checked like the issuer: here, an address that the settings do not allow."""
    fake.metadata = {name: "https://169.254.169.254/latest/meta-data"}
    browser = server.browser()
    page = await sign_in_there(server, browser, fake)
    refusal = "upstream_token" if name == "jwks_uri" else "upstream_unavailable"
    await refused(server, browser, page, refusal)
    assert "169.254" not in page.text


@pytest.mark.attack(83)
async def test_an_issuer_in_our_own_network_is_not_asked(start_server, fake):
    server = await start_server()  # OUTBOUND_ALLOW is empty
    await register(server, oidc(fake), like_github(fake))
    browser = server.browser()
    page = await browser.get(f"{server.issuer}/login")
    answer = await browser.post(f"{server.issuer}/upstream", hidden(page, 1) | {"provider": "partner"})
    assert (answer.status_code, server.refusal) == (502, "upstream_unavailable")
    location = await go(browser, page, "hub")
    await refused(
        server, browser, await come_back(server, browser, fake.answer(location), "hub"), "upstream_unavailable"
    )
    assert fake.asked == []


@pytest.mark.attack(123)
async def test_no_secret_of_the_way_is_in_the_log_or_on_a_page(server, fake):
    await link(server)
    fake.id_token = {"nonce": "another"}
    browser = server.browser()
    location = await begin(server, browser)
    answer = fake.answer(location)
    page = await come_back(server, browser, answer)
    log = str(server.log)
    for secret in (answer["state"], answer["code"], query_of(location)["nonce"], fake.token_request["code_verifier"]):
        assert secret not in log
    assert query_of(location)["nonce"] not in page.text
    assert "what the provider gave us" not in log
    assert "an-access-token" not in log
    assert "it was not made for this sign-in" in log  # but why is


async def test_a_secret_that_was_sealed_for_another_provider_does_not_open(server, fake):
    """A row that somebody moved in the database: a bug's answer, and nothing leaves."""
    async with server.services.engine.begin() as tx:
        hub = await upstream_providers.get(tx, "hub")
        partner = await upstream_providers.get(tx, "partner")
        await upstream_providers.update(tx, replace(partner, sealed_secret=hub.sealed_secret))
    await server.services.directory.refresh()
    answer = await sign_in_there(server, server.browser(), fake)
    assert answer.status_code == 500
    assert "token" not in fake.asked
