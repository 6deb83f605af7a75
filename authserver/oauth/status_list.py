"""Token Status List: which of many tokens have been revoked, in a few hundred bytes (draft-ietf-oauth-status-list-21).

One bit for each index: 0 valid, 1 invalid (§7.1). A list has ``LIST_SIZE`` of them whatever it holds, so that its size
says nothing of how many tokens there are. Index numbers run on through the lists: number ``n`` is bit ``n mod
LIST_SIZE`` of list ``n div LIST_SIZE``. List 0 is of clients, for the tokens that they get for themselves; the others
are of grants.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode
from hashlib import blake2s
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

LIST_BITS: Final = 20
LIST_SIZE: Final = 1 << LIST_BITS
LIST_OF_CLIENTS: Final = 0
FIRST_LIST_OF_GRANTS: Final = 1
LIST_TYPE: Final = "statuslist+jwt"  # the typ of §5.1; with application/ before it the media type of §14.7
LEVEL: Final = 9  # of zlib, the highest (§4.1); with runs only, it is a hundred times quicker and no larger
_MEMORY_LEVEL: Final = 9
_BITS_PER_TOKEN: Final = 1
_HALF_BITS: Final = LIST_BITS // 2
_HALF: Final = (1 << _HALF_BITS) - 1
_ROUNDS: Final = 6
_LONGEST_NUMBER: Final = 9  # digits; a thousand million lists are more than there will be


def list_uri(issuer: str, number: int) -> str:
    """Return where a list is served: what tokens and the list itself call it."""
    return f"{issuer}/status/{number}"


def build_status_claim(issuer: str, index: int) -> dict[str, object]:
    """Return the ``status`` claim of a token whose grant or client has this index (§6.2)."""
    number, bit = divmod(index, LIST_SIZE)
    return {"status_list": {"idx": bit, "uri": list_uri(issuer, number)}}


def place_at(seed: bytes, number: int, position: int) -> int:
    """Return the index that is given away as the ``position``-th of a list: each exactly once, in no order to guess.

    A Feistel network of six rounds over the two halves of the place, keyed by the list's own random ``seed``.
    """
    left, right = position >> _HALF_BITS, position & _HALF
    for turn in range(_ROUNDS):
        digest = blake2s(bytes([turn]) + right.to_bytes(2, "big"), key=seed, digest_size=2).digest()
        left, right = right, left ^ (int.from_bytes(digest, "big") & _HALF)
    return number << LIST_BITS | left << _HALF_BITS | right


def split_by_list(indexes: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return the bits of each list that these indexes set; lists without any are missing."""
    bits: dict[int, set[int]] = {}
    for index in indexes:
        bits.setdefault(index >> LIST_BITS, set()).add(index & (LIST_SIZE - 1))
    return {number: frozenset(set_here) for number, set_here in bits.items()}


def compress(bits: Iterable[int], size: int = LIST_SIZE) -> str:
    """Return ``lst``: a byte array in zlib and base64url, its first bit the lowest of the first byte (§4.1, §4.2)."""
    octets = bytearray(size // 8)
    for bit in bits:
        octets[bit >> 3] |= 1 << (bit & 7)
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY_LEVEL, zlib.Z_RLE)
    return urlsafe_b64encode(packer.compress(octets) + packer.flush()).rstrip(b"=").decode("ascii")


def build_list_claims(
    lst: str, *, issuer: str, number: int, now: datetime, lifetime: timedelta, ttl: timedelta
) -> dict[str, object]:
    """Return the claims of a status list token (§5.1): good for ``lifetime``, to be asked for again after ``ttl``."""
    issued_at = int(now.timestamp())
    return {
        "iss": issuer,
        "sub": list_uri(issuer, number),
        "iat": issued_at,
        "exp": issued_at + int(lifetime.total_seconds()),
        "ttl": int(ttl.total_seconds()),
        "status_list": {"bits": _BITS_PER_TOKEN, "lst": lst, "aggregation_uri": aggregation_uri(issuer)},
    }


def aggregation_uri(issuer: str) -> str:
    """Return where the addresses of all lists are served (§9)."""
    return f"{issuer}/status"


def build_aggregation(issuer: str, lists: int) -> Mapping[str, object]:
    """Return the addresses of all lists (§9.3)."""
    return {"status_lists": [list_uri(issuer, number) for number in range(lists)]}


def parse_list_number(text: str) -> int | None:
    """Return the number of a list as an address spells it; None for every other spelling."""
    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_NUMBER or (text[0] == "0" and text != "0"):
        return None
    return int(text)
