"""JWE is off (SECURITY 63): whatever is encrypted is refused where a token is read, before anything is decrypted."""

import json
import time
import zlib

import pytest
from joserfc import jwe
from joserfc.jwk import RSAKey

from authserver.jose.compact import encode_base64url
from authserver.oauth.client_auth import JWT_BEARER
from tests.architecture.source import ROOT
from tests.server import WEB

CPU_SECONDS = 0.5  # a billion rounds take minutes
BOMB = zlib.compress(bytes(4_000_000), 9)


def encrypted(header, ciphertext=b"c", tag=bytes(16)):
    parts = (json.dumps(header).encode(), b"key", bytes(12), ciphertext, tag)
    return ".".join(encode_base64url(part) if part else "" for part in parts)


def for_our_key(key, token):
    """Encrypt a token of ours to our own published RSA key: nobody could do it better."""
    protected = {"alg": "RSA-OAEP", "enc": "A128GCM", "kid": key["kid"], "cty": "JWT", "typ": "at+jwt"}
    public = RSAKey.import_key({name: key[name] for name in ("kty", "n", "e")})
    return jwe.encrypt_compact(protected, token, public)


VECTORS = [
    pytest.param(
        {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 10**9, "p2s": "AAAA"}, {}, id="PBES2, p2c 10^9"
    ),
    pytest.param({"alg": "RSA1_5", "enc": "A128CBC-HS256"}, {}, id="RSA1_5"),
    pytest.param({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"}, {"ciphertext": BOMB}, id="a zip bomb"),
    pytest.param({"alg": "dir", "enc": "A128GCM"}, {}, id="dir"),
    pytest.param({"alg": "RSA-OAEP", "enc": "A128GCM"}, {"tag": b""}, id="no tag"),
    pytest.param(None, {}, id="a good token, encrypted to our own key"),
]


@pytest.mark.attack(63)
@pytest.mark.parametrize(("header", "parts"), VECTORS)
async def test_an_encrypted_token_is_taken_nowhere_and_costs_nothing(server, header, parts):
    tokens = await server.code_flow()
    rsa = next(key for key in (await server.get("/jwks")).json()["keys"] if key["kty"] == "RSA")
    access_token, id_token = (
        encrypted(header, **parts) if header else for_our_key(rsa, tokens[name])
        for name in ("access_token", "id_token")
    )
    assertion = {"grant_type": "client_credentials", "client_assertion_type": JWT_BEARER}
    hinted = server.authorization_url(id_token_hint=id_token, prompt="none")
    browser = server.browser()
    started = time.process_time()
    bearer = await server.get("/userinfo", authorization=f"Bearer {access_token}")
    introspected = await server.introspect(access_token)
    client = await server.post("/token", assertion | {"client_id": WEB.client_id, "client_assertion": access_token})
    hint = await browser.open(hinted)
    spent = time.process_time() - started
    assert bearer.status_code == 401
    assert introspected == {"active": False}
    assert (client.status_code, client.json()["error"]) == (401, "invalid_client")
    assert "error=invalid_request" in hint.headers["location"]
    assert server.refusal == "hint_malformed"
    assert spent < CPU_SECONDS


@pytest.mark.attack(63)
async def test_discovery_offers_no_encryption(server):
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        assert "encryption" not in (await server.get(path)).text


@pytest.mark.attack(63)
def test_nothing_here_can_decrypt_a_token():
    for folder in ("authserver", "clients/verifier/authserver_verifier"):
        for file in (ROOT / folder).rglob("*.py"):
            assert "jwe" not in file.read_text(encoding="utf-8").lower(), file
