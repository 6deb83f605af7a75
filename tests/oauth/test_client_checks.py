"""What a client may be, member by member and as a whole (RFC 7591 §2, §2.1, §5; RFC 7592 §2.2)."""

from dataclasses import replace

import pytest

from authserver.oauth.client_checks import RegistrationPolicy
from authserver.oauth.client_documents import TYPE_DEFAULTS, build_metadata_document, build_registration_response
from authserver.oauth.client_members import MAX_LIST_ITEMS, MAX_NAME, clean_name
from authserver.oauth.client_metadata import DEVICE_CODE, build_client, parse_client_metadata, update_client
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.scope import OIDC_SCOPES
from authserver.oauth.values import AuthMethod, ClientType, RefreshMode
from tests.oauth.examples import NOW, refused
from tests.oauth.test_client_metadata import CALLBACK, DOCUMENT, FULL, KEY, METADATA, OPERATOR, SCOPES, STRANGER

INVALID_METADATA = (ErrorCode.INVALID_CLIENT_METADATA, Refusal.METADATA_INVALID)
INVALID_URI = (ErrorCode.INVALID_REDIRECT_URI, Refusal.METADATA_REDIRECT_URI)
HTTP_ALLOWED = replace(STRANGER, allow_http=lambda uri: uri.startswith("http://keys.internal/"))


def register(policy=STRANGER, base=DOCUMENT, *, self_registered=None, **changed):
    metadata = parse_client_metadata(base | changed, policy)
    own = (not policy.operator) if self_registered is None else self_registered
    return build_client(metadata, policy, client_id="c", now=NOW, self_registered=own)


def outcome(*args, **kwargs):
    error = refused(register, *args, **kwargs)
    return error and (error.error, error.refusal)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"token_endpoint_auth_method": "client_secret_jwt"}, id="an authentication method we lack"),
        pytest.param({"token_endpoint_auth_signing_alg": "none"}, id="unsigned assertions"),
        pytest.param({"token_endpoint_auth_signing_alg": "HS256"}, id="an assertion algorithm we lack"),
        pytest.param({"grant_types": ["authorization_code", "implicit"]}, id="implicit"),
        pytest.param({"grant_types": ["password"]}, id="password"),
        pytest.param({"grant_types": []}, id="no grant type and nothing to introspect"),
        pytest.param({"response_types": ["token"]}, id="response type token"),
        pytest.param({"response_types": ["code id_token"]}, id="hybrid"),
        pytest.param({"response_types": []}, id="authorization_code without code"),
        pytest.param({"grant_types": ["refresh_token"], "response_types": ["code"]}, id="code without its grant type"),
        pytest.param({"application_type": "desktop"}, id="an application type there is not"),
        pytest.param({"subject_type": "pairwise"}, id="pairwise"),
        pytest.param({"id_token_signed_response_alg": "none"}, id="unsigned ID tokens"),
        pytest.param({"id_token_signed_response_alg": "HS256"}, id="ID tokens signed with a secret"),
        pytest.param({"default_max_age": -1}, id="a negative age"),
        pytest.param({"default_max_age": True}, id="true is no number"),
        pytest.param({"default_max_age": 10**9}, id="an age beyond measure"),
        pytest.param({"require_auth_time": "true"}, id="a text is no truth value"),
        pytest.param({"scope": 'api"quoted'}, id="a quote in scope"),
        pytest.param({"scope": "nothing:known"}, id="only unknown scopes"),
        pytest.param({"scope": ["openid"]}, id="scope as an array"),
        pytest.param({"contacts": "ada@app.example"}, id="contacts as a string"),
        pytest.param({"contacts": [f"{n}@app.example" for n in range(MAX_LIST_ITEMS + 1)]}, id="21 contacts"),
        pytest.param({"client_name": "x" * (MAX_NAME + 1)}, id="a long name"),
        pytest.param({"client_name": 7}, id="a number for a name"),
        pytest.param({"software_id": "a\u200bb"}, id="an invisible character"),
        pytest.param({"software_version": "x" * 256}, id="a long version"),
        pytest.param({"client_uri": "http://app.example/"}, id="client_uri without TLS"),
        pytest.param({"client_uri": "javascript:alert(1)"}, id="a script for an address"),
        pytest.param({"logo_uri": "data:image/png;base64,"}, id="a logo inside"),
        pytest.param({"logo_uri": "https://user@app.example/logo"}, id="a user name in an address"),
        pytest.param({"tos_uri": "https:///tos"}, id="an address without host"),
        pytest.param({"tos_uri": "https://app.example:99999/"}, id="a port there is not"),
        pytest.param({"tos_uri": "https://app.example:0/"}, id="port 0"),
        pytest.param({"policy_uri": "https://app.example/#x"}, id="a fragment"),
        pytest.param({"policy_uri": "https://app.example/" + "x" * 2000}, id="a long address"),
        pytest.param({"policy_uri": "https://äpp.example/"}, id="a host that is not ASCII"),
        pytest.param({"policy_uri": "https://[::1/"}, id="half an IPv6 address"),
        pytest.param({"backchannel_logout_uri": "http://app.example/out"}, id="a logout address without TLS"),
        pytest.param({"backchannel_logout_uri": "https://app.example/out#x"}, id="a logout address with a fragment"),
        pytest.param({"backchannel_logout_uri": "/out"}, id="a logout address that is not absolute"),
        pytest.param({"backchannel_logout_uri": "https://user@app.example/out"}, id="a logout address with a user"),
        pytest.param({"backchannel_logout_uri": ["https://app.example/out"]}, id="several logout addresses"),
        pytest.param({"backchannel_logout_session_required": "true"}, id="a text for a wish"),
        pytest.param({"redirect_uris": [f"{CALLBACK}/{n}" for n in range(MAX_LIST_ITEMS + 1)]}, id="21 redirect URIs"),
        pytest.param({"redirect_uris": CALLBACK}, id="redirect_uris as a string"),
        pytest.param({"redirect_uris": [7]}, id="a number for a redirect URI"),
        pytest.param(
            {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none", "redirect_uris": []},
            id="client_credentials without credentials",
        ),
        pytest.param({"grant_types": ["authorization_code", "client_credentials"]}, id="a stranger acting for itself"),
        pytest.param({"token_endpoint_auth_method": "private_key_jwt"}, id="private_key_jwt without keys"),
        pytest.param({"jwks": {"keys": [KEY]}, "jwks_uri": "https://app.example/jwks"}, id="jwks and jwks_uri"),
        pytest.param({"jwks_uri": "http://app.example/jwks"}, id="jwks_uri without TLS"),
        pytest.param({"jwks_uri": "file:///etc/passwd"}, id="jwks_uri that is a file"),
    ],
)
@pytest.mark.attack(79)
def test_a_document_is_refused(changed):
    assert outcome(**changed) == INVALID_METADATA


@pytest.mark.attack(2)
@pytest.mark.attack(5)
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"redirect_uris": []}, id="none"),
        pytest.param({"redirect_uris": None}, id="null"),
        pytest.param({"redirect_uris": ["javascript:alert(1)"]}, id="a script"),
        pytest.param({"redirect_uris": [CALLBACK, "https://good@evil.example/"]}, id="the second is a trap"),
        pytest.param({"redirect_uris": ["http://app.example/"]}, id="no TLS"),
        pytest.param({"redirect_uris": ["https://app.example/#x"]}, id="a fragment"),
        pytest.param({"redirect_uris": ["\ud800"]}, id="half a character"),
        pytest.param(
            {"redirect_uris": ["com.example:/cb"], "application_type": "web"}, id="an app's scheme for a web app"
        ),
        pytest.param({"post_logout_redirect_uris": ["javascript:alert(1)"]}, id="a script after logout"),
    ],
)
def test_an_address_is_refused(changed):
    assert outcome(**changed) == INVALID_URI


@pytest.mark.attack(67)
@pytest.mark.parametrize(
    "jwks",
    [
        pytest.param("text", id="a string"),
        pytest.param({}, id="no keys"),
        pytest.param({"keys": {}}, id="keys that are no array"),
        pytest.param({"keys": []}, id="an empty set"),
        pytest.param({"keys": [KEY] * 21}, id="21 keys"),
        pytest.param({"keys": ["key"]}, id="a key that is a string"),
        pytest.param({"keys": [{"crv": "P-256"}]}, id="a key without type"),
        pytest.param({"keys": [{"kty": 7}]}, id="a type that is a number"),
        pytest.param({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, id="a shared secret"),
        pytest.param({"keys": [{"kty": "oct"}]}, id="a shared secret without its value"),
        *[
            pytest.param({"keys": [KEY | {name: "x"}]}, id=f"private {name}")
            for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
        ],
        pytest.param({"keys": [KEY, KEY]}, id="one kid twice"),
        pytest.param({"keys": [KEY | {"kid": 7}]}, id="a kid that is a number"),
        pytest.param({"keys": [KEY | {"x5c": [{}]}]}, id="an object inside"),
        pytest.param({"keys": [KEY | {"x": "a\x00"}]}, id="a NUL inside"),
        pytest.param({"keys": [KEY | {"x": None}]}, id="null inside"),
    ],
)
def test_a_key_set_is_refused(jwks):
    assert outcome(jwks=jwks) == INVALID_METADATA


def test_keys_as_browsers_export_them_are_taken():
    exported = KEY | {"ext": True, "key_ops": ["verify"], "iat": 1700000000}
    assert register(jwks={"keys": [exported], "extra": 1}).jwks == {"keys": [exported]}


@pytest.mark.attack(83)
def test_keys_come_over_http_only_from_where_the_operator_allows():
    assert register(HTTP_ALLOWED, jwks_uri="http://keys.internal/jwks").jwks_uri == "http://keys.internal/jwks"
    assert outcome(HTTP_ALLOWED, jwks_uri="http://other.internal/jwks") == INVALID_METADATA
    assert register(jwks_uri="https://app.example/jwks").jwks_uri == "https://app.example/jwks"


@pytest.mark.attack(96)
def test_logouts_are_told_over_http_only_to_a_confidential_client_where_the_operator_allows():
    allowed, other = "http://keys.internal/out", "http://other.internal/out"
    assert register(HTTP_ALLOWED, backchannel_logout_uri=allowed).backchannel_logout_uri == allowed
    assert outcome(HTTP_ALLOWED, backchannel_logout_uri=other) == INVALID_METADATA
    public = {"token_endpoint_auth_method": "none"}
    assert outcome(HTTP_ALLOWED, backchannel_logout_uri=allowed, **public) == INVALID_METADATA
    https = "https://app.example:8443/out?app=notes"
    assert register(backchannel_logout_uri=https, **public).backchannel_logout_uri == https


@pytest.mark.attack(82)
@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Notes", "Notes"),
        ("  Notes \t\n app ", "Notes app"),
        ("elgooG\u202e", "elgooG"),
        ("Goo\u200bgle\u2066\ufeff", "Google"),
        ("a\x00\x07b\x1b[31m", "ab[31m"),
        ("Cafe\u0301", "Café"),
        ("\u2028\ue000\U000e0041", ""),
        ("日本語 🙂", "日本語 🙂"),
        ("\ud800x", "x"),
    ],
)
def test_a_name_is_shown_without_what_cannot_be_seen(sent, shown):
    assert clean_name(sent) == shown
    assert register(client_name=sent).client_name == (shown or "c")


def test_a_strangers_scope_is_cut_to_what_exists():
    assert register(scope="openid notes:read gone:scope").scope == {"openid", "notes:read"}
    assert outcome(OPERATOR, scope="openid gone:scope") == INVALID_METADATA
    assert register(OPERATOR, scope="openid notes:read").scope == {"openid", "notes:read"}
    assert register(OPERATOR).scope == OIDC_SCOPES


def test_a_missing_list_in_the_discovery_document_is_a_bug():
    policy = RegistrationPolicy(metadata=METADATA | {"grant_types_supported": None}, scope=SCOPES)
    del policy.metadata["grant_types_supported"]
    with pytest.raises(KeyError):
        parse_client_metadata(DOCUMENT, policy)


def test_a_default_that_no_key_can_sign_must_be_replaced_by_the_client():
    without_rsa = replace(STRANGER, metadata=METADATA | {"id_token_signing_alg_values_supported": ["ES256"]})
    assert outcome(without_rsa) == INVALID_METADATA
    assert register(without_rsa, id_token_signed_response_alg="ES256").id_token_signed_response_alg == "ES256"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"introspection_signed_response_alg": "PS512"}, id="9701-6 not offered"),
        pytest.param({"introspection_signed_response_alg": "none"}, id="9701-6 unsigned"),
        pytest.param({"introspection_encrypted_response_alg": "RSA-OAEP-256"}, id="9701-6 encrypted"),
        pytest.param({"introspection_encrypted_response_enc": "A128GCM"}, id="9701-6 encrypted so"),
    ],
)
def test_introspection_responses_are_signed_as_announced_and_never_encrypted(changed):
    assert outcome(**changed) == INVALID_METADATA
    assert outcome(OPERATOR, **changed) == INVALID_METADATA
    assert register(introspection_signed_response_alg="RS256").introspection_signed_response_alg == "RS256"
    assert register().introspection_signed_response_alg is None


@pytest.mark.attack(63)
@pytest.mark.parametrize("what", ["authorization", "id_token", "introspection", "userinfo"])
@pytest.mark.parametrize(
    ("how", "value"), [("alg", "RSA1_5"), ("alg", "RSA-OAEP-256"), ("alg", "dir"), ("enc", "A128GCM")]
)
def test_a_client_that_asks_for_encryption_is_told_that_there_is_none(what, how, value):
    changed = {f"{what}_encrypted_response_{how}": value}
    assert outcome(**changed) == INVALID_METADATA
    assert outcome(OPERATOR, **changed) == INVALID_METADATA


@pytest.mark.attack(80)
@pytest.mark.parametrize(
    "changed",
    [
        {"grant_types": ["authorization_code", "client_credentials"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": []},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"response_types": []},
    ],
    ids=repr,
)
def test_no_update_reaches_what_a_registration_cannot(changed):
    client = register(token_endpoint_auth_method="none")
    metadata = parse_client_metadata(DOCUMENT | changed, STRANGER)
    error = refused(update_client, client, metadata, STRANGER, now=NOW)
    assert (error.error, error.refusal) == outcome(**changed)


@pytest.mark.attack(80)
def test_a_client_that_gives_up_its_secret_must_use_pkce():
    client = register()
    assert not client.require_pkce
    public = update_client(
        client, parse_client_metadata(DOCUMENT | {"token_endpoint_auth_method": "none"}, STRANGER), STRANGER, now=NOW
    )
    assert (public.require_pkce, public.type) == (True, ClientType.SPA)
    again = update_client(public, parse_client_metadata(DOCUMENT, STRANGER), STRANGER, now=NOW)
    assert (again.require_pkce, again.type) == (True, ClientType.WEB)


@pytest.mark.attack(80)
def test_a_strangers_update_replaces_its_own_members_and_leaves_the_operators():
    client = register(OPERATOR, FULL, refresh_token_mode="keep", access_token_lifetime=60, first_party=True)
    metadata = parse_client_metadata(DOCUMENT | {"client_name": "New", "refresh_token_mode": "reuse"}, STRANGER)
    updated = update_client(client, metadata, STRANGER, now=NOW.replace(year=2027))
    assert (updated.client_name, updated.jwks, updated.contacts) == ("New", None, ())
    assert updated.refresh_token_mode is RefreshMode.KEEP
    assert (updated.lifetimes, updated.first_party, updated.created_at) == (client.lifetimes, True, NOW)
    assert updated.updated_at == NOW.replace(year=2027)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"token_endpoint_auth_method": "none", "require_pkce": False}, id="no secret and no PKCE"),
        pytest.param({"token_endpoint_auth_method": "none", "introspects": ["urn:a"]}, id="asking without a secret"),
        pytest.param({"api_register": True}, id="sign-up for an app that is not our own"),
        pytest.param({"introspects": ["no uri"]}, id="a resource that is no URI"),
        pytest.param({"introspects": "urn:a"}, id="resources as a string"),
        pytest.param({"profile": "fapi2"}, id="a profile we lack"),
        pytest.param({"refresh_token_mode": "never"}, id="a mode there is not"),
        pytest.param({"refresh_token_policy": "lenient"}, id="a policy there is not"),
        pytest.param({"access_token_lifetime": 0}, id="no lifetime at all"),
        pytest.param({"access_token_lifetime": 86_401}, id="a token for more than a day"),
        pytest.param({"authorization_code_lifetime": 601}, id="a code for more than ten minutes"),
    ],
)
def test_an_operator_is_kept_from_mistakes(changed):
    assert outcome(OPERATOR, **changed) == INVALID_METADATA


@pytest.mark.parametrize(
    ("type_", "changed", "method"),
    [
        (ClientType.WEB, {}, AuthMethod.BASIC),
        (ClientType.SPA, {}, AuthMethod.NONE),
        (ClientType.NATIVE, {"redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"]}, AuthMethod.NONE),
        (ClientType.SERVICE, {"redirect_uris": []}, AuthMethod.BASIC),
    ],
)
def test_each_type_has_defaults_that_stand(type_, changed, method):
    metadata = parse_client_metadata(DOCUMENT | TYPE_DEFAULTS[type_] | changed, OPERATOR)
    client = build_client(metadata, OPERATOR, client_id="c", now=NOW, type=type_)
    assert (client.type, client.token_endpoint_auth_method) == (type_, method)
    assert client.id_token_signed_response_alg == "ES256"
    assert (client.require_pkce, client.self_registered) == (True, False)


def test_a_device_needs_a_server_that_offers_its_grant():
    document = {**TYPE_DEFAULTS[ClientType.DEVICE]}
    error = refused(parse_client_metadata, document, OPERATOR)
    assert (error.error, error.refusal) == INVALID_METADATA
    offered = replace(OPERATOR, metadata=METADATA | {"grant_types_supported": [DEVICE_CODE, "refresh_token"]})
    client = build_client(parse_client_metadata(document, offered), offered, client_id="c", now=NOW)
    assert client.type is ClientType.DEVICE


@pytest.mark.parametrize(
    ("changed", "type_"),
    [
        ({}, ClientType.WEB),
        ({"token_endpoint_auth_method": "none"}, ClientType.SPA),
        ({"application_type": "native"}, ClientType.NATIVE),
        ({"redirect_uris": ["http://localhost:1234/cb"]}, ClientType.NATIVE),
        ({"redirect_uris": ["cursor://cb"]}, ClientType.NATIVE),
        ({"grant_types": ["refresh_token"]}, ClientType.SERVICE),
    ],
)
def test_a_client_that_registers_itself_is_told_its_type(changed, type_):
    assert register(**changed).type is type_


def test_a_resource_server_that_only_introspects_needs_no_grant_type():
    client = register(OPERATOR, grant_types=[], redirect_uris=[], introspects=["https://notes.example"])
    assert (client.grant_types, client.type) == (frozenset(), ClientType.SERVICE)


def test_a_vouched_client_may_act_for_itself():
    client = register(self_registered=False, grant_types=["client_credentials"], redirect_uris=[])
    assert (client.type, client.response_types) == (ClientType.SERVICE, frozenset())


@pytest.mark.attack(123)
def test_secrets_are_only_in_the_answer_that_makes_them():
    client = register()
    uri = "https://issuer.example/register/c"
    made = build_registration_response(
        client, registration_client_uri=uri, registration_access_token="rat", client_secret="secret"
    )
    assert (made["client_secret"], made["client_secret_expires_at"]) == ("secret", 0)
    assert (made["registration_access_token"], made["registration_client_uri"]) == ("rat", uri)
    ends = build_registration_response(
        client, registration_client_uri=uri, client_secret="secret", client_secret_expires_at=NOW
    )
    assert ends["client_secret_expires_at"] == int(NOW.timestamp())
    read = build_registration_response(client, registration_client_uri=uri)
    assert not {"client_secret", "client_secret_expires_at", "registration_access_token"} & read.keys()
    assert not {"registration_token_hash", "secrets"} & build_metadata_document(client, operator=True).keys()
