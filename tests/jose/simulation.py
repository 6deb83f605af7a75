"""Years of rotation in seconds: nodes with clocks of their own and late news, verifiers with caches of their own.

Nothing here decides anything about keys: the plans are `schedule`'s, what a node signs with and says in /jwks is
`Keyring`'s. Real keys are left out, since only kids and times matter. Time is the database's; a step is 20 minutes, and
5 s around everything that changes.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from joserfc.jwk import ECKey

from authserver.jose.keyring import Keyring, LoadedKey, NoSigningKeyError
from authserver.jose.schedule import (
    FIRST_ALGORITHMS,
    RotationRules,
    find_next,
    next_generation,
    plan_next,
    plan_revocation,
    plan_rotation,
)
from authserver.sealing.records import SigningKey
from tests.jose.keys import ISSUER, MAX_AGE, NOW

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TOKEN_LIFETIME = 5 * MINUTE
RULES = RotationRules(jwks_max_age=MAX_AGE, token_lifetime=TOKEN_LIFETIME)
MAX_STALE = 10 * SECOND
NOTICE = 5 * SECOND  # until a balancer has seen that a node is not ready
LARGEST_SKEW = 55.0  # seconds a node's clock is off, to either side; two seconds of SKEW are for late news
_PAIR = ECKey.generate_key("P-256")


@dataclass
class Node:
    """A process: it reads the rows now and then, and has a clock that is wrong by a fixed amount."""

    offset: timedelta
    keyring: Keyring
    confirmed_at: datetime
    cut_off_until: datetime
    rows: tuple[SigningKey, ...] = ()

    def hear(self, rows, now):
        """Poll the version row once a second, unless it is cut off."""
        if now >= self.cut_off_until:
            self.confirmed_at = now
            if rows is not self.rows:  # the version row has moved
                self.rows, self.keyring = rows, _keyring(rows, now + self.offset)

    def is_asked(self, now):
        return now - self.confirmed_at <= MAX_STALE + NOTICE

    def sign(self, alg, now):
        """Return the kid of a token, None where the node refuses to issue."""
        if now - self.confirmed_at > MAX_STALE:
            return None
        return self.keyring.signing_key(alg, now + self.offset).kid

    def serve(self, now):
        jwks = self.keyring.jwks(now + self.offset, age=(now - self.confirmed_at).total_seconds())
        return {key["kid"] for key in json.loads(jwks.body)["keys"]}, timedelta(seconds=jwks.max_age)


@dataclass
class Verifier:
    """A resource server that asks again only when its copy is over: never for a kid that it does not know."""

    cache: timedelta
    honours_max_age: bool
    known: set[str] = field(default_factory=set)
    until: datetime = NOW - DAY

    def look(self, node, now):
        if now >= self.until:
            self.known, max_age = node.serve(now)
            self.until = now + (min(self.cache, max_age) if self.honours_max_age else self.cache)


@dataclass
class Surprise:
    """A valid token whose kid a verifier did not know."""

    at: datetime
    kid: str
    verifier: Verifier


class World:
    """Everything at once; `run` lets time pass, and collects surprises, outages and what happened to keys."""

    def __init__(self, seed, rules=RULES):
        self.rules = rules
        self.random = Random(seed)  # noqa: S311 - which accidents happen
        self.now = NOW
        self._numbers = itertools.count(1)
        self.rows: tuple[SigningKey, ...] = tuple(self._make(alg, 1) for alg in FIRST_ALGORITHMS)
        self.keep_next()
        offsets = [-LARGEST_SKEW, LARGEST_SKEW, 0, *(self.random.uniform(-LARGEST_SKEW, LARGEST_SKEW) for _ in "ab")]
        self.nodes = [
            Node(timedelta(seconds=offset), _keyring(self.rows, self.now), self.now, self.now) for offset in offsets
        ]
        self.verifiers = [
            Verifier(cache, honours_max_age=honours)
            for cache, honours in [
                (5 * MINUTE, True),
                (HOUR, True),
                (HOUR, False),
                (12 * HOUR, True),
                (12 * HOUR, False),
            ]
            for _ in range(3)
        ]
        self.tokens: deque[tuple[datetime, str]] = deque()  # (expires, kid)
        self.surprises: list[Surprise] = []
        self.outages: list[tuple[datetime, timedelta]] = []
        self.signed = 0

    def _make(self, alg, generation):
        kid = f"{alg}-{generation}-{next(self._numbers)}"
        public = {"kid": kid, "kty": "EC"}
        return SigningKey(
            kid=kid,
            alg=alg,
            generation=generation,
            public_jwk=public,
            sealed_private=b"k",
            publish_at=NOW,
            sign_from=NOW,
        )

    def keep_next(self):
        """The job: a *next* key for each algorithm that has none."""
        for alg in FIRST_ALGORITHMS:
            if find_next(self.rows, alg, self.now) is None:
                change = plan_next(self.rows, self._make(alg, next_generation(self.rows, alg)), self.now, self.rules)
                self.rows = change.apply_to(self.rows) if change is not None else self.rows

    def rotate(self, *, hurry):
        for alg in FIRST_ALGORITHMS:
            change = plan_rotation(self.rows, alg, self.now, self.rules, hurry=hurry)
            self.rows = change.apply_to(self.rows) if change is not None else self.rows

    def revoke(self, key):
        first = next_generation(self.rows, key.alg)
        spares = [self._make(key.alg, first + more) for more in range(2)]
        self.rows = plan_revocation(self.rows, key, spares, self.now, self.rules)

    def run(self, until, *, step=None):
        while self.now < until:
            self.now += step or (5 * SECOND if self._is_near_a_change() else 20 * MINUTE)
            self.keep_next()
            for node in self.nodes:
                if self.random.random() < 0.01:
                    node.cut_off_until = self.now + timedelta(seconds=self.random.choice([3, 9, 20, 3600]))
                node.hear(self.rows, self.now)
            asked = [node for node in self.nodes if node.is_asked(self.now)]
            if asked:
                self._issue_and_verify(asked)

    def _issue_and_verify(self, asked):
        for verifier in self.verifiers:
            verifier.look(self.random.choice(asked), self.now)
        for node in asked:
            for alg in FIRST_ALGORITHMS:
                try:
                    kid = node.sign(alg, self.now)
                except NoSigningKeyError:
                    self.outages.append((self.now, node.offset))
                    continue
                if kid is not None:
                    self.signed += 1
                    self.tokens.append((self.now + TOKEN_LIFETIME, kid))
        while self.tokens and self.tokens[0][0] <= self.now:
            self.tokens.popleft()
        revoked = {row.kid for row in self.rows if row.revoked_at is not None}
        live = {kid for _, kid in self.tokens} - revoked
        self.surprises += [
            Surprise(self.now, kid, verifier) for verifier in self.verifiers for kid in live - verifier.known
        ]

    def _is_near_a_change(self):
        times = [time for row in self.rows for time in (row.publish_at, row.sign_from, row.sign_until, row.drop_at)]
        return any(time is not None and abs(time - self.now) < 15 * MINUTE for time in times)


def _keyring(rows, now):
    """A keyring as `Keyring.load` makes it, of keys that need no opening."""
    keys = [LoadedKey(row, _PAIR, _PAIR.private_key, "") for row in rows if row.revoked_at is None]
    return Keyring(keys, issuer=ISSUER, jwks_max_age=MAX_AGE, now=now)


def short_published(rows):
    """How long each key was published before it signed."""
    return {row.kid: row.sign_from - row.publish_at for row in rows if row.generation > 1}
