"""Client authentication: RFC 6749 §2.3 and §5.2, RFC 7521 §4.2; SECURITY rows 37, 49 to 52, 56 and 58."""

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth import client_auth
from authserver.oauth.client_auth import (
    CHALLENGE,
    JWT_BEARER,
    METHODS_OFFERED,
    Credentials,
    choose_credentials,
    get_authenticated,
)
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.values import AuthMethod, ClientSecret
from tests.oauth.examples import NATIVE, NOW, SECRET, WEB, params, refused

ASSERTION = {"client_assertion": "a.b.c", "client_assertion_type": JWT_BEARER}


def basic(text, encoding="utf-8"):
    return f"Basic {b64encode(text.encode(encoding)).decode()}"


@pytest.mark.parametrize(
    ("authorization", "form", "credentials"),
    [
        pytest.param(
            basic("web-client:x"), {}, (AuthMethod.BASIC, "web-client", "x", None), id="6749-2.3.1 the header"
        ),
        pytest.param(
            basic("web-client:x").replace("Basic", "bASIC"),
            {},
            (AuthMethod.BASIC, "web-client", "x", None),
            id="9110-11.1 the scheme's case does not matter",
        ),
        pytest.param(
            basic("web%3Aclient:a+b%2B%c3%a4:c"),
            {},
            (AuthMethod.BASIC, "web:client", "a b+ä:c", None),
            id="6749-2.3.1 both parts are form-encoded",
        ),
        pytest.param(
            basic("web-client:"), {}, (AuthMethod.BASIC, "web-client", "", None), id="6749-2.3.1 an empty secret"
        ),
        pytest.param(
            basic("web-client:x"),
            {"client_id": "web-client"},
            (AuthMethod.BASIC, "web-client", "x", None),
            id="the header, and the same client_id in the form",
        ),
        pytest.param(
            None,
            {"client_id": "web-client", "client_secret": "x"},
            (AuthMethod.POST, "web-client", "x", None),
            id="6749-2.3.1 the form",
        ),
        pytest.param(
            None, {"client_id": "web-client"}, (AuthMethod.NONE, "web-client", None, None), id="6749-3.2.1 the id alone"
        ),
        pytest.param(
            None,
            {"client_id": "web-client", "client_secret": ""},
            (AuthMethod.NONE, "web-client", None, None),
            id="6749-3.2 an empty secret was not sent",
        ),
        pytest.param(
            None,
            ASSERTION,
            (AuthMethod.PRIVATE_KEY_JWT, None, None, "a.b.c"),
            id="7521-4.2 an assertion",
        ),
        pytest.param(
            None,
            {**ASSERTION, "client_id": "web-client"},
            (AuthMethod.PRIVATE_KEY_JWT, "web-client", None, "a.b.c"),
            id="7521-4.2 an assertion and a client_id",
        ),
    ],
)
def test_credentials_are_read_from_where_the_method_puts_them(authorization, form, credentials):
    found = choose_credentials(authorization, params(**form))
    assert (found.method, found.client_id, found.secret, found.assertion) == credentials


@pytest.mark.attack(50)
@pytest.mark.parametrize(
    ("authorization", "form"),
    [
        pytest.param(basic("web-client:x"), {"client_id": "web-client", "client_secret": "x"}, id="header and form"),
        pytest.param(basic("web-client:x"), ASSERTION, id="header and assertion"),
        pytest.param(None, {"client_id": "web-client", "client_secret": "x", **ASSERTION}, id="form and assertion"),
        pytest.param(basic("web-client:x"), {"client_secret": "x", **ASSERTION}, id="all three"),
        pytest.param("Bearer x", {"client_secret": "x"}, id="another scheme and the form"),
    ],
)
def test_two_methods_at_once_are_refused(authorization, form):
    error = refused(choose_credentials, authorization, params(**form))
    assert (error.error, error.status, error.refusal) == ("invalid_request", 400, Refusal.CLIENT_METHODS_COMBINED)


@pytest.mark.attack(51)
@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Basic", id="nothing"),
        pytest.param("Basic ", id="a blank"),
        pytest.param("Basic !!!!", id="no base64"),
        pytest.param("Basic d2ViOng", id="no padding"),
        pytest.param("Basic d2ViOng= d2ViOng=", id="two of them"),
        pytest.param("Basic d2ViOng=, Basic d2ViOng=", id="two headers joined"),
        pytest.param("Basic d2ViOn\u00e9=", id="non-ASCII base64"),
        pytest.param(basic("web-client"), id="no colon"),
        pytest.param(basic(":x"), id="no client_id"),
        pytest.param(basic("web:\u00e4", "latin-1"), id="no UTF-8"),
        pytest.param(basic("web:\u00e4"), id="not form-encoded"),
        pytest.param(basic("web:%zz"), id="broken percent-encoding"),
        pytest.param(basic("web:%ff"), id="percent-encoded bytes that are no UTF-8"),
        pytest.param(basic("web:%ed%a0%80"), id="a percent-encoded surrogate"),
        pytest.param(basic("web:%00"), id="a percent-encoded NUL"),
        pytest.param(basic("web:\x00"), id="a NUL"),
        pytest.param(basic("web:\n"), id="a newline"),
        pytest.param(basic("web:x\n"), id="a newline at the end"),
    ],
)
def test_basic_credentials_that_cannot_be_decoded_are_refused(authorization):
    error = refused(choose_credentials, authorization, params())
    assert (error.error, error.status, error.refusal) == ("invalid_client", 401, Refusal.BASIC_MALFORMED)
    assert error.headers == (CHALLENGE,)


@pytest.mark.parametrize("authorization", ["Bearer abc", "DPoP abc", "", "Basicabc", "Digest x=y"])
def test_another_scheme_is_no_client_authentication(authorization):
    error = refused(choose_credentials, authorization, params(client_id="web-client"))
    assert (error.error, error.refusal) == ("invalid_client", Refusal.AUTHORIZATION_SCHEME_UNKNOWN)


@pytest.mark.attack(52)
def test_two_different_client_ids_are_refused():
    error = refused(choose_credentials, basic("web-client:x"), params(client_id="native-client"))
    assert (error.error, error.status, error.refusal) == ("invalid_request", 400, Refusal.CLIENT_ID_MISMATCH)


@pytest.mark.attack(25)
def test_a_request_that_names_no_client_is_refused():
    error = refused(choose_credentials, None, params())
    assert (error.error, error.status, error.refusal) == ("invalid_request", 400, Refusal.CLIENT_NOT_IDENTIFIED)
    error = refused(choose_credentials, None, params(client_secret="x"))
    assert error.refusal == Refusal.CLIENT_NOT_IDENTIFIED


@pytest.mark.attack(48)
def test_where_authentication_is_required_its_absence_is_401():
    error = refused(choose_credentials, None, params(), authentication_required=True)
    assert (error.error, error.status, error.headers) == ("invalid_client", 401, (CHALLENGE,))
    assert error.refusal == Refusal.CLIENT_NOT_IDENTIFIED


@pytest.mark.parametrize(
    ("form", "error", "refusal"),
    [
        pytest.param(
            {"client_assertion": "a.b.c"}, "invalid_client", Refusal.ASSERTION_TYPE_UNKNOWN, id="7521-4.2 no type"
        ),
        pytest.param(
            {**ASSERTION, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
            "invalid_client",
            Refusal.ASSERTION_TYPE_UNKNOWN,
            id="7521-4.2 another type",
        ),
        pytest.param(
            {"client_assertion_type": JWT_BEARER},
            "invalid_request",
            Refusal.PARAMETER_MISSING,
            id="7521-4.2 its type alone",
        ),
    ],
)
def test_an_assertion_comes_with_its_type(form, error, refusal):
    found = refused(choose_credentials, None, params(client_id="web-client", **form))
    assert (found.error, found.refusal) == (error, refusal)


def test_credentials_print_no_secret():
    text = repr(choose_credentials(basic("web-client:hush"), params()))
    assert "hush" not in text
    assert "a.b.c" not in repr(choose_credentials(None, params(**ASSERTION)))


GOOD = Credentials(method=AuthMethod.BASIC, client_id=WEB.client_id, secret=SECRET)
PUBLIC = Credentials(method=AuthMethod.NONE, client_id=NATIVE.client_id)


def secret(text, expires_at=None):
    return ClientSecret(secret_hash=hashlib.sha256(text.encode()).digest(), created_at=NOW, expires_at=expires_at)


@pytest.mark.parametrize(
    ("client", "credentials"),
    [
        pytest.param(WEB, GOOD, id="basic"),
        pytest.param(
            replace(WEB, token_endpoint_auth_method=AuthMethod.POST), replace(GOOD, method=AuthMethod.POST), id="post"
        ),
        pytest.param(NATIVE, PUBLIC, id="none"),
        pytest.param(
            replace(WEB, token_endpoint_auth_method=AuthMethod.PRIVATE_KEY_JWT),
            Credentials(method=AuthMethod.PRIVATE_KEY_JWT, client_id=None, assertion="a.b.c"),
            id="private_key_jwt, proved elsewhere",
        ),
        pytest.param(replace(WEB, secrets=(secret("old"), secret(SECRET))), GOOD, id="the second of two secrets"),
        pytest.param(
            replace(WEB, secrets=(secret(SECRET, NOW), secret(SECRET, NOW + timedelta(microseconds=1)))),
            GOOD,
            id="a secret in its last microsecond",
        ),
    ],
)
def test_a_client_that_proves_itself_passes(client, credentials):
    assert get_authenticated(client, credentials, NOW) is client


@pytest.mark.attack(37, 52, 58)
@pytest.mark.parametrize(
    ("client", "credentials", "refusal"),
    [
        pytest.param(None, GOOD, Refusal.CLIENT_UNKNOWN, id="unknown client with a secret"),
        pytest.param(None, PUBLIC, Refusal.CLIENT_UNKNOWN, id="unknown client without one"),
        pytest.param(replace(WEB, disabled_at=NOW), GOOD, Refusal.CLIENT_DISABLED, id="disabled client"),
        pytest.param(replace(WEB, deleted_at=NOW), GOOD, Refusal.CLIENT_DISABLED, id="deleted client"),
        pytest.param(WEB, replace(GOOD, secret="wrong"), Refusal.CLIENT_SECRET_WRONG, id="wrong secret"),
        pytest.param(WEB, replace(GOOD, secret=""), Refusal.CLIENT_SECRET_WRONG, id="empty secret"),
        pytest.param(WEB, replace(GOOD, secret=SECRET[:-1]), Refusal.CLIENT_SECRET_WRONG, id="truncated secret"),
        pytest.param(replace(WEB, secrets=()), GOOD, Refusal.CLIENT_SECRET_WRONG, id="client without secrets"),
        pytest.param(
            replace(WEB, secrets=()), replace(GOOD, secret=""), Refusal.CLIENT_SECRET_WRONG, id="empty, and none there"
        ),
        pytest.param(
            replace(WEB, secrets=(secret("new"), secret(SECRET, NOW))),
            GOOD,
            Refusal.CLIENT_SECRET_EXPIRED,
            id="a secret that expired this very second",
        ),
    ],
)
def test_a_client_that_does_not_is_refused_in_the_same_words(client, credentials, refusal):
    error = refused(get_authenticated, client, credentials, NOW)
    wrong = refused(get_authenticated, WEB, replace(GOOD, secret="wrong"), NOW)
    assert error.refusal == refusal
    assert (error.error, error.status, error.headers) == ("invalid_client", 401, (CHALLENGE,))
    assert error.description == wrong.description


@pytest.mark.attack(49)
@pytest.mark.parametrize("registered", list(AuthMethod))
@pytest.mark.parametrize("used", list(AuthMethod))
def test_no_other_method_than_the_registered_one_passes(registered, used):
    client = replace(WEB, token_endpoint_auth_method=registered)
    credentials = Credentials(
        method=used,
        client_id=WEB.client_id,
        secret=SECRET if used in {AuthMethod.BASIC, AuthMethod.POST} else None,
        assertion="a.b.c" if used is AuthMethod.PRIVATE_KEY_JWT else None,
    )
    error = refused(get_authenticated, client, credentials, NOW)
    if registered is used:
        assert error is None
    else:
        assert (error.status, error.refusal) == (401, Refusal.CLIENT_METHOD_MISMATCH)


def test_every_method_a_client_can_register_is_offered():
    assert set(METHODS_OFFERED) == set(AuthMethod)


@pytest.mark.attack(37, 56)
@pytest.mark.parametrize(
    ("client", "comparisons"),
    [(None, 1), (replace(WEB, secrets=()), 1), (WEB, 1), (replace(WEB, secrets=(secret("a"), secret("b"))), 2)],
)
def test_a_secret_is_compared_in_constant_time_whether_or_not_the_client_exists(monkeypatch, client, comparisons):
    compared = []

    def compare(one, other):
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(client_auth, "compare_digest", compare)
    refused(get_authenticated, client, GOOD, NOW)
    assert compared == [(32, 32)] * comparisons


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(client_id=TEXTS.filter(lambda text: text and "\x00" not in text), password=TEXTS)
def test_any_id_and_secret_survive_the_header(client_id, password):
    if "\x00" in password:
        password = ""
    found = choose_credentials(basic(f"{quote_plus(client_id)}:{quote_plus(password)}"), params())
    assert (found.client_id, found.secret) == (client_id, password)


@given(
    authorization=st.none()
    | st.binary().map(lambda raw: f"Basic {b64encode(raw).decode()}")
    | TEXTS.map("Basic {}".format)
    | TEXTS,
    form=st.dictionaries(
        st.sampled_from(["client_id", "client_secret", "client_assertion", "client_assertion_type"]),
        TEXTS.filter(lambda text: "\x00" not in text) | st.just(JWT_BEARER),
    ),
)
def test_any_request_gives_credentials_or_a_refusal_and_nothing_else(authorization, form):
    error = refused(choose_credentials, authorization, params(**form))
    if error is None:
        credentials = choose_credentials(authorization, params(**form))
        assert refused(get_authenticated, WEB, credentials, NOW) is not None
        assert refused(get_authenticated, None, credentials, NOW).error == ErrorCode.INVALID_CLIENT
