"""RFC 8414 §2, §3.2; OIDC Discovery §3; RFC 9207 §3."""

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from authlib.oidc.rpinitiated import OpenIDProviderMetadata as LogoutMetadata

from authserver.oauth.metadata import build_metadata
from tests.oauth.examples import ISSUER

FEATURES = (
    {
        "authorization_endpoint": f"{ISSUER}/authorize",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code"],
        "scopes_supported": ("openid", "profile"),
    },
    {
        "token_endpoint": f"{ISSUER}/token",
        "grant_types_supported": ["refresh_token", "authorization_code"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    },
    {"jwks_uri": f"{ISSUER}/jwks", "end_session_endpoint": f"{ISSUER}/end_session"},
)


def test_authlib_accepts_the_document_as_both_kinds():
    document = build_metadata(ISSUER, FEATURES)
    OpenIDProviderMetadata(document).validate(metadata_classes=[LogoutMetadata])
    AuthorizationServerMetadata(document).validate()


NOT_OFFERED = (
    "claims_parameter_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
    "require_request_uri_registration",
)


def test_what_is_not_offered_is_said():
    document = build_metadata(ISSUER, [])
    assert document["issuer"] == ISSUER
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["subject_types_supported"] == ["public"]
    assert document["authorization_response_iss_parameter_supported"] is True
    for name in NOT_OFFERED:
        assert document[name] is False


def test_lists_of_features_are_joined_in_order_and_without_repetition():
    document = build_metadata(ISSUER, FEATURES)
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert document["scopes_supported"] == ["openid", "profile"]


def test_no_document_shares_a_list_with_another():
    one, other = build_metadata(ISSUER, FEATURES), build_metadata(ISSUER, FEATURES)
    for name, value in one.items():
        if isinstance(value, list):
            value.append("spoiled")
            assert "spoiled" not in other[name]
    assert FEATURES[0]["response_types_supported"] == ["code"]


def test_a_feature_may_turn_on_what_is_off():
    document = build_metadata(ISSUER, [{"request_parameter_supported": True}, {"request_parameter_supported": True}])
    assert document["request_parameter_supported"] is True


@pytest.mark.parametrize(
    "contributions",
    [
        pytest.param([{"issuer": "https://other.example"}], id="another issuer"),
        pytest.param([{"token_endpoint": "https://a"}, {"token_endpoint": "https://b"}], id="two addresses"),
        pytest.param([{"request_parameter_supported": True}, {"request_parameter_supported": False}], id="on and off"),
        pytest.param([{"request_parameter_supported": False}, {"request_parameter_supported": True}], id="off and on"),
        pytest.param([{"authorization_response_iss_parameter_supported": False}], id="turned off"),
        pytest.param([{"scopes_supported": ["a"]}, {"scopes_supported": "b"}], id="a list and a string"),
        pytest.param([{"service_documentation": None}], id="null"),
        pytest.param([{"scopes_supported": []}], id="an empty list"),
    ],
)
def test_features_that_contradict_one_another_are_a_bug(contributions):
    with pytest.raises(ValueError, match="metadata"):
        build_metadata(ISSUER, contributions)
