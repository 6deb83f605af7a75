"""The three phases of a request, held apart: prepare, decide (one transaction), finish (DESIGN §3)."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_open_transaction: Final[ContextVar[bool]] = ContextVar("open_transaction", default=False)


class UnavailableError(Exception):
    """The server cannot decide now and has changed nothing it knows of: the edge answers 503 with Retry-After."""

    def __init__(self, cause: str, *, refusal: str = "storage_unavailable", retry_after: int = 1) -> None:
        """Keep the cause for the log; ``retry_after`` is whole seconds."""
        super().__init__(cause)
        self.refusal = refusal
        self.retry_after = retry_after


@contextmanager
def transaction_open() -> Iterator[None]:
    """Mark the time in which a transaction is open in this task."""
    token = _open_transaction.set(True)
    try:
        yield
    finally:
        _open_transaction.reset(token)


def forbid_open_transaction(work: str) -> None:
    """Raise RuntimeError, a bug, where slow work would hold a transaction open (a hash, a fetch, a mail)."""
    if _open_transaction.get():
        message = f"{work} while a transaction is open"
        raise RuntimeError(message)
