"""Whoever writes the names of claims changes none: in a request, and in their own profile (SECURITY 68)."""

import pytest

from authserver.jose.compact import parse_compact
from authserver.oauth.claims import RESERVED_CLAIMS
from tests.features.test_api import PHONE, Api
from tests.oauth.examples import USER
from tests.server import SERVICE

PARAMETERS = {"client_id", "scope", "nonce", "authorization_details"}  # what a request may say, judged on its own
FORGED = dict.fromkeys(sorted(RESERVED_CLAIMS - PARAMETERS), "forged")
CHANGING = {"iat", "exp", "auth_time", "jti", "at_hash", "sid", "status", "updated_at"}
SCOPE = "openid profile email notes:read"


def lasting(token):
    """The claims of a token that are the same in each one of the same request."""
    claims = parse_compact(token).claims()
    assert "forged" not in str(claims)
    return {name: value if name not in CHANGING else "changes" for name, value in claims.items()}


@pytest.mark.attack(68)
async def test_parameters_that_are_called_like_claims_reach_no_token(server):
    plain = await server.code_flow(scope=SCOPE)
    code = await server.get_code(scope=SCOPE, **FORGED)
    forged = (await server.redeem(code, **FORGED)).json()
    refreshed = (await server.refresh(forged["refresh_token"], **FORGED)).json()
    for kind in ("access_token", "id_token"):
        assert lasting(plain[kind]) == lasting(forged[kind])
        asked = {name: value for name, value in lasting(plain[kind]).items() if name != "nonce"}  # OIDC Core §12.2
        assert lasting(refreshed[kind]) == asked
    assert plain["scope"] == forged["scope"]
    own = [await server.token(SERVICE, grant_type="client_credentials", **more) for more in ({}, FORGED)]
    assert lasting(own[0].json()["access_token"]) == lasting(own[1].json()["access_token"])


@pytest.mark.attack(68)
async def test_a_profile_that_is_written_like_claims_reaches_no_token_and_only_its_own_members_of_userinfo(server):
    await server.add_clients(PHONE)
    api = Api(server)
    before = await server.code_flow(scope=SCOPE)
    mine = (await api.tokens())["access_token"]
    names = sorted(RESERVED_CLAIMS)
    for some in (names[::2], names[1::2]):  # an answer lists twenty errors at most
        refused = await api.ask("PATCH", "profile", mine, json=dict.fromkeys(some, "forged"))
        assert refused.status_code == 422
        assert {(error["pointer"], error["code"]) for error in refused.json()["errors"]} == {
            (f"/{name}", "unknown") for name in some
        }
    written = '","sub":"forged","aud":["forged'
    changed = await api.ask("PATCH", "profile", mine, json={"name": written, "nickname": written})
    assert changed.status_code == 200, changed.text
    after = await server.code_flow(scope=SCOPE)
    for kind in ("access_token", "id_token"):
        assert lasting(before[kind]) == lasting(after[kind])
    told = (await server.get("/userinfo", authorization=f"Bearer {after['access_token']}")).json()
    assert (told["sub"], told["name"], told["nickname"]) == (USER.sub, written, written)
    assert set(told) & RESERVED_CLAIMS == {"sub"}
