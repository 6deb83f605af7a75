"""Whose address a request has (SECURITY rows 57 and 106)."""

from ipaddress import ip_network

import pytest

from authserver.web.forwarded import client_address, network_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.attack(106)
@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("203.0.113.9", [b"198.51.100.1"], "203.0.113.9", id="a stranger is not believed"),
        pytest.param("10.0.0.1", [b"198.51.100.1"], "198.51.100.1", id="a proxy is"),
        pytest.param("10.0.0.1", [b"1.1.1.1, 198.51.100.1"], "198.51.100.1", id="but not what the client wrote before"),
        pytest.param(
            "10.0.0.1", [b"1.1.1.1", b"198.51.100.1, 10.0.0.2"], "198.51.100.1", id="two proxies, two headers"
        ),
        pytest.param("10.0.0.1", [b"198.51.100.1, unknown"], "10.0.0.1", id="nonsense ends the walk"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy without the header"),
        pytest.param("fd00::1", [b"[2001:db8::7]:443"], "2001:db8::7", id="IPv6 in brackets"),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxys_counts(peer, forwarded, address):
    assert client_address(peer, [(b"x-forwarded-for", value) for value in forwarded], TRUSTED) == address


@pytest.mark.attack(106)
@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002::/64"),
        ("2001:db8:1:2::9", "2001:0db8:0001:0002::/64"),
        ("no address", "no address"),
    ],
)
def test_limits_count_an_ipv4_address_or_the_64_of_an_ipv6_one(address, network):
    assert network_of(address) == network
