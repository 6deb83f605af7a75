"""Redirect URIs: RFC 6749 §3.1.2, RFC 8252, RFC 9700 §2.1; SECURITY rows 1, 2, 4 and 5."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.redirect_uri import (
    Kind,
    check_registrable,
    find_registered,
    find_registered_post_logout,
    get_kind,
    infer_application_type,
    matches,
)
from authserver.oauth.uri_schemes import DANGEROUS, IANA_REGISTERED
from tests.oauth.examples import NATIVE, WEB, refused

ACCEPTED_FROM_ANYONE = [
    "https://app.example/callback",
    "https://app.example",
    "https://app.example:8443/callback?tenant=a%20b&x",
    "https://APP.example/Callback",
    "https://app.example./callback",
    "https://xn--bcher-kva.example/callback",
    "https://192.0.2.1/callback",
    "https://[2001:db8::1]:8443/callback",
    "https://app.example/a..b/...",
    "http://localhost:9002/callback",
    "http://127.0.0.1:1/",
    "http://[::1]:65535",
    "https://app.example/" + "a" * 1980,  # 2000 characters
]
ACCEPTED_FROM_NATIVE = [
    "com.example.app:/callback",
    "com.example.app://callback",
    "com.example.app://callback/x",
    "x.y:/",
]
ACCEPTED_FROM_SELF_REGISTERED = [
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "claude://claude.ai/callback",
    "a+b-c:/",
]

REFUSED_FROM_EVERYONE = [
    pytest.param("", id="empty"),
    pytest.param("/callback", id="6749-3.1.2 not absolute"),
    pytest.param("app.example/callback", id="no scheme"),
    pytest.param("https://app.example/callback#", id="6749-3.1.2 empty fragment"),
    pytest.param("https://app.example/callback#top", id="6749-3.1.2 fragment"),
    pytest.param("com.example.app:/callback#top", id="6749-3.1.2 fragment of a private-use scheme"),
    pytest.param("https://good@evil.example/callback", id="user name"),
    pytest.param("https://good.example@evil.example", id="user name like a host"),
    pytest.param("https://a@b@evil.example/callback", id="two at signs"),
    pytest.param("https://good:secret@evil.example/callback", id="user name and password"),
    pytest.param("http://localhost:80@evil.example/", id="loopback as user name"),
    pytest.param("http://127.0.0.1@evil.example/", id="loopback address as user name"),
    pytest.param("com.example.app://good@evil/callback", id="user name in a private-use scheme"),
    pytest.param("https://[:::]/callback", id="no IPv6 address in brackets"),
    pytest.param("https://[1.2.3.4]/callback", id="an IPv4 address in brackets"),
    pytest.param("com.example.app://[x]/callback", id="a name in brackets"),
    pytest.param("com.example.app://[::1/callback", id="a bracket that is not closed"),
    pytest.param("com.example.app://host:99999/callback", id="no port"),
    pytest.param("https://good.example\\@evil.example/", id="backslash"),
    pytest.param("https:\\\\evil.example/", id="backslashes for slashes"),
    pytest.param("https://app.example/call\tback", id="tab"),
    pytest.param("https://app.example/call\nback", id="newline"),
    pytest.param("https://app.example/callback\n", id="newline at the end"),
    pytest.param("https://app.example/call\x00back", id="NUL"),
    pytest.param("https://app.example/call\x7fback", id="DEL"),
    pytest.param(" https://app.example/callback", id="leading blank"),
    pytest.param("https://app.example/call back", id="blank"),
    pytest.param("https://bücher.example/callback", id="IDN as it is written"),
    pytest.param("https://app.example/rückruf", id="non-ASCII path"),
    pytest.param("https://app.example。evil.example/", id="full stop of another script"),
    pytest.param('https://app.example/"><script>', id="markup"),
    pytest.param("https://app.example/%zz", id="broken percent-encoding"),
    pytest.param("https://app.example/%", id="percent sign alone"),
    pytest.param("https://*.app.example/callback", id="wildcard host"),
    pytest.param("https://app.example/*", id="wildcard path"),
    pytest.param("https:///callback", id="no host"),
    pytest.param("https:/app.example/callback", id="one slash"),
    pytest.param("https:app.example", id="no slash"),
    pytest.param("https://", id="nothing after the scheme"),
    pytest.param("https://-app.example/", id="label with a leading hyphen"),
    pytest.param("https://app..example/", id="empty label"),
    pytest.param("https://.app.example/", id="leading dot"),
    pytest.param("https://app.example:/", id="empty port"),
    pytest.param("https://app.example:0/", id="port 0"),
    pytest.param("https://app.example:65536/", id="port too high"),
    pytest.param("https://app.example:44a/", id="port with letters"),
    pytest.param("https://app.example:8443:8443/", id="two ports"),
    pytest.param("https://[app.example]/", id="brackets around a name"),
    pytest.param("HTTPS://app.example/callback", id="scheme in upper case"),
    pytest.param("http://app.example/callback", id="http to another machine"),
    pytest.param("http://127.0.0.2/callback", id="another address of 127.0.0.0/8"),
    pytest.param("http://127.1/callback", id="loopback written short"),
    pytest.param("http://2130706433/callback", id="loopback written as a number"),
    pytest.param("http://localhost.evil.example/callback", id="localhost as a subdomain"),
    pytest.param("http://LOCALHOST/callback", id="localhost in upper case"),
    pytest.param("http://[::ffff:127.0.0.1]/callback", id="loopback mapped into IPv6"),
    pytest.param("https://app.example/a/../callback", id="dot-dot segment"),
    pytest.param("https://app.example/./callback", id="dot segment"),
    pytest.param("https://app.example/a/%2e%2E/callback", id="encoded dot-dot segment"),
    pytest.param("https://app.example/a/..;/callback", id="dot-dot segment with a parameter (CVE-2026-3872)"),
    pytest.param("https://app.example/callback?code=1", id="response parameter in the query"),
    pytest.param("https://app.example/callback?x=1&iss", id="response parameter without value in the query"),
    pytest.param("https://app.example/" + "a" * 1981, id="too long"),
    pytest.param("javascript:alert(1)", id="javascript"),
    pytest.param("JavaScript:alert(1)", id="javascript in mixed case"),
    pytest.param("data:text/html,x", id="data"),
    pytest.param("file:///etc/passwd", id="file"),
    pytest.param("blob:https://app.example/1", id="blob"),
    pytest.param("vbscript:x", id="vbscript"),
    pytest.param("mailto:ada@example.com", id="mailto"),
    pytest.param("intent://x", id="intent"),
    pytest.param("urn:ietf:wg:oauth:2.0:oob", id="out of band"),
    pytest.param("com.example.app:callback", id="private-use scheme without slash"),
    pytest.param("com.example.app:", id="private-use scheme alone"),
    pytest.param("com.example.app:/a/../b", id="dot-dot segment of a private-use scheme"),
    pytest.param("ab:/callback", id="dotless scheme of two letters"),
    pytest.param("ssh://host/callback", id="dotless scheme that IANA lists"),
    pytest.param("spotify:/callback", id="an app's scheme that IANA lists"),
]


def refusal_of(redirect_uri, **client):
    with pytest.raises(OAuthError) as refused:
        check_registrable(redirect_uri, **client)
    assert refused.value.error == ErrorCode.INVALID_REDIRECT_URI
    return refused.value.refusal


@pytest.mark.parametrize("redirect_uri", ACCEPTED_FROM_ANYONE)
@pytest.mark.parametrize("application_type", ["web", "native"])
def test_an_address_any_client_may_have_is_registrable(redirect_uri, application_type):
    check_registrable(redirect_uri, application_type=application_type)


@pytest.mark.parametrize("redirect_uri", ACCEPTED_FROM_NATIVE)
@pytest.mark.parametrize("self_registered", [True, False])
def test_a_native_client_may_have_a_private_use_scheme_with_a_dot(redirect_uri, self_registered):
    check_registrable(redirect_uri, application_type="native", self_registered=self_registered)


@pytest.mark.attack(5)
@pytest.mark.parametrize("redirect_uri", ACCEPTED_FROM_SELF_REGISTERED)
def test_only_a_native_client_that_registered_itself_may_have_a_scheme_without_a_dot(redirect_uri):
    check_registrable(redirect_uri, application_type="native", self_registered=True)
    assert refusal_of(redirect_uri, application_type="native") == Refusal.METADATA_REDIRECT_URI
    assert refusal_of(redirect_uri, application_type="web", self_registered=True) == Refusal.METADATA_REDIRECT_URI


@pytest.mark.attack(5)
@pytest.mark.parametrize("redirect_uri", ACCEPTED_FROM_NATIVE)
def test_a_web_client_may_not_have_a_private_use_scheme(redirect_uri):
    assert refusal_of(redirect_uri, application_type="web") == Refusal.METADATA_REDIRECT_URI


@pytest.mark.attack(2, 5)
@pytest.mark.parametrize("redirect_uri", REFUSED_FROM_EVERYONE)
@pytest.mark.parametrize(("application_type", "self_registered"), [("web", False), ("native", True)])
def test_an_address_nobody_may_have_is_refused(redirect_uri, application_type, self_registered):
    refusal = refusal_of(redirect_uri, application_type=application_type, self_registered=self_registered)
    assert refusal == Refusal.METADATA_REDIRECT_URI


@pytest.mark.attack(5)
@pytest.mark.parametrize("scheme", sorted((DANGEROUS | IANA_REGISTERED) - {"http", "https"}))
def test_no_scheme_that_means_something_else_is_registrable(scheme):
    assert refusal_of(f"{scheme}://x/", application_type="native", self_registered=True)


@pytest.mark.parametrize("redirect_uri", [*ACCEPTED_FROM_ANYONE, *ACCEPTED_FROM_NATIVE])
def test_an_address_matches_itself(redirect_uri):
    for client in (WEB, NATIVE):
        assert find_registered(replace(client, redirect_uris=(redirect_uri,)), redirect_uri) == redirect_uri


MUTATIONS = [
    "https://app.example/callback/",
    "https://app.example/Callback",
    "https://app.example/callback?",
    "https://app.example/callback?x=1",
    "https://app.example/callback#",
    "https://app.example/callback#x",
    "https://app.example/callback/..;/",
    "https://app.example/x/..;/callback",
    "https://app.example/x/../callback",
    "https://app.example/%2e%2e/callback",
    "https://app.example//callback",
    "https://app.example/./callback",
    "https://app.example/callback/x",
    "https://app.example/callbackx",
    "https://app.example/callbac",
    "https://app.example/%63allback",
    "https://app.example/callback%00",
    "https://app.example/callback%20",
    "https://app.example/callback ",
    " https://app.example/callback",
    "https://app.example/callback\n",
    "https://app.example/callback\t",
    "https://app.example:443/callback",
    "https://app.example:8443/callback",
    "https://APP.example/callback",
    "HTTPS://app.example/callback",
    "https://app.example./callback",
    "https://evil.app.example/callback",
    "https://app.example.evil.example/callback",
    "https://evilapp.example/callback",
    "https://app.example@evil.example/callback",
    "https://evil.example/https://app.example/callback",
    "https://evil.example?https://app.example/callback",
    "https://evil.example#https://app.example/callback",
    "https://evil.example\\.app.example/callback",
    "https://app.example\\@evil.example/callback",
    "http://app.example/callback",
    "//app.example/callback",
    "/callback",
    "https://xn--pp-xia.example/callback",
    "https://\u0430pp.example/callback",
    "javascript:alert(1)//https://app.example/callback",
    "*",
    "",
]


@pytest.mark.attack(1, 2)
@pytest.mark.parametrize("given_uri", MUTATIONS)
@pytest.mark.parametrize("application_type", ["web", "native"])
def test_an_address_that_differs_in_anything_is_not_the_registered_one(given_uri, application_type):
    assert find_registered(replace(WEB, application_type=application_type), given_uri) is None


@pytest.mark.attack(4)
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
@pytest.mark.parametrize("registered_port", ["", ":33418"])
@pytest.mark.parametrize("given_port", ["", ":1", ":51004", ":65535"])
@pytest.mark.parametrize("rest", ["", "/", "/callback/x?y=1", "?y"])
def test_a_native_client_may_listen_at_any_loopback_port(host, registered_port, given_port, rest):
    client = replace(NATIVE, redirect_uris=(f"http://{host}{registered_port}{rest}",))
    assert find_registered(client, f"http://{host}{given_port}{rest}") == client.redirect_uris[0]


@pytest.mark.attack(4)
@pytest.mark.parametrize(
    "given_uri",
    [
        pytest.param("http://localhost:51004/callback", id="another name for it"),
        pytest.param("http://127.0.0.2:51004/callback", id="another address"),
        pytest.param("http://127.0.0.1.evil.example:51004/callback", id="a domain"),
        pytest.param("http://127.0.0.1:51004@evil.example/callback", id="as a user name"),
        pytest.param("http://127.0.0.1:51004/callback/", id="another path"),
        pytest.param("http://127.0.0.1:51004/callback?x=1", id="another query"),
        pytest.param("http://127.0.0.1:51004/callback#x", id="a fragment"),
        pytest.param("http://127.0.0.1:51004/callback\n", id="a newline"),
        pytest.param("http://127.0.0.1:51004", id="no path"),
        pytest.param("https://127.0.0.1:51004/callback", id="https"),
        pytest.param("http://127.0.0.1:0/callback", id="port 0"),
        pytest.param("http://127.0.0.1:65536/callback", id="no port"),
        pytest.param("http://127.0.0.1:/callback", id="empty port"),
        pytest.param("http://127.0.0.1:\u0661/callback", id="digit of another script"),
        pytest.param("com.example.notes:51004/callback", id="private-use scheme"),
    ],
)
def test_nothing_but_the_loopback_port_may_vary(given_uri):
    assert find_registered(NATIVE, given_uri) is None


@pytest.mark.attack(4)
def test_a_web_clients_loopback_port_is_compared():
    client = replace(WEB, redirect_uris=("http://localhost:9002/callback",))
    assert find_registered(client, "http://localhost:9002/callback") is not None
    assert find_registered(client, "http://localhost:9003/callback") is None


def test_the_port_of_another_machine_is_compared_for_native_clients_too():
    client = replace(NATIVE, redirect_uris=("https://app.example:1/callback",))
    assert find_registered(client, "https://app.example:2/callback") is None


def test_post_logout_addresses_follow_the_same_rules():
    assert find_registered_post_logout(WEB, "https://app.example/goodbye") == "https://app.example/goodbye"
    assert find_registered_post_logout(WEB, "https://app.example/callback") is None
    assert find_registered_post_logout(NATIVE, "http://127.0.0.1:7777/goodbye") == "http://127.0.0.1/goodbye"
    assert find_registered_post_logout(NATIVE, "http://127.0.0.1:7777/elsewhere") is None


@pytest.mark.parametrize(
    ("given_type", "redirect_uris", "inferred"),
    [
        pytest.param("web", ["http://127.0.0.1/"], "web", id="what was sent counts"),
        pytest.param("native", ["https://app.example/"], "native", id="what was sent counts for native"),
        pytest.param(None, [], "web", id="no address"),
        pytest.param(None, ["https://app.example/"], "web", id="https"),
        pytest.param(None, ["http://127.0.0.1/", "http://localhost:7777/x"], "native", id="loopback only"),
        pytest.param(None, ["com.example.app:/x"], "native", id="private use only"),
        pytest.param(None, ["http://127.0.0.1/", "com.example.app:/x"], "native", id="loopback and private use"),
        pytest.param(None, ["https://app.example/", "http://localhost:1/"], "web", id="https and loopback"),
        pytest.param(
            None,
            ["cursor://x/callback", "https://www.cursor.com/callback", "http://localhost:1/"],
            "native",
            id="all three, as Cursor registers",
        ),
    ],
)
def test_an_omitted_application_type_follows_from_the_addresses(given_type, redirect_uris, inferred):
    assert infer_application_type(given_type, redirect_uris) == inferred


def test_each_kind_of_address_is_told_apart():
    assert get_kind("https://app.example/") is Kind.HTTPS
    assert get_kind("http://localhost/") is Kind.LOOPBACK
    assert get_kind("cursor://x") is Kind.PRIVATE_USE


# Generators aimed past the first check: pieces of addresses, joined in the right order more often than not.
HOSTS = st.sampled_from(["app.example", "127.0.0.1", "[::1]", "localhost", "evil.example", "a@b", "", "*.x", "ü.x"])
ADDRESSES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "com.example.app:", "com.example.app://", "cursor://", "javascript:", ""]),
    HOSTS,
    st.sampled_from(["", ":1", ":443", ":65535", ":0", ":99999", ":x"]),
    st.sampled_from(["", "/", "/callback", "/a/../b", "/%2e%2e", "/ü", "/a b", "/\\"]) | st.text(max_size=8),
    st.sampled_from(["", "?x=1", "?code=1", "?a=%zz", "#x"]),
)


@given(redirect_uri=ADDRESSES | st.text(), application_type=st.sampled_from(["web", "native"]), own=st.booleans())
@example(redirect_uri="https://a?" + "&" * 300, application_type="web", own=False)
@example(redirect_uri="https://\udcff/", application_type="web", own=False)
def test_any_text_is_registrable_or_refused_and_nothing_else(redirect_uri, application_type, own):
    error = refused(check_registrable, redirect_uri, application_type=application_type, self_registered=own)
    if error is None:
        assert redirect_uri.isascii()
        assert redirect_uri.isprintable()
        assert "@" not in redirect_uri.partition("://")[2].partition("/")[0]
        assert not set(redirect_uri) & set('\\#* "<>')
    else:
        assert error.refusal == Refusal.METADATA_REDIRECT_URI


@given(registered=ADDRESSES | st.text(), given_uri=ADDRESSES | st.text())
def test_what_matches_differs_in_a_loopback_port_at_most(registered, given_uri):
    assert matches(registered, given_uri, WEB) == (registered == given_uri)
    if matches(registered, given_uri, NATIVE) and registered != given_uri:
        assert without_port(registered) == without_port(given_uri)


@given(one=ADDRESSES, other=ADDRESSES)
def test_matching_never_reaches_another_host(one, other):
    if matches(one, other, NATIVE):
        assert host_of(one) == host_of(other)


@given(ports=st.lists(st.integers(1, 65535), min_size=2, max_size=2), host=st.sampled_from(["127.0.0.1", "localhost"]))
def test_matching_on_loopback_works_both_ways(ports, host):
    addresses = [f"http://{host}:{port}/callback" for port in ports]
    assert all(matches(one, other, NATIVE) for one, other in itertools.permutations(addresses, 2))


def without_port(uri):
    for host in ("127.0.0.1", "[::1]", "localhost"):
        head = f"http://{host}:"
        if uri.startswith(head):
            return f"http://{host}{uri.removeprefix(head).lstrip('0123456789')}"
    return uri


def host_of(uri):
    authority = uri.partition("://")[2].partition("/")[0].partition("?")[0]
    return authority.rpartition(":")[0] if authority.rpartition(":")[2].isdigit() else authority
