"""Where an organisation's own apps may ask for our passkeys (SECURITY row 116)."""

from dataclasses import replace

import pytest

from authserver.oauth.passkey_origins import app_origins, related_origins
from tests.oauth.examples import NATIVE, WEB

HOST = "id.example.org"
HASH = "android:apk-key-hash:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"


@pytest.mark.attack(116)
@pytest.mark.parametrize(
    ("uris", "origins"),
    [
        (("https://app.example/callback", "https://app.example/other"), ("https://app.example",)),
        (("https://App.example:8443/callback",), ("https://app.example:8443",)),
        (("https://b.example/", "https://a.example/"), ("https://a.example", "https://b.example")),
        (("http://localhost:9003/callback",), ("http://localhost:9003",)),
        (("http://app.example/callback", "http://localhost.app.example/callback", "com.example.app:/callback"), ()),
        (("https://[::1",), ()),
        ((), ()),
    ],
)
def test_a_page_asks_at_the_origins_of_its_redirect_uris(uris, origins):
    assert app_origins(replace(WEB, redirect_uris=uris), HOST, (HASH,)) == origins


@pytest.mark.attack(116)
def test_a_native_app_asks_as_the_host_on_ios_and_by_its_certificate_on_android():
    phone = replace(NATIVE, redirect_uris=("com.example.app:/callback", "https://app.example/callback"))
    assert app_origins(phone, HOST, (HASH,)) == ("https://app.example", f"https://{HOST}", HASH)
    assert app_origins(phone, HOST, ()) == ("https://app.example", f"https://{HOST}")


@pytest.mark.parametrize(
    ("origin", "is_told"),
    [
        ("https://app.example", True),
        ("https://app.example:8443", True),
        ("https://example.org", True),
        ("https://other.example.org", True),
        ("https://notid.example.org", True),
        (f"https://{HOST}", False),
        (f"https://{HOST}:8443", False),
        (f"https://app.{HOST}", False),
        ("http://localhost:9003", False),
    ],
)
def test_browsers_are_told_what_they_would_ask_about_and_nothing_else(origin, is_told):
    assert related_origins({origin}, HOST) == ((origin,) if is_told else ())


def test_the_order_is_the_same_each_time():
    origins = {f"https://{name}.example" for name in "cabd"}
    assert related_origins(origins, HOST) == tuple(sorted(origins))
