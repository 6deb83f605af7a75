"""Whose address a request has: the peer's, or what trusted proxies say of it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network


def client_address(
    peer: str, headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[IPv4Network | IPv6Network]
) -> str:
    """Return the address nearest to us that is no trusted proxy's (``X-Forwarded-For``, read from the right).

    A peer that is not in ``trusted`` is believed about nobody but itself. A malformed entry ends the walk at the last
    address that could be read.
    """
    address = peer
    hops = [
        hop.strip()
        for name, value in headers
        if name == b"x-forwarded-for"
        for hop in value.decode("latin-1").split(",")
    ]
    while is_in(address, trusted) and hops:
        hop = hops.pop()
        try:
            address = str(ip_address(hop.removeprefix("[").partition("]")[0]))
        except ValueError:
            return address
    return address


def is_in(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Tell whether an address lies in one of the networks; what is no address lies in none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def network_of(address: str) -> str:
    """Return what limits count by: an IPv4 address, or the /64 of an IPv6 one (SECURITY row 106)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is not None:  # noqa: PLR2004 - IP's version
        return str(parsed.ipv4_mapped)
    if parsed.version == 4:  # noqa: PLR2004
        return str(parsed)
    return f"{':'.join(parsed.exploded.split(':')[:4])}::/64"
