"""Tells clients that sessions are over: in every process, several clients at a time (Back-Channel Logout §2.5).

A client that does not answer is left alone for a while, longer each time, and asked by one request at a time until it
does; meanwhile the others hear at once. Nobody's logout waits for any of this: it has been committed before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.ids import uuid7
from authserver.jobs.pause import pause_after
from authserver.jobs.runner import Job
from authserver.jose.jwt import LOGOUT_TOKEN_TYPE, sign
from authserver.jose.keyring import NoSigningKeyError
from authserver.logs import get_logger
from authserver.oauth.logout_token import Outcome, build_logout_token_claims, judge_answer, retry_after
from authserver.outbound import OutboundError
from authserver.store import audit, clients, logout_notices

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from authserver.feature import Services
    from authserver.oauth.values import Client
    from authserver.store.engine import Tx
    from authserver.store.logout_notices import LogoutNotice, Settled

log = get_logger("authserver.logout")

POLL_EVERY: Final = 1.0  # seconds: how long a notice may lie before any process looks
AT_ONCE: Final = 8  # requests of one process, so that half of outbound's turns stay for documents
OF_ONE_CLIENT: Final = 2
FINISH_SECONDS: Final = 5.0  # that a process which stops gives what is on its way, so that it is not sent twice
ACTOR: Final = "job:logout_notices"


@dataclass(slots=True)
class _Reach:
    """How a client is to be reached from this process: requests on their way, and failures since it last answered."""

    on_their_way: int = 0
    failures: int = 0
    left_alone_until: float = 0.0

    def is_busy(self, now: float) -> bool:
        """Tell whether the client is to be passed over at this moment of the event loop's clock."""
        at_once = 1 if self.failures else OF_ONE_CLIENT
        return self.left_alone_until > now or self.on_their_way >= at_once


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one try, and what is shown of it: the status, or why there was none."""

    outcome: Outcome
    answer: str


class LogoutNotifier:
    """Delivers the logout notices that are due."""

    def __init__(self, services: Services, now: Callable[[], datetime]) -> None:
        """Prepare; nothing is asked of anybody before there is a notice."""
        self._services = services
        self._now = now
        self._owner = uuid7(now())
        self._reach: dict[str, _Reach] = {}

    def build_job(self) -> Job:
        """Return the job; every process runs it, and a lease on each row says who delivers it."""
        return Job(name="logout_notices", run=self.run, every=POLL_EVERY, leased=False)

    async def run(self) -> None:
        """Deliver until nothing is due. A stop lets what is on its way arrive: cut off, it would be sent twice."""
        on_their_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                while len(on_their_way) < AT_ONCE and (notice := await self._claim()) is not None:
                    on_their_way.add(asyncio.create_task(self._deliver(notice)))
                if not on_their_way:
                    return
                done, on_their_way = await asyncio.wait(
                    on_their_way, timeout=POLL_EVERY, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    task.result()
        finally:
            await _finish(on_their_way)

    async def _claim(self) -> LogoutNotice | None:
        """Claim what is due for a client that may be asked now."""
        leave_out = self._find_busy()
        engine = self._services.engine
        async with engine.read() as tx:
            if not await logout_notices.is_any_due(tx, leave_out=leave_out):
                return None
        async with engine.begin() as tx:
            notice = await logout_notices.claim_next(tx, self._owner, leave_out=leave_out)
        if notice is not None:
            self._reach.setdefault(notice.client_id, _Reach()).on_their_way += 1
        return notice

    def _find_busy(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [client_id for client_id, reach in self._reach.items() if reach.is_busy(now)]

    async def _deliver(self, notice: LogoutNotice) -> None:
        """Tell one client, and write down what came of it."""
        reach = self._reach[notice.client_id]
        try:
            result = await self._send(notice)
        finally:
            reach.on_their_way -= 1
        self._note(notice.client_id, reach, result)

        async def write_down(tx: Tx) -> None:
            await self._write_down(tx, notice, result)

        await self._services.engine.retrying(write_down)
        log.info(
            "logout_notice",
            outcome=result.outcome.value,
            notice=str(notice.id),
            client=notice.client_id,
            attempt=notice.attempts,
            answer=result.answer,
        )

    async def _send(self, notice: LogoutNotice) -> _Result:
        """Send a token to where the client wants it now: the address may be another one than at the logout."""
        try:
            async with self._services.engine.read() as tx:
                client = await clients.get(tx, notice.client_id)
        except ValueError:
            return _Result(Outcome.MISSED, "a newer version registered this client")
        if client is None or client.deleted_at is not None or client.backchannel_logout_uri is None:
            return _Result(Outcome.GONE, "the client is gone, or wants to hear no more")
        if not client.is_active:
            return _Result(Outcome.MISSED, "the client is turned off")
        try:
            token = self._sign(notice, client)
            status = await self._services.outbound.post_form(client.backchannel_logout_uri, {"logout_token": token})
        except NoSigningKeyError as error:
            return _Result(Outcome.MISSED, str(error))
        except OutboundError as error:
            return _Result(Outcome.MISSED, error.cause)
        return _Result(judge_answer(status), str(status))

    def _sign(self, notice: LogoutNotice, client: Client) -> str:
        """Return a logout token of this moment: each try has a fresh one, with a ``jti`` of its own."""
        now = self._now()
        claims = build_logout_token_claims(
            issuer=self._services.settings.issuer,
            client_id=client.client_id,
            subject=str(notice.user_id),
            session_id=notice.session_id,
            jti=uuid7(now),
            now=now,
        )
        alg = client.id_token_signed_response_alg
        return sign(self._services.live.keyring, claims, alg=alg, typ=LOGOUT_TOKEN_TYPE, now=now)

    def _note(self, client_id: str, reach: _Reach, result: _Result) -> None:
        """Leave a client alone that did not answer, longer each time; forget that once it has."""
        if result.outcome is Outcome.MISSED:
            reach.failures += 1
            reach.left_alone_until = asyncio.get_running_loop().time() + pause_after(reach.failures)
        elif reach.on_their_way:
            reach.failures, reach.left_alone_until = 0, 0.0
        else:
            del self._reach[client_id]

    async def _write_down(self, tx: Tx, notice: LogoutNotice, result: _Result) -> None:
        wait = retry_after(notice.attempts)
        match result.outcome:
            case Outcome.DELIVERED:
                await logout_notices.settle(tx, notice.id, self._owner, "delivered", result.answer)
            case Outcome.MISSED if wait is not None:
                await logout_notices.put_off(tx, notice.id, self._owner, wait, result.answer)
            case Outcome.REFUSED:
                await self._give_up(tx, notice, "refused", result.answer)
            case _:
                await self._give_up(tx, notice, "failed", result.answer)

    async def _give_up(self, tx: Tx, notice: LogoutNotice, state: Settled, answer: str) -> None:
        if not await logout_notices.settle(tx, notice.id, self._owner, state, answer):
            return
        await audit.add(
            tx,
            "logout_notice_failed",
            actor=ACTOR,
            user_id=notice.user_id,
            client_id=notice.client_id,
            session_id=notice.session_id,
            detail={"notice": str(notice.id), "state": state, "attempts": notice.attempts, "answer": answer},
        )


async def _finish(on_their_way: set[asyncio.Task[None]]) -> None:
    """Wait a little for what is on its way, then cut it off."""
    if not on_their_way:
        return
    await asyncio.wait(on_their_way, timeout=FINISH_SECONDS)
    for task in on_their_way:
        task.cancel()
    await asyncio.gather(*on_their_way, return_exceptions=True)
