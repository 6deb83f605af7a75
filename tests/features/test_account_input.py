"""Whatever is typed into an account page, or sent in its stead, is answered, never with a 500."""

from __future__ import annotations

from urllib.parse import quote_from_bytes, urlencode

import pytest

from authserver.operations.profile_rules import CLAIMS
from tests.features.account_pages import hidden, sign_in
from tests.features.test_no_input_is_a_500 import ODD

FIELDS = {
    "/profile": CLAIMS,
    "/email": ("email",),
    "/password": ("password", "new-password"),
    "/factors": ("decision", "code"),
    "/passkeys": ("decision", "passkey", "passkey_id", "name"),
    "/connections": ("decision", "provider", "subject"),
    "/devices": ("decision", "session"),
    "/apps": ("decision", "client"),
    "/data": ("decision", "sure"),
    "/look": ("theme",),
    "/proof": ("back",),
    "/restore": ("decision", "transaction"),
    "/email/01890000-0000-7000-8000-000000000001": ("code", "action"),
}
GROUND = {
    "/factors": {"decision": "confirm"},
    "/passkeys": {"decision": "rename", "passkey_id": "01890000-0000-7000-8000-000000000001", "name": "Key"},
    "/connections": {"decision": "unlink", "provider": "partner", "subject": "x"},
    "/devices": {"decision": "sign_out"},
    "/apps": {"decision": "take_back"},
}


@pytest.mark.attack(126)
@pytest.mark.parametrize("path", FIELDS)
async def test_no_value_of_any_field_is_answered_with_a_500(start_server, path):
    server = await start_server(address_limit_scale=10_000.0)
    browser = await sign_in(server)
    form = hidden(await browser.get(f"{server.issuer}/account/data")) | GROUND.get(path, {})
    for field in ("csrf", "user", *FIELDS[path]):
        for value in ODD:
            rest = urlencode({name: given for name, given in form.items() if name != field})
            answer = await browser.post(
                f"{server.issuer}/account{path}", f"{rest}&{field}={quote_from_bytes(value)}", {"accept-language": "de"}
            )
            assert answer.status_code < 500, (field, value)
    assert not [event for event in server.log if event["event"] in {"bug", "unavailable"}]
    assert (await browser.get(f"{server.issuer}/account")).status_code == 200


@pytest.mark.attack(126)
@pytest.mark.parametrize("cookie", ["__Host-return", "__Host-notice", "__Host-language", "__Host-theme"])
async def test_no_value_of_a_cookie_is_answered_with_a_500_or_comes_back(server, cookie):
    browser = await sign_in(server)
    for value in ("", "x" * 3000, "%00", "../..", '"', "profile_saved", "de", "<script>"):
        browser.cookies[cookie] = value
        for path in ("/", "/account", "/account/profile", "/login"):
            answer = await browser.get(f"{server.issuer}{path}")
            assert answer.status_code < 400
            assert "<script>" not in answer.text
            browser.cookies[cookie] = value


@pytest.mark.attack(126)
@pytest.mark.parametrize("value", ["de;q=" + "9" * 400, ",".join(["de"] * 1000), ";;;q", "\t", "*" * 500])
async def test_no_accept_language_is_answered_with_a_500(server, value):
    answer = await server.browser().get(f"{server.issuer}/login", {"accept-language": value})
    assert answer.status_code == 200
