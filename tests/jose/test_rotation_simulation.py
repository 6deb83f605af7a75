"""No verifier meets a token whose key it does not know, whatever nodes, clocks and caches do; but in an emergency.

The verifiers here never ask again for a kid that they do not know: what they meet, real ones would have to fetch.
"""

from __future__ import annotations

import pytest

from authserver.jose.schedule import FIRST_ALGORITHMS, RotationRules, find_next, find_signing
from tests.jose.simulation import DAY, HOUR, MAX_AGE, MINUTE, RULES, SECOND, Verifier, World, short_published

SEEDS = range(3)


@pytest.mark.fault("B14")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_year_of_automatic_rotation_surprises_nobody(seed):
    world = World(seed)
    world.run(world.now + 366 * DAY)
    assert world.surprises == []
    assert world.outages == []
    assert [len([row for row in world.rows if row.alg == alg]) for alg in FIRST_ALGORITHMS] == [6, 6], "every 90 days"
    assert world.signed > 50_000


@pytest.mark.fault("B14")
@pytest.mark.parametrize("seed", SEEDS)
def test_rotations_by_hand_at_any_moment_surprise_nobody_not_even_with_a_cache_of_twelve_hours(seed):
    world = World(seed)
    for _ in range(12):
        world.rotate(hurry=False)
        world.run(world.now + world.random.choice([30 * SECOND, 7 * MINUTE, 5 * HOUR, 23 * HOUR, 25 * HOUR, 3 * DAY]))
    world.run(world.now + 2 * DAY)
    assert world.surprises == []
    assert world.outages == []
    assert len(world.rows) > 8, "it did rotate"
    assert min(short_published(world.rows).values()) >= RULES.publish_ahead


@pytest.mark.fault("B14")
@pytest.mark.parametrize("seed", SEEDS)
def test_rotations_in_a_hurry_surprise_nobody_who_keeps_to_max_age(seed):
    world = World(seed)
    for _ in range(30):
        world.rotate(hurry=True)
        wait = [SECOND, 4 * MINUTE, RULES.shortest_ahead - SECOND, RULES.shortest_ahead, 11 * MINUTE, 2 * HOUR]
        world.run(world.now + world.random.choice(wait), step=SECOND if seed == 0 else 5 * SECOND)
    assert world.outages == []
    assert min(short_published(world.rows).values()) == RULES.shortest_ahead, "at the earliest moment that is allowed"
    assert [surprise for surprise in world.surprises if surprise.verifier.honours_max_age] == []
    ahead = short_published(world.rows)
    for surprise in world.surprises:  # whoever keeps /jwks for longer than it may meets only keys in a hurry
        assert ahead[surprise.kid] < surprise.verifier.cache + RULES.shortest_ahead - MAX_AGE


@pytest.mark.fault("B14")
@pytest.mark.parametrize("published_for", [RULES.publish_ahead, 3 * DAY], ids=["24 hours", "three days"])
@pytest.mark.parametrize("seed", SEEDS)
def test_one_rotation_in_a_hurry_of_a_key_published_long_ago_surprises_nobody_at_all(seed, published_for):
    world = World(seed)
    world.run(world.now + published_for)
    world.rotate(hurry=True)
    assert find_signing(world.rows, "ES256", world.now).generation == 2, "at once"
    world.run(world.now + 3 * HOUR)
    assert world.surprises == []
    assert len(world.rows) == 6


@pytest.mark.fault("B17")
@pytest.mark.parametrize("seed", SEEDS)
def test_an_emergency_with_a_next_key_that_every_cache_has_surprises_nobody_and_no_node_is_without_a_key(seed):
    world = World(seed)
    world.run(world.now + 3 * DAY)
    leaked = find_signing(world.rows, "ES256", world.now)
    successor = find_next(world.rows, "ES256", world.now)
    world.revoke(leaked)
    at = world.now
    world.run(at + 10 * MINUTE, step=SECOND)
    assert world.outages == [], "clocks that are behind the database's do not wait for their turn"
    assert world.surprises == []
    assert find_signing(world.rows, "ES256", world.now).kid == successor.kid
    ready = [node for node in world.nodes if node.is_asked(world.now)]
    assert ready
    assert all(leaked.kid not in node.serve(world.now)[0] for node in ready)


@pytest.mark.fault("B17")
@pytest.mark.parametrize("seed", SEEDS)
def test_only_an_emergency_right_after_another_shows_verifiers_a_key_that_they_do_not_have_and_not_for_long(seed):
    world = World(seed)
    world.run(world.now + 3 * DAY)
    for _ in range(2):
        world.revoke(find_signing(world.rows, "ES256", world.now))
        world.run(world.now + 20 * SECOND, step=SECOND)
    last = find_signing(world.rows, "ES256", world.now)
    at = world.now
    world.run(at + 20 * MINUTE, step=SECOND)
    assert world.surprises, "the second successor had been published for seconds"
    assert {surprise.kid for surprise in world.surprises} == {last.kid}
    honest = [surprise for surprise in world.surprises if surprise.verifier.honours_max_age]
    assert all(surprise.at < at + MAX_AGE for surprise in honest)
    assert world.outages == []


class _TooSoon(RotationRules):
    """Rules of somebody who thought that nobody's clock is off."""

    __slots__ = ()

    @property
    def shortest_ahead(self):
        return self.jwks_max_age


def test_the_simulation_notices_rules_that_are_too_short():
    world = World(0, _TooSoon(jwks_max_age=MAX_AGE, token_lifetime=RULES.token_lifetime))
    for _ in range(6):
        world.rotate(hurry=True)
        world.run(world.now + 7 * MINUTE, step=5 * SECOND)
    assert [surprise for surprise in world.surprises if surprise.verifier.honours_max_age]


@pytest.mark.fault("B15")
def test_a_copy_from_a_node_that_hears_nothing_is_kept_for_so_much_shorter():
    """Else a verifier would keep it for longer than the next key is published before a clock that is ahead uses it."""
    world = World(0)
    world.rotate(hurry=True)
    deaf, early, verifier = world.nodes[2], world.nodes[1], Verifier(HOUR, honours_max_age=True)
    deaf.hear(world.rows, world.now)
    world.now += RULES.shortest_ahead  # *next* signs, another one is published and shall sign as soon as it may
    world.keep_next()
    world.rotate(hurry=True)
    early.hear(world.rows, world.now)
    published = world.now
    deaf.confirmed_at = published - SECOND
    verifier.look(deaf, published + 9 * SECOND)
    assert find_next(world.rows, "ES256", published).kid not in verifier.known
    first_use = next(
        moment
        for moment in (published + number * SECOND for number in range(1000))
        if early.keyring.signing_key("ES256", moment + early.offset).kid not in verifier.known
    )
    assert first_use == published + RULES.shortest_ahead - early.offset
    assert verifier.until <= first_use
