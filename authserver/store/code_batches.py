"""Codes made for whoever is signed in, and codes redeemed, many in one transaction (DESIGN §6).

Each request hands in a pure function; this module loads, calls it, stores what it says, and commits. What cannot be
locked at once, or needs more than the ordinary case, is left to the request's own transaction.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, cast

from authserver.oauth.errors import OAuthError
from authserver.phases import UnavailableError
from authserver.store import audit, clients, code_rows, codes, consents, grants, sessions, users
from authserver.store.batcher import Batcher, deadline
from authserver.store.code_rows import Foundation, Presented
from authserver.store.grant_batches import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from authserver.oauth.values import AuthorizationCode, Client, Grant
    from authserver.store.audit import AuditEntry
    from authserver.store.engine import Engine, Tx

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued(Generic[T_co]):
    """What was decided for a browser: the answer, and the code to store, where it comes to one."""

    answer: T_co
    code: AuthorizationCode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemed(Generic[T_co]):
    """What was decided on a code: the answer, and what of it is stored. A refusal too is stored and committed.

    ``revoke_reason`` ends the grant that the code became before.
    """

    answer: T_co | OAuthError
    grant: Grant | None = None
    revoke_reason: str | None = None
    audit: tuple[AuditEntry, ...] = ()

    def get_answer(self) -> T_co:
        """Return the answer, or raise it where it is a refusal."""
        if isinstance(self.answer, OAuthError):
            raise self.answer
        return self.answer


DecideIssue: TypeAlias = "Callable[[Foundation], Issued[T]]"
DecideRedemption: TypeAlias = "Callable[[Presented], Redeemed[T]]"
"""Pure decisions; they run while rows are locked, and anew where PostgreSQL has undone the transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item(Generic[T_co]):
    key: tuple[bytes, str]  # the hash of the cookie or the code, and the client's id
    client: Client
    decide: T_co
    until: float  # the event loop's time at which its caller is told that nothing could be decided


_IssueItem: TypeAlias = "_Item[DecideIssue[object]]"
_RedeemItem: TypeAlias = "_Item[DecideRedemption[object]]"


class CodeBatches:
    """The hot path to authorization codes and away from them."""

    def __init__(self, engine: Engine) -> None:
        """Keep the engine; nothing is opened before the first item."""
        self._engine = engine
        lanes = 1 if engine.dialect == "sqlite" else LANES
        self._issues: Batcher[_IssueItem, Issued[object] | None] = Batcher(self._issue_batch, lanes=lanes)
        self._redemptions: Batcher[_RedeemItem, Redeemed[object] | None] = Batcher(self._redeem_batch, lanes=lanes)

    async def issue(self, cookie_hash: bytes, client: Client, decide: DecideIssue[T]) -> Issued[T] | None:
        """Decide for the browser of a session, and return the verdict when its code is committed.

        Return None, and do nothing, where there is no such session, or somebody holds one of its rows. Raise
        UnavailableError within five seconds where the database is not to be had.
        """
        until = deadline()
        key = (cookie_hash, client.client_id)
        issued = await self._issues.submit(_Item(key=key, client=client, decide=decide, until=until), until=until)
        return cast("Issued[T] | None", issued)

    async def redeem(self, code_hash: bytes, client: Client, decide: DecideRedemption[T]) -> Redeemed[T] | None:
        """Decide on a code's first use, and return the verdict when all it stores is committed.

        Return None, and do nothing, where the client has no such code, or it was used, or somebody holds one of the
        rows that it rests on: :func:`redeem_in` is for those. Raise UnavailableError as :meth:`issue` does.
        """
        until = deadline()
        key = (code_hash, client.client_id)
        item = _Item(key=key, client=client, decide=decide, until=until)
        return cast("Redeemed[T] | None", await self._redemptions.submit(item, until=until))

    async def close(self) -> None:
        """Wait for what is under way; the engine is still open."""
        await self._issues.close()
        await self._redemptions.close()

    async def _issue_batch(self, items: Sequence[_IssueItem]) -> list[Issued[object] | Exception | None]:
        stale: set[UUID] = set()

        async def issue_free(tx: Tx) -> list[Issued[object] | Exception | None]:
            stale.clear()
            found = await code_rows.hold_signed_in(tx, {item.key: item.client for item in items})
            outcomes = [_decide(item, found[item.key]) if item.key in found else None for item in items]
            new: list[AuthorizationCode] = []
            for item, outcome in zip(items, outcomes, strict=True):
                if isinstance(outcome, Issued) and outcome.code is not None:
                    new.append(outcome.code)
                    foundation = found[item.key]
                    if foundation.session is not None and sessions.is_stale(foundation.session, foundation.now):
                        stale.add(foundation.session.id)
            if new:
                await code_rows.add_codes(tx, new)
            return outcomes

        outcomes = await self._engine.retrying(issue_free)
        if stale:  # apart: two batches that share a session's row would each wait for the other to let go of it
            await self._engine.retrying(lambda tx: code_rows.touch_sessions(tx, stale))
        return outcomes

    async def _redeem_batch(self, items: Sequence[_RedeemItem]) -> list[Redeemed[object] | Exception | None]:
        first = {item.key: item for item in reversed(items)}  # of a code that is here twice one use is the first

        async def redeem_free(tx: Tx) -> list[Redeemed[object] | Exception | None]:
            found = await code_rows.hold_codes(tx, {key: item.client for key, item in first.items()})
            outcomes = [
                _decide(item, found[item.key]) if item.key in found and first[item.key] is item else None
                for item in items
            ]
            decided = [
                (item, outcome) for item, outcome in zip(items, outcomes, strict=True) if isinstance(outcome, Redeemed)
            ]
            if decided:
                await code_rows.count_uses(tx, [item.key[0] for item, _ in decided])
                await _store(tx, [outcome for _, outcome in decided])
            return outcomes

        return await self._engine.retrying(redeem_free)


async def redeem_in(tx: Tx, code_hash: bytes, client_id: str, decide: DecideRedemption[T]) -> Redeemed[T]:
    """Decide on a code in the caller's own transaction, which waits for the rows; the caller commits refusals too.

    One statement counts the use, so of two requests with one code the second waits for the first one's end and is no
    first use. User, session, consent and client are locked in this order before a grant goes in: whoever cuts one of
    them updates it first and revokes second, so either we see the cut or the cut sees our grant (SECURITY fault B29).
    """
    code = await codes.claim(tx, code_hash, client_id)
    if code is None:
        is_anothers = await codes.is_of_another_client(tx, code_hash, client_id)
        nothing = Foundation(user=None, session=None, client=None, consent=None, now=await tx.now())
        redeemed = decide(Presented(code=None, is_of_another_client=is_anothers, on=nothing))
    else:
        now = await tx.now()
        user = await users.lock_for_share(tx, code.user_id)
        session = await sessions.lock_for_share(tx, code.session_id)
        consent = await consents.lock_for_share(tx, code.user_id, client_id)
        client = await clients.lock_for_share(tx, client_id)
        on = Foundation(user=user, session=session, client=client, consent=consent, now=now)
        redeemed = decide(Presented(code=code, on=on))
        if redeemed.revoke_reason is not None:
            await grants.revoke(tx, code.grant_id, redeemed.revoke_reason)
    await _store(tx, [redeemed])
    return redeemed


async def _store(tx: Tx, redeemed: Sequence[Redeemed[object]]) -> None:
    new = [one.grant for one in redeemed if one.grant is not None]
    if new:
        await code_rows.add_grants(tx, new)
    entries = [entry for one in redeemed for entry in one.audit]
    if entries:
        await audit.add_all(tx, entries, await tx.now())


Loaded = TypeVar("Loaded")
Verdict = TypeVar("Verdict")


def _decide(item: _Item[Callable[[Loaded], Verdict]], loaded: Loaded) -> Verdict | Exception:
    """Return the verdict; an exception is this item's alone and stores nothing."""
    if asyncio.get_running_loop().time() >= item.until:  # its caller has been told
        return UnavailableError("the database was not to be had in time")
    try:
        return item.decide(loaded)
    except Exception as error:  # noqa: BLE001 - raised to the item's caller, where the edge logs it
        return error
