"""Tokens that another project signed with its shared secret: only those, whatever the header says."""

import json

import jwt
import pytest

from authserver.jose.compact import Fault, TokenError, encode_base64url
from authserver.jose.legacy_tokens import verify_legacy_token

KEY = "django-insecure-0123456789abcdef0123456789abcdef0123456789abcdef"


def headed(alg):
    """A token whose header names an algorithm, with any signature at all."""
    header = encode_base64url(json.dumps({"alg": alg}).encode())
    return f"{header}.{encode_base64url(b'{}')}.AA"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_what_simplejwt_signs_is_verified(alg):
    token = jwt.encode({"user_id": 7, "token_type": "refresh"}, KEY, algorithm=alg)
    assert verify_legacy_token(token, KEY) == {"user_id": 7, "token_type": "refresh"}


@pytest.mark.attack(59, 64)
@pytest.mark.parametrize(
    ("token", "fault"),
    [
        pytest.param(jwt.encode({"a": 1}, KEY + "x", algorithm="HS512"), Fault.SIGNATURE, id="another key"),
        pytest.param(jwt.encode({"a": 1}, "", algorithm="none"), Fault.MALFORMED, id="none"),
        pytest.param(headed("none"), Fault.ALGORITHM, id="none, signed"),
        pytest.param(headed("hs256"), Fault.ALGORITHM, id="small letters"),
        pytest.param("asr_nothing", Fault.MALFORMED, id="no JWT"),
        pytest.param(jwt.encode({"a": 1}, KEY, algorithm="HS256") + ".", Fault.MALFORMED, id="a segment more"),
    ],
)
def test_everything_else_is_refused(token, fault):
    with pytest.raises(TokenError) as refused:
        verify_legacy_token(token, KEY)
    assert refused.value.fault is fault
