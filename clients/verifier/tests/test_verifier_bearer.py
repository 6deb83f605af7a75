"""Where a token may stand, and what a refusal looks like on the wire (RFC 6750 §2 and §3)."""

import json

import pytest

from authserver_verifier import Challenge, IssuerUnavailableError, Refusal, TokenRefusedError, require
from authserver_verifier.bearer import check_form, find_credentials

REALM = "https://notes.example.com"
CHALLENGE = Challenge(realm=REALM)


def header(*values):
    return [(b"host", b"notes.example.com"), *((b"authorization", value) for value in values)]


@pytest.mark.parametrize("value", [b"Bearer a.b.c", b"bearer a.b.c", b"BEARER   a.b.c"])
def test_the_token_follows_the_scheme_in_any_case(value):
    assert find_credentials(header(value), b"page=2") == ("a.b.c", False)


@pytest.mark.parametrize(
    ("headers", "query", "refusal"),
    [
        pytest.param(header(), b"", Refusal.NO_TOKEN, id="no header"),
        pytest.param(header(b""), b"", Refusal.NO_TOKEN, id="an empty header"),
        pytest.param(header(b"Basic YTpi"), b"", Refusal.NO_TOKEN, id="another scheme"),
        pytest.param(header(b"Bearers a.b.c"), b"", Refusal.NO_TOKEN, id="a longer scheme"),
        pytest.param(header(b"Bearer"), b"", Refusal.HEADER_MALFORMED, id="the scheme alone"),
        pytest.param(header(b"Bearer "), b"", Refusal.HEADER_MALFORMED, id="no token after it"),
        pytest.param(header(b"Bearer a b"), b"", Refusal.HEADER_MALFORMED, id="two words after it"),
        pytest.param(header(b"Bearer a.b.c,Bearer d"), b"", Refusal.HEADER_MALFORMED, id="two joined by a comma"),
        pytest.param(header(b"Bearer \xff\xfe"), b"", Refusal.HEADER_MALFORMED, id="bytes that are no text"),
        pytest.param(header(b"Bearer a.b.c", b"Bearer a.b.c"), b"", Refusal.HEADER_REPEATED, id="the header twice"),
        pytest.param(header(b"Basic YTpi", b"Bearer a"), b"", Refusal.HEADER_REPEATED, id="two schemes"),
        pytest.param(header(b"Bearer a.b.c"), b"access_token=d", Refusal.TWO_TOKENS, id="in the query too"),
        pytest.param(header(b"Bearer a"), b"x=1&%61ccess_token=", Refusal.TWO_TOKENS, id="there in disguise, empty"),
        pytest.param(header(), b"access_token=a.b.c", Refusal.TOKEN_NOT_IN_HEADER, id="in the query alone"),
    ],
)
def test_a_token_anywhere_but_in_one_header_is_refused(headers, query, refusal):
    with pytest.raises(TokenRefusedError) as caught:
        find_credentials(headers, query)
    assert caught.value.refusal is refusal


def test_a_form_with_a_token_beside_the_header_is_refused_and_other_forms_are_not():
    check_form(b"note=access_token&text=hello")
    with pytest.raises(TokenRefusedError) as caught:
        check_form(b"note=1&access_token=a.b.c")
    assert caught.value.refusal is Refusal.TWO_TOKENS


def test_without_a_token_the_challenge_names_no_error():
    refused = TokenRefusedError(Refusal.NO_TOKEN)
    assert refused.status == 401
    assert refused.headers(CHALLENGE)["www-authenticate"] == f'Bearer realm="{REALM}"'
    assert "error" not in json.loads(refused.body())


@pytest.mark.parametrize(
    ("refusal", "status", "error"),
    [
        (Refusal.TWO_TOKENS, 400, "invalid_request"),
        (Refusal.TOKEN_NOT_IN_HEADER, 400, "invalid_request"),
        (Refusal.HEADER_REPEATED, 400, "invalid_request"),
        (Refusal.HEADER_MALFORMED, 400, "invalid_request"),
        (Refusal.EXPIRED, 401, "invalid_token"),
        (Refusal.SIGNATURE_WRONG, 401, "invalid_token"),
        (Refusal.REVOKED, 401, "invalid_token"),
        (Refusal.CERTIFICATE_WRONG, 401, "invalid_token"),
        (Refusal.CERTIFICATE_MISSING, 401, "invalid_token"),
        (Refusal.SCOPE_INSUFFICIENT, 403, "insufficient_scope"),
    ],
)
def test_each_refusal_has_its_status_and_error_and_is_never_stored(refusal, status, error):
    refused = TokenRefusedError(refusal)
    headers = refused.headers(CHALLENGE)
    assert refused.status == status
    assert f'error="{error}", error_description="{refused.description}"' in headers["www-authenticate"]
    assert headers["cache-control"] == "no-store"
    assert json.loads(refused.body()) == {"error": error, "error_description": refused.description}


def test_every_description_can_stand_in_a_header():
    for refusal in Refusal:
        description = TokenRefusedError(refusal).description
        assert description.isascii()
        assert description.isprintable()
        assert not set(description) & set('"\\')


def test_too_little_scope_is_answered_with_what_is_needed():
    refused = TokenRefusedError(Refusal.SCOPE_INSUFFICIENT, scope="notes.read notes.write")
    assert refused.headers(CHALLENGE)["www-authenticate"].endswith('scope="notes.read notes.write"')


def test_an_unreachable_issuer_is_no_challenge_but_a_time_to_come_back():
    unavailable = IssuerUnavailableError(4)
    headers = unavailable.headers(CHALLENGE)
    assert unavailable.status == 503
    assert headers["retry-after"] == "4"
    assert "www-authenticate" not in headers


@pytest.mark.parametrize("scope", ["notes.read notes.write", "", 'a"b', "a\\b", "é", "a\nb"])
def test_what_is_no_scope_is_refused_when_the_route_is_made(scope):
    with pytest.raises(ValueError, match="not a scope"):
        require([scope])
