"""The rule of DESIGN §5 alone, on PostgreSQL and on SQLite: any history has the same answers and leaves the same row.

The machine is synchronous, as hypothesis wants it; the databases live in the event loop behind a blocking portal.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from authserver.oauth.refresh_rules import (
    PresentedToken,
    RefreshDecision,
    RefreshRefused,
    RefreshTerms,
    decide_refresh,
    whole_seconds,
)
from authserver.oauth.values import Authorization, Grant, RefreshMode, RefreshPolicy
from authserver.store import grant_rows, grants, users
from authserver.store.engine import Engine
from authserver.store.grant_batches import Verdict, decide_in
from authserver.store.grants import GrantAndUser
from tests.oauth.examples import USER

START = datetime(2026, 11, 21, 12, 0, 0, 123_456, UTC)
IDLE = timedelta(hours=1)
GRACE = timedelta(seconds=10)
TICK = timedelta(microseconds=1)
WAITS = (timedelta(0), TICK, GRACE - TICK, GRACE, timedelta(minutes=4), IDLE - TICK, IDLE)
SECRET_HASH = b"\x00\xff" * 16
STORED, STOPPED_BY_THE_GATE, ROLLED_BACK = "stored", "stopped by the gate", "rolled back"


class Refreshes(RuleBasedStateMachine):
    """One grant, every token that was ever answered for it, and a clock that the machine moves."""

    def __init__(self, portal: BlockingPortal, engines: list[Engine]) -> None:
        super().__init__()
        self._portal = portal
        self._engines = engines

    @initialize(
        mode=st.sampled_from(RefreshMode),
        policy=st.sampled_from(RefreshPolicy),
        generation=st.sampled_from([0, 0, 2**31 - 1, 2**32 - 10]),
    )
    def begin(self, mode: RefreshMode, policy: RefreshPolicy, generation: int) -> None:
        self.terms = RefreshTerms(mode=mode, policy=policy, idle=IDLE, grace=GRACE)
        self.now = START
        self.grant = Grant(
            id=uuid4(),
            client_id="app",
            user_id=USER.id,
            session_id=None,
            scope=frozenset({"openid", "api:read"}),
            resources=("https://b.example", "https://a.example"),
            acr="aal1",
            amr=("pwd", "otp"),
            auth_time=START,
            secret_hash=SECRET_HASH,
            generation=generation,
            rotated_at=START,
            expires_at=START + 5 * IDLE,
            created_at=START,
        )
        self.tokens = [(generation, whole_seconds(START))]
        self.rows = [self.grant]
        for engine in self._engines:
            self._portal.call(self._add, engine)

    @rule(
        newest=st.integers(0, 3),
        wait=st.sampled_from(WAITS),
        ending=st.sampled_from([STORED, STORED, STORED, STOPPED_BY_THE_GATE, ROLLED_BACK]),
    )
    def present(self, newest: int, wait: timedelta, ending: str) -> None:
        """Present one of the last four tokens; the request ends in one of three ways."""
        self.now += wait
        generation, issued_at = self.tokens[max(0, len(self.tokens) - 1 - newest)]
        token = PresentedToken(secret_hash=SECRET_HASH, generation=generation, issued_at=issued_at)
        decision = self._decide(token, self.grant)
        for engine in self._engines:
            assert self._portal.call(self._refresh, engine, token, ending) == decision
        if ending != STORED:
            return
        if isinstance(decision, RefreshRefused):
            if decision.revoke_reason is not None:
                self.grant = replace(self.grant, revoked_at=START, reason=decision.revoke_reason)
            return
        self.tokens.append((decision.successor.generation, decision.successor.issued_at))
        change = decision.settle(self._authorization())
        if change is not None:
            self.grant = replace(
                self.grant, generation=change.generation, rotated_at=change.rotated_at, late=change.late
            )
            self.rows.append(self.grant)

    @precondition(lambda self: self.grant.revoked_at is None)
    @rule(lost=st.integers(1, 3))
    def fail_over(self, lost: int) -> None:
        """The last commits are gone; the tokens that were answered with them are not."""
        self.rows = self.rows[: max(1, len(self.rows) - lost)]
        self.grant = self.rows[-1]
        for engine in self._engines:
            self._portal.call(self._bring_back, engine)

    @precondition(lambda self: self.grant.revoked_at is None and len(self.rows) > 3)
    @rule()
    def log_out(self) -> None:
        self.grant = replace(self.grant, revoked_at=START, reason="logout")
        for engine in self._engines:
            assert self._portal.call(self._revoke, engine)

    def teardown(self) -> None:
        for engine in self._engines:
            self._portal.call(self._check_row, engine)

    def _decide(self, token: PresentedToken, grant: Grant) -> RefreshDecision:
        return decide_refresh(token, grant, client_id="app", bound_key=None, terms=self.terms, now=self.now)

    def _authorization(self) -> Authorization:
        return Authorization(
            subject=USER.sub,
            scope=frozenset({"api:read"}),
            audience=self.grant.resources,
            access_token_lifetime=timedelta(minutes=5),
            grant_id=self.grant.id,
        )

    async def _add(self, engine: Engine) -> None:
        async with engine.begin() as tx:
            await grants.add(tx, self.grant)

    async def _check_row(self, engine: Engine) -> None:
        async with engine.read() as tx:
            loaded = (await grant_rows.load(tx, {self.grant.id}))[self.grant.id]
        assert _comparable(loaded.grant) == self.grant
        assert loaded.user == USER
        assert loaded.now.tzinfo is not None

    async def _refresh(self, engine: Engine, token: PresentedToken, ending: str) -> RefreshDecision:
        """Load, decide, store, as the token endpoint does, but by the machine's clock."""
        decision: RefreshDecision | None = None
        with suppress(ZeroDivisionError):
            async with engine.begin() as tx:
                verdict = await decide_in(tx, self.grant.id, lambda found: self._judge(found, token, ending))
                decision = verdict.get_answer()
                if ending == ROLLED_BACK:
                    raise ZeroDivisionError
        assert decision is not None
        return decision

    def _judge(self, found: GrantAndUser | None, token: PresentedToken, ending: str) -> Verdict[RefreshDecision]:
        assert found is not None
        row = _comparable(found.grant)
        assert row == self.grant
        decision = self._decide(token, row)
        if ending == STOPPED_BY_THE_GATE:
            return Verdict(answer=decision)
        if isinstance(decision, RefreshRefused):
            return Verdict(answer=decision, revoke_reason=decision.revoke_reason)
        return Verdict(answer=decision, change=decision.settle(self._authorization()))

    async def _bring_back(self, engine: Engine) -> None:
        async with engine.begin() as tx:
            await grant_rows.store_changes(tx, [self.grant])

    async def _revoke(self, engine: Engine) -> bool:
        async with engine.begin() as tx:
            return await grants.revoke(tx, self.grant.id, "logout")


def _comparable(grant: Grant) -> Grant:
    """The grant with one moment of revocation: each database says its own."""
    return grant if grant.revoked_at is None else replace(grant, revoked_at=START)


async def _add_user(engine: Engine) -> None:
    async with engine.begin() as tx:
        await users.add(tx, USER)


def test_the_rule_and_both_databases_give_the_same_answers(sqlite_url, postgresql_url):
    with start_blocking_portal() as portal:
        engines = [portal.call(Engine.open, url) for url in (sqlite_url, postgresql_url)]
        try:
            for engine in engines:
                portal.call(_add_user, engine)
            run_state_machine_as_test(
                lambda: Refreshes(portal, engines),
                settings=settings(
                    max_examples=20,
                    stateful_step_count=15,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            for engine in engines:
                portal.call(engine.close)
