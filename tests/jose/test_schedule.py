"""The states of signing keys follow from their times (DESIGN §7): properties over every plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.jose.schedule import (
    KeyState,
    RotationRules,
    find_next,
    find_signing,
    next_change_at,
    next_generation,
    plan_first,
    plan_next,
    plan_revocation,
    plan_rotation,
    revocable_from,
    state_of,
)
from authserver.sealing.records import SigningKey
from tests.jose.keys import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = RotationRules(jwks_max_age=timedelta(seconds=300), token_lifetime=timedelta(seconds=300))


def key(number, sign_from, **times):
    values = {"publish_at": sign_from, "sign_from": sign_from} | times
    return SigningKey(kid=f"K{number}", alg="ES256", generation=number, public_jwk={}, sealed_private=b"", **values)


CURRENT = key(7, NOW - 31 * DAY)
NEXT = key(8, NOW + 59 * DAY, publish_at=NOW - 31 * DAY)
CANDIDATE = key(8, NOW)


@pytest.mark.parametrize(
    ("times", "state"),
    [
        pytest.param({"sign_from": NOW + HOUR}, KeyState.PUBLISHED, id="before it signs"),
        pytest.param({"sign_from": NOW}, KeyState.SIGNING, id="this very moment"),
        pytest.param({"sign_from": NOW - HOUR, "sign_until": NOW + HOUR}, KeyState.SIGNING, id="with a known end"),
        pytest.param({"sign_from": NOW - HOUR, "sign_until": NOW}, KeyState.RETIRED, id="ended this very moment"),
        pytest.param(
            {"sign_from": NOW - HOUR, "sign_until": NOW - HOUR, "drop_at": NOW}, KeyState.DROPPED, id="dropped"
        ),
        pytest.param({"sign_from": NOW - HOUR, "revoked_at": NOW - HOUR}, KeyState.REVOKED, id="revoked"),
        pytest.param(
            {"sign_from": NOW - HOUR, "revoked_at": NOW + HOUR}, KeyState.REVOKED, id="revoked on a faster clock"
        ),
    ],
)
def test_the_state_follows_from_the_times(times, state):
    assert state_of(replace(CURRENT, **times), NOW) is state


@pytest.mark.fault("B14")
@given(
    current_age=st.timedeltas(timedelta(0), timedelta(days=400)),
    wait=st.timedeltas(timedelta(0), timedelta(days=200)),
    max_age=st.timedeltas(timedelta(seconds=5), timedelta(hours=48)),
    token_lifetime=st.timedeltas(timedelta(seconds=1), timedelta(days=1)),
    hurry=st.booleans(),
)
def test_no_key_signs_before_every_cache_has_it_and_none_goes_before_its_last_token(
    current_age, wait, max_age, token_lifetime, hurry
):
    rules = RotationRules(jwks_max_age=max_age, token_lifetime=token_lifetime)
    current = key(7, NOW - current_age)
    change = plan_next([current], CANDIDATE, NOW, rules)
    assert change.new.sign_from - change.new.publish_at >= max(DAY, max_age + timedelta(seconds=60))
    keys, then = change.apply_to([current]), NOW + wait
    rotation = plan_rotation(keys, "ES256", then, rules, hurry=hurry)
    if rotation is not None:
        assert rotation.new.sign_from < change.new.sign_from, "a rotation by hand is earlier, or none"
        assert rotation.new.sign_from >= then
        assert rotation.new.sign_from - rotation.new.publish_at >= max_age + timedelta(seconds=60)
        if not hurry:
            assert rotation.new.sign_from - rotation.new.publish_at >= max(DAY, max_age + timedelta(seconds=60))
        change, keys = rotation, rotation.apply_to(keys)
    assert change.old.sign_until == change.new.sign_from, "one key signs at a time, and always one"
    assert change.old.drop_at - change.old.sign_until >= DAY + timedelta(seconds=60)
    assert change.last_token_expires_at - change.old.sign_until == token_lifetime
    for moment in (then, change.new.sign_from - timedelta(microseconds=1), change.new.sign_from, change.old.drop_at):
        signing = [row for row in keys if state_of(row, moment) is KeyState.SIGNING]
        assert signing == [find_signing(keys, "ES256", moment)]
    assert next_change_at(keys, change.old.drop_at) is None


def test_a_next_key_takes_over_90_days_after_the_current_one_began():
    change = plan_next([CURRENT], CANDIDATE, NOW, RULES)
    assert change.new.sign_from == CURRENT.sign_from + timedelta(days=90)
    assert change.new.publish_at == NOW


def test_a_next_key_that_is_late_still_waits_a_day():
    assert plan_next([key(7, NOW - timedelta(days=100))], CANDIDATE, NOW, RULES).new.sign_from == NOW + DAY


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([CURRENT, NEXT], id="one is published already"),
        pytest.param([], id="nothing signs yet"),
        pytest.param([CURRENT, replace(NEXT, revoked_at=NOW)], id="its number is taken by a tombstone"),
        pytest.param([replace(CURRENT, alg="RS256")], id="only another algorithm signs"),
    ],
)
def test_no_next_key_is_published_where(keys):
    assert plan_next(keys, CANDIDATE, NOW, RULES) is None


def test_a_rotation_waits_until_24_hours_after_publishing_and_in_a_hurry_until_caches_are_over():
    young = replace(NEXT, publish_at=NOW - timedelta(seconds=10))
    assert plan_rotation([CURRENT, young], "ES256", NOW, RULES, hurry=False).new.sign_from == young.publish_at + DAY
    in_a_hurry = plan_rotation([CURRENT, young], "ES256", NOW, RULES, hurry=True)
    assert in_a_hurry.new.sign_from == young.publish_at + timedelta(seconds=360)
    assert plan_rotation([CURRENT, NEXT], "ES256", NOW, RULES, hurry=False).new.sign_from == NOW


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([CURRENT], id="there is no next key"),
        pytest.param([NEXT], id="nothing signs"),
        pytest.param([CURRENT, replace(NEXT, sign_from=NOW + HOUR, publish_at=NOW)], id="it takes over sooner anyway"),
    ],
)
def test_nothing_rotates_where(keys):
    assert plan_rotation(keys, "ES256", NOW, RULES, hurry=False) is None


def test_numbers_are_never_used_again():
    assert next_generation([], "ES256") == 1
    assert (
        next_generation([CURRENT, replace(NEXT, revoked_at=NOW), replace(NEXT, alg="RS256", generation=40)], "ES256")
        == 9
    )


def test_a_tombstone_neither_signs_nor_waits():
    revoked = [replace(CURRENT, revoked_at=NOW), replace(NEXT, revoked_at=NOW)]
    assert find_signing(revoked, "ES256", NOW) is None
    assert find_next(revoked, "ES256", NOW) is None


SPARES = (key(9, NOW), key(10, NOW))
HANDED = replace(CURRENT, sign_until=NEXT.sign_from, drop_at=NEXT.sign_from + 2 * DAY)


def states(rows):
    return {row.kid: state_of(row, NOW) for row in rows}


@pytest.mark.fault("B17")
def test_the_next_key_signs_at_once_in_the_place_of_a_revoked_one_and_another_is_published():
    rows = {row.kid: row for row in plan_revocation([HANDED, NEXT], HANDED, SPARES, NOW, RULES)}
    assert states(rows.values()) == {"K7": KeyState.REVOKED, "K8": KeyState.SIGNING, "K9": KeyState.PUBLISHED}
    assert (rows["K8"].sign_from, rows["K8"].publish_at) == (NOW, NEXT.publish_at)
    assert (rows["K7"].revoked_at, rows["K7"].drop_at, rows["K7"].sign_until) == (NOW, NOW, NOW)
    assert rows["K9"].sign_from - NOW >= DAY
    assert rows["K8"].sign_until == rows["K9"].sign_from


@pytest.mark.fault("B17")
def test_a_tombstone_keeps_no_private_key():
    rows = plan_revocation([replace(HANDED, sealed_private=b"sealed"), NEXT], HANDED, SPARES, NOW, RULES)
    assert next(row for row in rows if row.kid == "K7").sealed_private == b""


@pytest.mark.fault("B17")
def test_where_nothing_was_published_to_follow_a_new_key_signs_at_once():
    spares = (key(8, NOW), key(9, NOW))
    rows = plan_revocation([CURRENT], CURRENT, spares, NOW, RULES)
    assert states(rows) == {"K7": KeyState.REVOKED, "K8": KeyState.SIGNING, "K9": KeyState.PUBLISHED}


@pytest.mark.fault("B17")
def test_a_revoked_next_key_is_replaced_and_the_current_one_goes_on():
    rows = {row.kid: row for row in plan_revocation([HANDED, NEXT], NEXT, SPARES, NOW, RULES)}
    assert states(rows.values()) == {"K7": KeyState.SIGNING, "K8": KeyState.REVOKED, "K9": KeyState.PUBLISHED}
    assert rows["K7"].sign_until == rows["K9"].sign_from >= NOW + DAY


@pytest.mark.fault("B17")
@pytest.mark.parametrize("ended", [HOUR, 10 * DAY], ids=["retired", "dropped"])
def test_a_key_that_signs_no_more_leaves_a_tombstone_and_nothing_else_changes(ended):
    old = replace(key(6, NOW - 90 * DAY), sign_until=NOW - ended, drop_at=NOW - ended + 2 * DAY)
    rows = plan_revocation([old, HANDED, NEXT], old, SPARES, NOW, RULES)
    assert states(rows)["K6"] is KeyState.REVOKED
    assert [row for row in rows if row.kid != "K6"] == [HANDED, NEXT]


@pytest.mark.fault("B17")
def test_the_first_key_of_an_algorithm_is_replaced_by_another_first_one():
    first = plan_first(key(1, NOW), NOW, RULES, hurry=False)
    rows = plan_revocation([first], first, (key(2, NOW), key(3, NOW)), NOW, RULES)
    assert states(rows) == {"K1": KeyState.REVOKED, "K2": KeyState.PUBLISHED}
    assert max(row.sign_from for row in rows) == NOW + DAY


@pytest.mark.parametrize(("hurry", "ahead"), [(False, DAY), (True, timedelta(seconds=360))])
def test_the_first_key_of_an_algorithm_signs_when_verifiers_have_it(hurry, ahead):
    first = plan_first(key(1, NOW - DAY), NOW, RULES, hurry=hurry)
    assert (first.publish_at, first.sign_from) == (NOW, NOW + ahead)
    assert plan_next([first], key(2, NOW), NOW, RULES) is None, "it is the next one itself"


@pytest.mark.parametrize(
    ("rows", "row", "moment"),
    [
        pytest.param([HANDED, NEXT], HANDED, NOW, id="every cache has its successor"),
        pytest.param(
            [HANDED, replace(NEXT, publish_at=NOW - HOUR / 60)],
            HANDED,
            NOW + timedelta(seconds=300),
            id="its successor is a minute old",
        ),
        pytest.param([CURRENT], CURRENT, None, id="it has none"),
        pytest.param([HANDED, NEXT], NEXT, NOW, id="it does not sign"),
    ],
)
def test_a_key_can_be_revoked_without_a_surprise_from(rows, row, moment):
    assert revocable_from(rows, row, NOW, RULES) == moment
