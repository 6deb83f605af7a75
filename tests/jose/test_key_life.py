"""Whatever operators do with keys, in whatever order: one key signs, at most one is next, and no tombstone rises."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authserver.jose.schedule import FIRST_ALGORITHMS, LISTED, KeyState, next_change_at, state_of
from tests.jose.simulation import RULES, World

DEEDS = st.one_of(
    st.tuples(st.just("wait"), st.timedeltas(timedelta(0), timedelta(days=120))),
    st.tuples(st.just("wait"), st.timedeltas(timedelta(0), timedelta(minutes=10))),
    st.tuples(st.just("rotate"), st.booleans()),
    st.tuples(st.just("revoke"), st.integers(0, 50)),
    st.tuples(st.just("publish"), st.none()),
)


def do(world, deed, with_what):
    match deed:
        case "wait":
            world.now += with_what
        case "rotate":
            world.rotate(hurry=with_what)
        case "revoke":
            key = world.rows[with_what % len(world.rows)]
            if key.revoked_at is None:
                world.revoke(key)
        case "publish":
            world.keep_next()


def check(world):
    for alg in FIRST_ALGORITHMS:
        ring = [row for row in world.rows if row.alg == alg]
        assert len({row.generation for row in ring}) == len(ring)
        kinds = [state_of(row, world.now) for row in ring]
        assert kinds.count(KeyState.SIGNING) == 1
        assert kinds.count(KeyState.PUBLISHED) <= 1
        signing = next(row for row in ring if state_of(row, world.now) is KeyState.SIGNING)
        upcoming = next((row for row in ring if state_of(row, world.now) is KeyState.PUBLISHED), None)
        assert signing.sign_until == (upcoming.sign_from if upcoming is not None else None)
        if upcoming is not None:
            assert upcoming.sign_from - upcoming.publish_at >= RULES.shortest_ahead
        for row in ring:
            if row.revoked_at is not None:
                assert row.sealed_private == b""
                assert state_of(row, world.now) is KeyState.REVOKED
            elif row.sign_until is not None:
                assert row.drop_at - row.sign_until >= RULES.keep_after


@pytest.mark.fault("B14", "B17")
@settings(max_examples=150, deadline=None)
@given(st.lists(DEEDS, max_size=25))
def test_one_key_signs_and_at_most_one_is_next_whatever_is_done(deeds):
    world = World(0)
    revoked: set[str] = set()
    for deed, with_what in deeds:
        do(world, deed, with_what)
        check(world)
        assert revoked <= {row.kid for row in world.rows if row.revoked_at is not None}, "a tombstone stays"
        revoked = {row.kid for row in world.rows if row.revoked_at is not None}
    world.keep_next()
    check(world)
    assert [state_of(row, world.now) for row in world.rows].count(KeyState.PUBLISHED) == len(FIRST_ALGORITHMS)
    listed = [row for row in world.rows if state_of(row, world.now) in LISTED]
    assert next_change_at(listed, world.now) is not None
