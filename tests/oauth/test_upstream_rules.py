"""What is believed of another provider (OIDC Core §3.1.3.7, §5.3.2, RFC 9207 §2.4); the rest in tests/features."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import Refusal
from authserver.oauth.params import Params
from authserver.oauth.upstream import Endpoints, Provider, ProviderKind
from authserver.oauth.upstream_rules import (
    check_id_token,
    check_may_link,
    check_may_unlink,
    discovery_address,
    is_endpoint,
    judge_auth_time,
    read_code,
    read_emails,
    read_endpoints,
    read_profile,
    read_subject,
    read_text,
)
from authserver.oauth.values import AuthMethod
from tests.oauth.examples import NOW, USER, refused

ISSUER = "https://id.partner.example"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "jwks_uri": f"{ISSUER}/jwks",
}
ENDPOINTS = Endpoints(
    authorization=f"{ISSUER}/authorize", token=f"{ISSUER}/token", userinfo=f"{ISSUER}/userinfo", jwks=f"{ISSUER}/jwks"
)
PARTNER = Provider(
    slug="partner",
    kind=ProviderKind.OIDC,
    label="Partner",
    position=0,
    client_id="we",
    sealed_secret=None,
    auth_method=AuthMethod.NONE,
    scope=("openid",),
    issuer=ISSUER,
    authorization_endpoint=None,
    token_endpoint=None,
    userinfo_endpoint=None,
    emails_endpoint=None,
    subject_field="sub",
    allow_sign_up=False,
    trust_email=False,
    created_at=NOW,
    updated_at=NOW,
)
SECONDS = NOW.timestamp()
CLAIMS = {"iss": ISSUER, "sub": "mona", "aud": "we", "exp": SECONDS + 300, "iat": SECONDS, "nonce": "n"}


def never(_):
    return False


def check(claims, **changes):
    values = {"alg": "ES256", "provider": PARTNER, "nonce": "n", "access_token": "t", "now": NOW}
    return check_id_token(claims, **(values | changes))


def test_a_good_id_token_names_the_subject():
    assert check(CLAIMS) == "mona"
    assert check(CLAIMS | {"aud": ["we"], "azp": "we"}) == "mona"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"exp": SECONDS - 60}, id="3.1.3.7 rule 9, at the end of the leeway"),
        pytest.param({"iat": SECONDS + 61}, id="made in the future"),
        pytest.param({"nbf": SECONDS + 61}, id="7519-4.1.5"),
        pytest.param({"iss": "https://other.example"}, id="3.1.3.7 rule 2"),
        pytest.param({"aud": "they"}, id="3.1.3.7 rule 3"),
        pytest.param({"aud": {"we": 1}}, id="an aud that is an object"),
        pytest.param({"aud": ["we", "they"]}, id="3.1.3.7 rule 4"),
        pytest.param({"nonce": "m"}, id="3.1.3.7 rule 11"),
        pytest.param({"nonce": "\ud800"}, id="a nonce that is half a character"),
        pytest.param({"aud": ["we", "they"], "azp": "they"}, id="3.1.3.7 rule 5"),
        pytest.param({"at_hash": "x"}, id="3.1.3.8"),
        pytest.param({"sub": ""}, id="a sub of no characters"),
        pytest.param({"exp": None}, id="an exp that is null"),
        pytest.param({"sub": 5.5}, id="a sub that is no text"),
    ],
)
def test_a_bad_id_token_is_refused(changed):
    assert refused(check, CLAIMS | changed).refusal is Refusal.UPSTREAM_TOKEN


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.lists(st.text(max_size=3))


@given(st.dictionaries(st.sampled_from([*CLAIMS, "azp", "nbf", "at_hash"]), ODD, min_size=1, max_size=2))
def test_no_claims_escape_as_another_exception(changed):
    error = refused(check, CLAIMS | changed)
    assert error is None or error.refusal is Refusal.UPSTREAM_TOKEN


@pytest.mark.parametrize(("alg", "half"), [("Ed25519", 43), ("EdDSA", 43), ("RS256", 22)])
def test_an_at_hash_is_compared_by_the_hash_of_the_algorithm(alg, half):
    from authlib.oidc.core.util import create_half_hash  # noqa: PLC0415 - the oracle

    at_hash = create_half_hash("t", "EdDSA" if alg == "Ed25519" else alg).decode()
    assert len(at_hash) == half
    assert check(CLAIMS | {"at_hash": at_hash}, alg=alg) == "mona"


@pytest.mark.parametrize(
    ("pairs", "names_itself", "refusal"),
    [
        pytest.param([("code", "c"), ("iss", "https://other.example")], False, Refusal.UPSTREAM_ISSUER, id="9207-2.4"),
        pytest.param([("code", "c")], True, Refusal.UPSTREAM_ISSUER, id="9207-2.4 announced and absent"),
        pytest.param([("error", "access_denied"), ("iss", ISSUER)], True, Refusal.UPSTREAM_DENIED, id="denied"),
        pytest.param([("error", "server_error")], False, Refusal.UPSTREAM_REFUSED, id="another error"),
        pytest.param([("error", "x"), ("code", "c")], False, Refusal.UPSTREAM_REFUSED, id="an error beside a code"),
        pytest.param([], False, Refusal.UPSTREAM_REFUSED, id="nothing at all"),
        pytest.param([("code", "c"), ("code", "d")], False, Refusal.PARAMETER_REPEATED, id="6749-3.1 twice"),
    ],
)
def test_an_answer_without_a_code_for_us_is_refused(pairs, names_itself, refusal):
    assert refused(read_code, Params(pairs), PARTNER, replace(ENDPOINTS, names_itself=names_itself)).refusal is refusal


def test_a_code_is_taken_of_the_right_issuer_and_of_one_that_has_none():
    assert read_code(Params([("code", "c"), ("iss", ISSUER)]), PARTNER, ENDPOINTS) == "c"
    github = replace(PARTNER, kind=ProviderKind.OAUTH, issuer=None)
    assert read_code(Params([("code", "c"), ("iss", "https://any.example")]), github, ENDPOINTS) == "c"


def test_discovery_tells_the_endpoints():
    assert read_endpoints(DOCUMENT, ISSUER, never) == ENDPOINTS
    without = {name: value for name, value in DOCUMENT.items() if name != "userinfo_endpoint"}
    assert read_endpoints(without, ISSUER, never).userinfo is None
    named = DOCUMENT | {"authorization_response_iss_parameter_supported": True}
    assert read_endpoints(named, ISSUER, never).names_itself
    assert discovery_address(f"{ISSUER}/") == f"{ISSUER}/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": f"{ISSUER}/"},
        {"token_endpoint": None},
        {"jwks_uri": "http://id.example/jwks"},
        {"userinfo_endpoint": 1},
    ],
)
def test_a_document_that_lies_or_says_too_little_is_refused(changed):
    with pytest.raises(ValueError, match="discovery document"):
        read_endpoints(DOCUMENT | changed, ISSUER, never)


@pytest.mark.parametrize(
    "address",
    [
        "https://a@id.example/",
        "https://id.example/#x",
        "https://id.example/ x",
        "ftp://id.example/",
        "https://id.example:0/",
        "https://id.example:99999/",
        "https://[id/",
        "https://id.example/" + "x" * 1000,
        "javascript:alert(1)",
        "https://ä.example/",
        "",
    ],
)
def test_what_two_readers_could_understand_in_two_ways_is_no_endpoint(address):
    assert not is_endpoint(address, never)


def test_plain_http_is_for_where_the_settings_allow_it():
    assert is_endpoint("http://localhost:9000/token", lambda url: url.startswith("http://localhost:9000/"))
    assert not is_endpoint("http://localhost:9000/token", never)


@given(st.text())
def test_no_address_escapes_as_an_exception(address):
    assert isinstance(is_endpoint(address, never), bool)


def test_a_profile_is_read_of_a_stranger_s_words():
    profile = read_profile("7", {"login": "octo\u202ecat", "name": " Mona\r\nBcc: x ", "email": 5, "email_verified": 1})
    assert (profile.account_name, profile.name, profile.email, profile.email_verified) == (
        "octocat",
        "MonaBcc: x",
        None,
        False,
    )
    assert read_profile("7", {}).account_name is None
    assert read_profile("7", {"email_verified": True}).email_verified
    assert read_text("x" * 300) == "x" * 200
    assert read_text(" \x00 ") is None


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ([], (None, False)),
        ("none", (None, False)),
        ([5, {"email": ""}, {"email": "a@example.org"}], ("a@example.org", False)),
        (
            [{"email": "a@example.org", "primary": True}, {"email": "b@example.org", "verified": True}],
            ("b@example.org", True),
        ),
    ],
)
def test_the_main_address_of_a_list_is_a_verified_one(document, found):
    assert read_emails(document) == found


def test_a_subject_is_a_text_or_a_number_as_at_github():
    assert (read_subject("octocat"), read_subject(583231)) == ("octocat", "583231")


@pytest.mark.parametrize("value", ["", "x" * 256, "a\x00", "\u202e", True, None, 1.0, [], {}])
def test_what_is_no_subject_is_none(value):
    assert read_subject(value) is None


@pytest.mark.parametrize(
    ("claimed", "asked", "expected"),
    [
        pytest.param(None, None, None, id="not said"),
        pytest.param(True, None, None, id="no number"),
        pytest.param(int(SECONDS) - 3600, None, NOW - timedelta(hours=1), id="an hour ago"),
        pytest.param(int(SECONDS) + 5, None, None, id="not yet, by our clock"),
        pytest.param(-5, None, None, id="before there were clocks"),
        pytest.param(int(SECONDS) - 70, NOW - timedelta(seconds=20), None, id="asked anew, clocks apart"),
        pytest.param(int(SECONDS) - 90, NOW - timedelta(seconds=20), NOW - timedelta(seconds=90), id="not asked anew"),
    ],
)
def test_when_somebody_proved_who_they_are(claimed, asked, expected):
    assert judge_auth_time(claimed, asked_at=asked, now=NOW) == expected


def test_linking_and_unlinking_leave_nobody_locked_out_and_nobody_else_let_in():
    check_may_link(USER)
    check_may_link(replace(USER, email=None, email_verified=False))
    assert refused(check_may_link, replace(USER, email_verified=False)).refusal is Refusal.UPSTREAM_LINK_UNVERIFIED
    check_may_unlink(has_other_way=True)
    assert refused(check_may_unlink, has_other_way=False).refusal is Refusal.UPSTREAM_LAST_WAY


def test_a_provider_knows_its_own_callback():
    assert PARTNER.callback_path == "/upstream/partner/callback"
    assert PARTNER.is_active
    assert not replace(PARTNER, disabled_at=NOW).is_active
