"""When a signing key is published, signs, retires and is dropped (DESIGN §7). Pure: rows and a time in, times out.

A key that will sign is in /jwks long before: a verifier refetches an unknown key id only every 30 to 60 s, so a key
must be in every cache when its first token comes. A key that has signed stays until its last token is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from authserver.sealing.records import SigningKey

SKEW: Final = timedelta(seconds=60)  # between the clocks of nodes and of verifiers
ROTATE_AFTER: Final = timedelta(days=90)
LONGEST_TOKEN_LIFETIME: Final = timedelta(days=1)  # no setting, client or resource may ask for more
PUBLISH_AHEAD: Final = timedelta(hours=24)
FIRST_ALGORITHMS: Final = ("ES256", "RS256")  # from the start; RS256 is what OIDC Core §15.1 asks everyone to know
ALGORITHMS: Final = (*FIRST_ALGORITHMS, "EdDSA", "PS256")  # what we can sign with; the others on request


class KeyState(StrEnum):
    """What a key is good for at a moment; PUBLISHED, SIGNING and RETIRED keys are in /jwks."""

    PUBLISHED = "published"
    SIGNING = "signing"
    RETIRED = "retired"
    DROPPED = "dropped"
    REVOKED = "revoked"


LISTED: Final = frozenset({KeyState.PUBLISHED, KeyState.SIGNING, KeyState.RETIRED})


def state_of(key: SigningKey, now: datetime) -> KeyState:
    """Return the state that follows from the key's times; each begins at its very moment."""
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.drop_at is not None and key.drop_at <= now:
        return KeyState.DROPPED
    if key.sign_until is not None and key.sign_until <= now:
        return KeyState.RETIRED
    return KeyState.SIGNING if key.sign_from <= now else KeyState.PUBLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRules:
    """The lengths that follow from the settings. ``token_lifetime`` is the longer of access and ID tokens'."""

    jwks_max_age: timedelta
    token_lifetime: timedelta

    @property
    def publish_ahead(self) -> timedelta:
        """How long a key is published before it signs, when nobody is in a hurry."""
        return max(PUBLISH_AHEAD, self.shortest_ahead)

    @property
    def shortest_ahead(self) -> timedelta:
        """How long it must be published at the least: until every cache that follows max-age has it."""
        return self.jwks_max_age + SKEW

    @property
    def keep_after(self) -> timedelta:
        """How long a key stays in /jwks after it stopped signing: until no token of it can be valid anywhere.

        A client or a resource may be given longer tokens at any time, so it is the longest that may be given.
        """
        return max(self.token_lifetime, LONGEST_TOKEN_LIFETIME) + SKEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A take-over of one algorithm: ``old`` signs until ``new`` does. Both are rows as they should be stored."""

    old: SigningKey
    new: SigningKey
    last_token_expires_at: datetime  # of the old key, by the settings' lifetimes

    def apply_to(self, keys: Iterable[SigningKey]) -> tuple[SigningKey, ...]:
        """Return the rows after the change; ``new`` is added where it is not among them."""
        changed = {self.old.kid: self.old, self.new.kid: self.new}
        return tuple(({key.kid: key for key in keys} | changed).values())


def find_signing(keys: Iterable[SigningKey], alg: str, now: datetime) -> SigningKey | None:
    """Return the key that signs now: the newest of those that do."""
    signing = [key for key in keys if key.alg == alg and state_of(key, now) is KeyState.SIGNING]
    return max(signing, key=lambda key: key.sign_from, default=None)


def find_next(keys: Iterable[SigningKey], alg: str, now: datetime) -> SigningKey | None:
    """Return the published key that signs next, if there is one."""
    published = [key for key in keys if key.alg == alg and state_of(key, now) is KeyState.PUBLISHED]
    return min(published, key=lambda key: key.sign_from, default=None)


def next_generation(keys: Iterable[SigningKey], alg: str) -> int:
    """Return the number of the key to be made next; revoked and dropped keys keep theirs."""
    return 1 + max((key.generation for key in keys if key.alg == alg), default=0)


def plan_next(keys: Sequence[SigningKey], candidate: SigningKey, now: datetime, rules: RotationRules) -> Change | None:
    """Publish a *next* key for the candidate's algorithm, to sign 90 days after the current one began.

    None where one is published already, where nothing signs yet, or where the candidate's generation is taken: another
    node was faster.
    """
    current = find_signing(keys, candidate.alg, now)
    if (
        current is None
        or find_next(keys, candidate.alg, now) is not None
        or candidate.generation != next_generation(keys, candidate.alg)
    ):
        return None
    sign_from = max(current.sign_from + ROTATE_AFTER, now + rules.publish_ahead)
    return _hand_over(current, replace(candidate, publish_at=now), sign_from, rules)


def plan_rotation(
    keys: Sequence[SigningKey], alg: str, now: datetime, rules: RotationRules, *, hurry: bool
) -> Change | None:
    """Let the *next* key sign as soon as it may: 24 h after it was published, or in a ``hurry`` once caches have it.

    None where there is no next key, or where it takes over by then anyway.
    """
    current, upcoming = find_signing(keys, alg, now), find_next(keys, alg, now)
    if current is None or upcoming is None:
        return None
    ahead = rules.shortest_ahead if hurry else rules.publish_ahead
    sign_from = max(now, upcoming.publish_at + ahead)
    if upcoming.sign_from <= sign_from:
        return None
    return _hand_over(current, upcoming, sign_from, rules)


def plan_first(candidate: SigningKey, now: datetime, rules: RotationRules, *, hurry: bool) -> SigningKey:
    """Publish the first key of an algorithm that nothing signs with yet; it signs when verifiers have it."""
    ahead = rules.shortest_ahead if hurry else rules.publish_ahead
    return replace(candidate, publish_at=now, sign_from=now + ahead)


def plan_sooner(first: SigningKey, now: datetime, rules: RotationRules, *, hurry: bool) -> SigningKey:
    """Let the published first key of an algorithm sign as soon as it may, as `plan_rotation` does where another signs.

    The same key where it signs by then anyway.
    """
    ahead = rules.shortest_ahead if hurry else rules.publish_ahead
    return replace(first, sign_from=min(first.sign_from, max(now, first.publish_at + ahead)))


def revocable_from(keys: Iterable[SigningKey], key: SigningKey, now: datetime, rules: RotationRules) -> datetime | None:
    """Return from when a key can be revoked without a verifier meeting a successor that it does not know.

    At once for a key that does not sign now; None where it signs and nothing has been published to follow it.
    """
    if state_of(key, now) is not KeyState.SIGNING:
        return now
    successor = find_next(keys, key.alg, now)
    return max(now, successor.publish_at + rules.shortest_ahead) if successor is not None else None


def plan_revocation(
    keys: Sequence[SigningKey],
    key: SigningKey,
    candidates: Sequence[SigningKey],
    now: datetime,
    rules: RotationRules,
) -> tuple[SigningKey, ...]:
    """Return the rows after a key was revoked: it is a tombstone without its private part, and its ring is whole.

    Where it signed, *next* signs now, however short it has been published, and another one is published; where it was
    *next*, another one is. ``candidates`` are new keys of the ring's next generations, two of them, as many as needed.
    """
    state, gone = state_of(key, now), replace(key, revoked_at=now, drop_at=now, sealed_private=b"")
    if state is KeyState.SIGNING:
        gone = replace(gone, sign_until=now)
    rows = {row.kid: row for row in keys} | {key.kid: gone}
    spare = list(candidates)
    if state is KeyState.SIGNING and find_signing(rows.values(), key.alg, now) is None:
        successor = find_next(rows.values(), key.alg, now) or replace(spare.pop(0), publish_at=now)
        rows[successor.kid] = replace(successor, sign_from=now)
    if state in {KeyState.SIGNING, KeyState.PUBLISHED} and find_next(rows.values(), key.alg, now) is None:
        change = plan_next(tuple(rows.values()), spare[0], now, rules)
        rows = {row.kid: row for row in change.apply_to(rows.values())} if change is not None else rows
        if change is None:  # it was the first of its ring, and had not signed yet
            rows[spare[0].kid] = plan_first(spare[0], now, rules, hurry=False)
    return tuple(rows.values())


def next_change_at(keys: Iterable[SigningKey], now: datetime) -> datetime | None:
    """Return when the first of these keys changes its state, if any will."""
    times = [
        time for key in keys for time in (key.sign_from, key.sign_until, key.drop_at) if time is not None and time > now
    ]
    return min(times, default=None)


def _hand_over(current: SigningKey, upcoming: SigningKey, sign_from: datetime, rules: RotationRules) -> Change:
    return Change(
        old=replace(current, sign_until=sign_from, drop_at=sign_from + rules.keep_after),
        new=replace(upcoming, sign_from=sign_from),
        last_token_expires_at=sign_from + rules.token_lifetime,
    )
