"""Our own library for resource servers in the simulation: idle for hours, and still it refuses no token for its key.

Unlike the simulation's verifiers it keeps serving with a copy that is over, renews it behind the request, and asks
again for a kid that it does not know: what is held here is that nobody who sends a good token notices.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from authserver.jose.schedule import RotationRules, find_signing
from authserver_verifier.issuer import KeySet
from authserver_verifier.key_cache import MAX_STALE, KeyCache
from tests.jose.keys import NOW
from tests.jose.simulation import DAY, HOUR, MAX_AGE, MINUTE, RULES, SECOND, World

if TYPE_CHECKING:
    from authserver_verifier.issuer import Issuer
    from authserver_verifier.keys import KeysByName

SEEDS = range(3)
REFETCH_INTERVAL = 30.0


class Api:
    """An API with the library's own key cache; `idle` is how long it hears nothing between two requests."""

    def __init__(self, world: World, idle: timedelta) -> None:
        self.world = world
        self.idle = idle
        self.next_at = NOW
        self.counts: Counter[str] = Counter()
        self.cache = KeyCache(cast("Issuer", self), self._seconds, REFETCH_INTERVAL, MAX_STALE, self.counts)
        self.accepted = self.waited = 0
        self.refused: list[str] = []

    def _seconds(self) -> float:
        return (self.world.now - NOW).total_seconds()

    def fetch_keys(self, known: KeySet | None, now: float) -> KeySet:
        """Ask any node that a balancer would ask."""
        node = self.world.random.choice([node for node in self.world.nodes if node.is_asked(self.world.now)])
        kids, max_age = node.serve(self.world.now)
        keys = cast("KeysByName", {(kid, kid.partition("-")[0]): kid for kid in kids})
        return KeySet(keys=keys, fresh_for=max_age.total_seconds(), document=b"", etag=None)

    def take(self, kid: str) -> None:
        """Look the key of a token up, as `Verifier` does."""
        name = (kid, "ES256")
        fetch = self.cache.worth_waiting_for(*name)
        if fetch is not None:
            fetch.result(10)
            self.waited += 1
        if name in self.cache.require():
            self.accepted += 1
        else:
            self.refused.append(kid)
        for thread in threading.enumerate():  # what renews the copy behind the request is done before time goes on
            if thread.name.startswith("authserver-verifier-keys"):
                thread.join(10)


def run(world: World, apis: list[Api], until, step) -> None:
    """Let time pass; each API gets a token of some node when it is its turn."""
    while world.now < until:
        world.run(world.now + step, step=step)
        for api in apis:
            asked = [node for node in world.nodes if node.is_asked(world.now)]
            kid = world.random.choice(asked).sign("ES256", world.now) if asked else None
            if kid is not None and world.now >= api.next_at:
                api.take(kid)
                api.next_at = world.now + api.idle


def make_apis(world: World) -> list[Api]:
    return [Api(world, idle) for idle in (SECOND, MINUTE, 7 * MINUTE, HOUR, 5 * HOUR)]


@pytest.mark.fault("B14")
@pytest.mark.parametrize("seed", SEEDS)
def test_rotations_in_a_hurry_are_not_noticed_however_seldom_an_api_is_asked(seed):
    world = World(seed)
    apis = make_apis(world)
    for _ in range(8):
        world.rotate(hurry=True)
        run(world, apis, world.now + world.random.choice([4 * MINUTE, 11 * MINUTE, HOUR, 6 * HOUR]), 30 * SECOND)
    run(world, apis, world.now + 11 * HOUR, 30 * SECOND)
    assert len(world.rows) > 10, "it did rotate"
    assert [api.refused for api in apis] == [[]] * len(apis)
    assert all(api.accepted > 1 for api in apis)
    assert all(api.counts["key_set_asked"] <= 2 * api.accepted for api in apis)
    busy = apis[0]
    assert busy.waited == 1, "who is asked all the time has every key before its first token, and waits at the start"


class _AtOnce(RotationRules):
    """Rules of somebody who thinks that verifiers will ask."""

    __slots__ = ()

    @property
    def shortest_ahead(self):
        return timedelta(0)


def test_it_would_be_noticed_if_keys_signed_as_soon_as_they_were_made():
    world = World(0, _AtOnce(jwks_max_age=MAX_AGE, token_lifetime=RULES.token_lifetime))
    (busy, *_) = apis = make_apis(world)[:1]
    for _ in range(6):
        world.rotate(hurry=True)
        run(world, apis, world.now + 10 * SECOND, SECOND)
    assert busy.waited > 1
    assert busy.refused


@pytest.mark.fault("B17")
@pytest.mark.parametrize("seed", SEEDS)
def test_an_emergency_right_after_another_costs_a_refusal_for_at_most_the_interval(seed):
    world = World(seed)
    world.run(world.now + 3 * DAY)
    apis = make_apis(world)[:2]
    run(world, apis, world.now + 10 * MINUTE, SECOND)
    for _ in range(2):
        world.revoke(find_signing(world.rows, "ES256", world.now))
        run(world, apis, world.now + 20 * SECOND, SECOND)
    run(world, apis, world.now + timedelta(seconds=REFETCH_INTERVAL), SECOND)
    before = [len(api.refused) for api in apis]
    run(world, apis, world.now + MAX_AGE, SECOND)
    assert [len(api.refused) for api in apis] == before
