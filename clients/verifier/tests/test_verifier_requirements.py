"""How and how lately the user signed in (RFC 9470), and what an API says about itself (RFC 9728)."""

import json

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.testclient import TestClient

from authserver_verifier import ProtectedRequest, Refusal, TokenRefusedError, Verifier, require
from authserver_verifier.resource_metadata import metadata_path, metadata_url

AUDIENCE = "https://notes.example.com"
NOW = 1_800_000_000
LEEWAY = 10


def authorize(verify, token, requirement):
    headers = ((b"authorization", f"Bearer {token}".encode()),)
    return verify.authorize(ProtectedRequest(method="GET", path="/", query=b"", headers=headers), requirement)


@pytest.mark.parametrize(
    ("claims", "acr_values", "max_age", "refusal"),
    [
        pytest.param({"acr": "urn:mfa"}, ["urn:mfa"], None, None, id="the acr wanted"),
        pytest.param({"acr": "b"}, ["a", "b"], None, None, id="one acr of those wanted"),
        pytest.param({"acr": "a b"}, ["a", "b"], None, Refusal.AUTHENTICATION_TOO_WEAK, id="an acr that is no list"),
        pytest.param({"acr": "pwd"}, ["urn:mfa"], None, Refusal.AUTHENTICATION_TOO_WEAK, id="another acr"),
        pytest.param({}, ["urn:mfa"], None, Refusal.AUTHENTICATION_TOO_WEAK, id="9470-4 no acr"),
        pytest.param({"acr": ["urn:mfa"]}, ["urn:mfa"], None, Refusal.AUTHENTICATION_TOO_WEAK, id="an acr in a list"),
        pytest.param({"auth_time": NOW - 300 - LEEWAY}, [], 300, None, id="just lately enough"),
        pytest.param({"auth_time": NOW - 301 - LEEWAY}, [], 300, Refusal.AUTHENTICATION_TOO_OLD, id="too long ago"),
        pytest.param({}, [], 300, Refusal.AUTHENTICATION_TOO_OLD, id="9470-4 no auth_time"),
        pytest.param({"auth_time": "now"}, [], 300, Refusal.CLAIM_MALFORMED, id="auth_time a string"),
        pytest.param({"auth_time": NOW}, [], 0, None, id="signed in just now"),
        pytest.param({"acr": "a", "auth_time": 1}, ["a"], 5, Refusal.AUTHENTICATION_TOO_OLD, id="right, but long ago"),
    ],
)
def test_a_request_may_need_a_stronger_or_later_sign_in(claims, acr_values, max_age, refusal, verify, issuer, refused):
    token, requirement = issuer.token(AUDIENCE, **claims), require((), acr_values, max_age)
    if refusal is None:
        assert authorize(verify, token, requirement).subject == "alice"
        return
    with refused(refusal):
        authorize(verify, token, requirement)


def test_the_challenge_tells_what_sign_in_is_needed(verify, issuer):
    with pytest.raises(TokenRefusedError) as caught:
        authorize(verify, issuer.token(AUDIENCE, acr="pwd"), require((), ["urn:mfa", "urn:key"], 300))
    challenge = caught.value.headers(verify.challenge)["www-authenticate"]
    assert caught.value.status == 401
    assert 'error="insufficient_user_authentication"' in challenge
    assert challenge.endswith('acr_values="urn:mfa urn:key", max_age="300"')


def test_scopes_are_looked_at_before_the_sign_in(verify, issuer, refused):
    with refused(Refusal.SCOPE_INSUFFICIENT):
        authorize(verify, issuer.token(AUDIENCE), require(["notes.read"], ["urn:mfa"], 0))


@pytest.mark.parametrize(
    ("acr_values", "max_age"), [("urn:mfa", None), (["a b"], None), (['a"'], None), ([""], None), ([], -1), ([], True)]
)
def test_a_requirement_that_cannot_be_sent_is_refused_when_the_route_is_made(acr_values, max_age):
    with pytest.raises(ValueError, match=r"acr|max_age"):
        require((), acr_values, max_age)


# --- metadata ---------------------------------------------------------------------------------------------------------

METADATA_URL = f"{AUDIENCE}/.well-known/oauth-protected-resource"


@pytest.fixture
def publishing(issuer, clocks):
    return Verifier(
        issuer.url,
        AUDIENCE,
        metadata={"scopes_supported": ["notes.read"], "resource_name": "Notes"},
        clock=clocks.wall,
        monotonic=clocks.monotonic,
    )


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("https://notes.example.com", "/.well-known/oauth-protected-resource"),
        ("https://notes.example.com/", "/.well-known/oauth-protected-resource"),
        ("https://notes.example.com/v1/mcp", "/.well-known/oauth-protected-resource/v1/mcp"),
        ("http://localhost:9001/mcp/", "/.well-known/oauth-protected-resource/mcp/"),
    ],
)
def test_metadata_stand_between_host_and_path(resource, path):
    assert metadata_path(resource) == path
    assert metadata_url(resource).endswith(path)


@pytest.mark.parametrize("audience", ["notes", "urn:notes", "https://a.example#x", "https://a.example?x", "ftp://a"])
def test_an_audience_that_is_no_url_has_no_metadata(audience, issuer):
    assert Verifier(issuer.url, audience).metadata is None
    with pytest.raises(ValueError, match="a URL"):
        Verifier(issuer.url, audience, metadata={})


def test_metadata_that_contradict_the_verifier_are_refused(issuer):
    with pytest.raises(ValueError, match="follow from"):
        Verifier(issuer.url, AUDIENCE, metadata={"resource": "https://evil.example"})


def test_the_metadata_name_resource_issuer_and_how_to_send_tokens(publishing, issuer):
    assert json.loads(publishing.metadata) == {
        "resource": AUDIENCE,
        "authorization_servers": [issuer.url],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "PS256", "RS256"],
        "dpop_bound_access_tokens_required": False,
        "scopes_supported": ["notes.read"],
        "resource_name": "Notes",
    }


def test_every_challenge_points_to_the_metadata_and_the_first_one_says_the_scope(publishing, issuer):
    guarded = TestClient(publishing.asgi(Starlette(), "notes.read"))
    first = guarded.get("/notes").headers["www-authenticate"]
    assert first.startswith(f'Bearer realm="{AUDIENCE}", scope="notes.read", resource_metadata="{METADATA_URL}"')
    assert first.count(f'resource_metadata="{METADATA_URL}"') == 2, "in either scheme"
    narrow = {"authorization": f"Bearer {issuer.token(AUDIENCE)}"}
    answer = guarded.get("/notes", headers=narrow)
    assert answer.status_code == 403
    assert f'resource_metadata="{METADATA_URL}"' in answer.headers["www-authenticate"]


def test_a_guarded_application_answers_its_metadata_to_anybody(publishing):
    answer = TestClient(publishing.asgi(Starlette(), "notes.read")).get("/.well-known/oauth-protected-resource")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["resource"] == AUDIENCE


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_a_starlette_application_answers_them_by_one_route(framework, publishing, verify):
    app = framework()
    app.routes.append(publishing.starlette_metadata())
    client = TestClient(app)
    assert client.get("/.well-known/oauth-protected-resource").json()["resource_name"] == "Notes"
    with pytest.raises(ValueError, match="publishes no metadata"):
        verify.starlette_metadata()
