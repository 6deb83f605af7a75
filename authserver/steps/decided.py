"""A decision whose refusal is stored like any other: a try stays counted, a challenge stays used."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from authserver.oauth.errors import OAuthError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from authserver.store.engine import Engine, Tx

T = TypeVar("T")


async def decide(engine: Engine, work: Callable[[Tx], Awaitable[T | OAuthError]]) -> T:
    """Return what ``work`` returns once it is committed, in a transaction as :meth:`Engine.retrying` runs it.

    A refusal that it *returns* commits what it has written, and is raised then; one that it raises leaves nothing.
    """
    decided = await engine.retrying(work)
    if isinstance(decided, OAuthError):
        raise decided
    return decided


async def decide_for_good(engine: Engine, work: Callable[[Tx], Awaitable[T]]) -> T:
    """Return the same where a refusal that ``work`` raises commits too, whatever it has written by then."""

    async def attempt(tx: Tx) -> T | OAuthError:
        try:
            return await work(tx)
        except OAuthError as refusal:
            return refusal

    return await decide(engine, attempt)
