"""The token status lists of one process: which bits are set, as last read, and each list as it was signed last.

Served from memory. A list is packed and signed when somebody asks for it and something about it is new: a bit, the key,
or the minute. What the database has not confirmed for ``CONFIRMED_WITHIN`` is not signed again, so that a node that has
lost its database never claims to know more than it does; its last lists stay good until they end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.jose.compact import encode_base64url
from authserver.jose.jwt import ACCESS_TOKEN_ALG, sign
from authserver.oauth.status_list import LIST_TYPE, build_list_claims, compress, split_by_list

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from authserver.jose.keyring import Keyring

SIGNED_AGAIN_AFTER: Final = timedelta(seconds=60)
CONFIRMED_WITHIN: Final = timedelta(seconds=10)
TTL: Final = timedelta(seconds=10)  # how often a resource server should ask
MARGIN: Final = timedelta(seconds=60)  # for clocks that differ: a bit stays set so much longer than a token lives
_NO_BITS: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the database said at its ``now``: the indexes of what was revoked, and which lists there are.

    ``longest_lifetime`` is of the access tokens that may be alive; ``until`` says of each index when its bit may go, in
    Unix seconds.
    """

    lists: int
    open_list: int
    longest_lifetime: timedelta
    until: Mapping[int, float]
    now: datetime


@dataclass(frozen=True, slots=True)
class SignedList:
    """A status list token as it is served."""

    token: bytes
    etag: str
    kid: str
    signed_at: datetime
    expires_at: datetime
    bits: frozenset[int]


class StatusLists:
    """All lists of this issuer. ``open_list`` is the one that new grants are entered in."""

    __slots__ = ("_bits", "_confirmed_at", "_issuer", "_lifetime", "_signed", "_until", "lists", "open_list")

    def __init__(self, issuer: str) -> None:
        """Know nothing before the first :meth:`follow`."""
        self._issuer = issuer
        self._until: dict[int, float] = {}
        self._bits: dict[int, frozenset[int]] = {}
        self._signed: dict[int, SignedList] = {}
        self._confirmed_at: datetime | None = None
        self._lifetime = MARGIN
        self.lists = 0
        self.open_list = 0

    def follow(self, snapshot: Snapshot, *, asked_at: datetime, whole: bool) -> None:
        """Take over what the database said: the ``whole`` of it, or what may be new since the last time.

        ``asked_at`` is this process's time before the question.
        """
        if whole:
            until = dict(snapshot.until)
        else:
            moment = snapshot.now.timestamp()
            until = {index: end for index, end in self._until.items() if end > moment} | dict(snapshot.until)
        if until.keys() != self._until.keys():
            self._bits = split_by_list(until)
        self._until = until
        self._lifetime = snapshot.longest_lifetime + MARGIN
        self.lists, self.open_list = snapshot.lists, snapshot.open_list
        self._confirmed_at = asked_at

    def get(self, keyring: Keyring, number: int, *, now: datetime) -> SignedList | None:
        """Return a list that there is; None where the last one that was confirmed has ended.

        The one after the last is there before any token names it, as a node may hear later of a new list than another.
        """
        if number > self.lists:
            raise KeyError(number)
        known = self._signed.get(number)
        if self._confirmed_at is None or now - self._confirmed_at > CONFIRMED_WITHIN:
            return known if known is not None and now < known.expires_at else None
        bits = self._bits.get(number, _NO_BITS)
        key = keyring.signing_key(ACCESS_TOKEN_ALG, now)
        if known is None or known.bits != bits or known.kid != key.kid or now - known.signed_at >= SIGNED_AGAIN_AFTER:
            known = self._signed[number] = self._sign(keyring, number, bits, key.kid, now)
        return known

    def _sign(self, keyring: Keyring, number: int, bits: frozenset[int], kid: str, now: datetime) -> SignedList:
        claims = build_list_claims(
            compress(bits), issuer=self._issuer, number=number, now=now, lifetime=self._lifetime, ttl=TTL
        )
        token = sign(keyring, claims, alg=ACCESS_TOKEN_ALG, typ=LIST_TYPE, now=now).encode("ascii")
        etag = f'"{encode_base64url(hashlib.sha256(token).digest()[:16])}"'
        return SignedList(token, etag, kid, now, now + self._lifetime, bits)
