"""The promise of DESIGN §5, searched: every short history of one app, and of an app and a thief.

An app is not logged out by any number of parallel requests within 10 s, by a lost answer (never two generations
running), or by a failover. Two holders of one family who are not in step within 10 s are found when the second has
refreshed twice; under `strict` and `grace`, once.

A history is a sequence of requests with waits between them. States are normalised (ages instead of times) and visited
once, so the search is complete up to its depth. The rule itself is asked for every step.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import pytest

from authserver.oauth.refresh_rules import PresentedToken, RefreshRefused, RefreshRule, RefreshTerms, decide_refresh
from authserver.oauth.values import Authorization, Grant, RefreshMode, RefreshPolicy

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
GRACE = 10  # seconds
WAITS = (0, 4, GRACE)  # at once; inside the grace; the first moment after it
GRANT = Grant(
    id=UUID(int=7),
    client_id="app",
    user_id=UUID(int=8),
    session_id=None,
    scope=frozenset({"api"}),
    resources=(),
    acr="1",
    amr=(),
    auth_time=NOW,
    secret_hash=b"hash",
    generation=0,
    rotated_at=NOW,
    expires_at=NOW + timedelta(days=30),
    created_at=NOW,
)
AUTHORIZATION = Authorization(
    subject="user",
    scope=GRANT.scope,
    audience=(),
    access_token_lifetime=timedelta(minutes=5),
    grant_id=GRANT.id,
)


@dataclass(frozen=True, slots=True)
class Row:
    """The grant's row; `age` is whole seconds since `rotated_at`, GRACE where it is that or more."""

    generation: int
    age: int
    late: int

    def older(self, wait: int) -> "Row":
        return replace(self, age=min(self.age + wait, GRACE))


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request led to; `generation` is None for a refusal."""

    rule: RefreshRule
    row: Row
    generation: int | None


@functools.cache
def present(mode: RefreshMode, policy: RefreshPolicy, token: int, row: Row) -> Reply:
    """Ask the rule, and store what it says."""
    grant = replace(GRANT, generation=row.generation, rotated_at=NOW - timedelta(seconds=row.age), late=row.late)
    decision = decide_refresh(
        PresentedToken(secret_hash=b"hash", generation=token, issued_at=NOW - timedelta(seconds=GRACE)),
        grant,
        client_id="app",
        bound_key=None,
        terms=RefreshTerms(mode=mode, policy=policy, idle=timedelta(days=1), grace=timedelta(seconds=GRACE)),
        now=NOW,
    )
    if isinstance(decision, RefreshRefused):
        return Reply(decision.rule, row, None)
    change = decision.settle(AUTHORIZATION)
    if change is not None:
        row = Row(change.generation, (NOW - change.rotated_at).seconds, change.late)
    return Reply(decision.rule, row, decision.successor.generation)


ONE_GENERATION = "never two generations running"
ANY = "any"


@dataclass(frozen=True, slots=True)
class Perils:
    """What may befall the app in a search."""

    tabs: bool = False  # requests with one token arrive within GRACE of the one that moved the row
    losses: str | None = None  # answers get lost
    failovers: int = 0  # the database comes back without its last commits


@dataclass(frozen=True, slots=True)
class App:
    """One app, its tabs, and the row its requests meet."""

    failovers: int
    row: Row = Row(0, GRACE, -2)
    before: tuple[Row, ...] = ()  # what a failover may bring back, the newest last
    held: int = 0
    used: int = GRACE  # seconds since a request with the held token moved the row
    slow: tuple[tuple[int, int], ...] = ()  # tokens replaced since, which slow tabs still send: generation and `used`
    lost: int | None = None  # the last generation whose answer got lost and was not fetched within the grace

    def wait(self, seconds: int) -> "App":
        return replace(
            self,
            row=self.row.older(seconds),
            before=tuple(row.older(seconds) for row in self.before),
            used=min(self.used + seconds, GRACE),
            slow=tuple((token, used + seconds) for token, used in self.slow if used + seconds < GRACE),
        )

    def receive(self, reply: Reply) -> "App":
        assert reply.generation is not None
        if reply.generation == self.held:
            return self
        slow = dict(self.slow) | ({self.held: self.used} if self.used < GRACE else {})
        slow.pop(reply.generation, None)
        fetched_in_time = self.lost == reply.generation and reply.rule is RefreshRule.GRACE
        lost = None if fetched_in_time else self.lost
        return replace(self, held=reply.generation, used=GRACE, slow=tuple(slow.items()), lost=lost)

    def lose(self, reply: Reply) -> "App":
        return replace(self, lost=reply.generation) if reply.generation != self.held else self

    def may_lose(self, reply: Reply, perils: Perils) -> bool:
        assert reply.generation is not None
        if perils.losses != ONE_GENERATION:
            return perils.losses == ANY
        retried_at_once = reply.rule is RefreshRule.GRACE and self.row.late != reply.generation - 1
        same_loss = self.lost == reply.generation and retried_at_once
        return same_loss or self.lost is None or reply.generation >= self.lost + 2


def what_may_happen(
    app: App, mode: RefreshMode, policy: RefreshPolicy, perils: Perils
) -> Iterator[tuple[str, App | None]]:
    """Give everything that can happen next; None is an app that was logged out."""
    if app.failovers:
        for index, row in enumerate(app.before):
            restored = replace(app, row=row, before=app.before[:index], failovers=app.failovers - 1)
            yield f"failover to {row}", restored
    for seconds in WAITS:
        later = app.wait(seconds)
        for token in [later.held, *(token for token, _ in later.slow if perils.tabs)]:
            reply = present(mode, policy, token, later.row)
            name = f"after {seconds} s token {token}, rule {reply.rule.value}"
            if reply.generation is None:
                yield name, None
                continue
            moved = reply.row != later.row
            served = replace(
                later,
                row=reply.row,
                before=(*later.before, later.row)[-3:] if moved else later.before,
                used=0 if moved and token == later.held else later.used,
            )
            yield f"{name}, answer {reply.generation}", served.receive(reply)
            if later.may_lose(reply, perils):
                yield f"{name}, answer lost", served.lose(reply)


@dataclass(frozen=True, slots=True)
class Family:
    """Two holders of one grant's tokens. A refresh is an answer of now: the same successor again is none."""

    row: Row
    held: tuple[int, int]
    refreshed: tuple[int, int] = (0, 0)
    last: int | None = None
    before: tuple[Row, ...] = ()
    failovers: int = 0


def what_two_may_do(family: Family, policy: RefreshPolicy, allowed: int) -> Iterator[tuple[str, Family | None]]:
    """Give everything two holders out of step can do next; None where both refreshed more than `allowed` times.

    A refusal by rule 7 is the end of the family and of its history: they were found.
    """
    if family.failovers:
        for index, row in enumerate(family.before):
            yield f"failover to {row}", replace(family, row=row, before=family.before[:index], failovers=0)
    for seconds in WAITS:
        row = family.row.older(seconds)
        for holder in (0, 1):
            in_step = family.last not in {None, holder} and row.age < GRACE
            if in_step and policy is not RefreshPolicy.STRICT:
                continue
            reply = present(RefreshMode.ROTATE, policy, family.held[holder], row)
            if reply.generation is None:
                assert reply.rule is RefreshRule.REUSED
                continue
            refreshed = _put(family.refreshed, holder, family.refreshed[holder] + (reply.rule is not RefreshRule.GRACE))
            before = (*(old.older(seconds) for old in family.before), *([row] if reply.row != row else []))[-1:]
            name = f"after {seconds} s holder {holder} with {family.held[holder]}, rule {reply.rule.value}"
            for answer, held in (("lost", family.held), ("received", _put(family.held, holder, reply.generation))):
                after = replace(family, row=reply.row, held=held, refreshed=refreshed, last=holder, before=before)
                yield f"{name}, answer {answer}", None if min(refreshed) > allowed else after


def _put(pair: tuple[int, int], index: int, value: int) -> tuple[int, int]:
    return (value, pair[1]) if index == 0 else (pair[0], value)


State = TypeVar("State", App, Family)


def find_failure(start: State, follow: Callable[[State], Iterable[tuple[str, State | None]]], depth: int) -> list[str]:
    """Visit every state within `depth` steps; return a shortest history that ends in None, or nothing."""
    seen = {start}
    frontier: list[tuple[State, list[str]]] = [(start, [])]
    for _ in range(depth):
        reached: list[tuple[State, list[str]]] = []
        for state, history in frontier:
            for name, following in follow(state):
                if following is None:
                    return [*history, name]
                if following not in seen:
                    seen.add(following)
                    reached.append((following, [*history, name]))
        frontier = reached
    return []


def find_logout(mode: RefreshMode, policy: RefreshPolicy, perils: Perils, depth: int) -> list[str]:
    return find_failure(App(failovers=perils.failovers), lambda app: what_may_happen(app, mode, policy, perils), depth)


PARALLEL = Perils(tabs=True)
LOST_ANSWER = Perils(losses=ONE_GENERATION)
FAILOVER = Perils(failovers=2)
TABS_AND_LOSSES = Perils(tabs=True, losses=ONE_GENERATION)
TABS_AND_FAILOVERS = Perils(tabs=True, failovers=2)
LOSSES_AND_FAILOVERS = Perils(losses=ONE_GENERATION, failovers=2)
EVERYTHING = Perils(tabs=True, losses=ANY, failovers=2)
DEPTH = 9
ROTATE, KEEP, REUSE = RefreshMode
STRICT, ONCE, LOST_RESPONSE = RefreshPolicy


@pytest.mark.fault("B1")
@pytest.mark.fault("B7")
@pytest.mark.parametrize("perils", [TABS_AND_LOSSES, TABS_AND_FAILOVERS, LOSSES_AND_FAILOVERS], ids=repr)
def test_by_default_an_app_is_not_logged_out(perils):
    assert not find_logout(ROTATE, LOST_RESPONSE, perils, DEPTH)


@pytest.mark.attack(40)
def test_under_grace_neither_parallel_requests_nor_failovers_log_an_app_out():
    assert not find_logout(ROTATE, ONCE, TABS_AND_FAILOVERS, DEPTH)


@pytest.mark.fault("B2")
@pytest.mark.parametrize("policy", RefreshPolicy)
def test_no_failover_logs_an_app_out_whatever_the_policy(policy):
    assert not find_logout(ROTATE, policy, FAILOVER, DEPTH)


@pytest.mark.parametrize(("mode", "depth"), [(KEEP, 6), (REUSE, DEPTH)])
@pytest.mark.parametrize("policy", RefreshPolicy)
def test_modes_that_leave_old_tokens_alive_bear_everything(mode, depth, policy):
    assert not find_logout(mode, policy, EVERYTHING, depth)


@pytest.mark.attack(38)
@pytest.mark.parametrize(("policy", "allowed"), [(STRICT, 0), (ONCE, 0), (LOST_RESPONSE, 1)])
@pytest.mark.parametrize("late", [-2, 0, 1, 2])
@pytest.mark.parametrize("held", [(3, 3), (3, 2), (2, 3), (2, 2)], ids=repr)
def test_two_holders_out_of_step_are_found(policy, allowed, late, held):
    """Whatever was fetched late before, whoever is behind, and whichever answers get lost."""
    family = Family(Row(3, GRACE, late), held)
    assert not find_failure(family, lambda now: what_two_may_do(now, policy, allowed), DEPTH)


@pytest.mark.attack(38)
@pytest.mark.parametrize(("policy", "allowed"), [(STRICT, 1), (ONCE, 1), (LOST_RESPONSE, 3)])
@pytest.mark.parametrize("held", [(3, 3), (3, 2), (2, 3), (2, 2)], ids=repr)
def test_a_failover_delays_the_finding_and_does_not_prevent_it(policy, allowed, held):
    """Where it loses one commit: by one refresh, or by two where a late answer's mark went with it."""
    family = Family(Row(3, GRACE, -2), held, failovers=1)
    assert not find_failure(family, lambda now: what_two_may_do(now, policy, allowed), DEPTH)


@pytest.mark.parametrize(
    ("policy", "perils"),
    [
        pytest.param(STRICT, PARALLEL, id="strict: parallel requests"),
        pytest.param(STRICT, LOST_ANSWER, id="strict: a lost answer"),
        pytest.param(ONCE, LOST_ANSWER, id="grace: an answer lost and fetched later than 10 s"),
        pytest.param(LOST_RESPONSE, Perils(losses=ANY), id="lost-response: two generations running"),
        pytest.param(
            LOST_RESPONSE,
            Perils(tabs=True, losses=ONE_GENERATION, failovers=1),
            id="lost-response: slow tabs, a lost answer and a failover within the same 10 s",
        ),
    ],
)
def test_the_search_finds_what_is_not_promised(policy, perils):
    """Where these came out empty, the searches above would prove nothing."""
    assert find_logout(ROTATE, policy, perils, DEPTH)


def test_a_thief_who_was_late_once_is_not_found_at_the_first_refresh():
    family = Family(Row(3, GRACE, -2), (3, 3))
    assert find_failure(family, lambda now: what_two_may_do(now, LOST_RESPONSE, 0), DEPTH)
