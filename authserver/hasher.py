"""Passwords: Argon2id in a few threads, behind a queue that has an end.

A hash takes 20 to 40 ms of a core and 19 MiB, on purpose. As many run at once as there are cores; a few more wait; the
next one is told 503, so that a flood of logins neither fills the memory nor slows /token and /jwks (SECURITY row 118).
The threads have the lowest priority: where the cores are all busy, people wait for their hash, and no token does.

Passwords are normalised to NFC before hashing: the same password typed on two keyboards is the same, and nothing else
changes. NFKC, which NIST SP 800-63B §3.1.1.2 allows as well, would make different characters equal and weaken some
passwords.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from authserver import imported_hashes, memory
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.passwords import MAX_PASSWORD
from authserver.phases import UnavailableError, forbid_open_transaction

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_PER_CORE: Final = 16  # half a second of waiting at 30 ms a hash
IDLE_SECONDS: Final = 1.0  # after the last hash; the next one then costs a fifth more
LOWEST_PRIORITY: Final = 19  # the nice value (setpriority(2)): a seventieth of a busy core
_RETRY_AFTER: Final = 2  # seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password was right, and whether its hash was made with other parameters than today's."""

    ok: bool
    needs_rehash: bool


class Hasher:
    """Hashes and verifies passwords off the event loop. One for the process; :meth:`close` it at the end.

    The parameters are those of OWASP and DESIGN §4: 19 MiB, 2 passes, 1 lane; tests may ask for cheaper ones.
    """

    def __init__(self, *, threads: int | None = None, memory_kib: int = 19 * 1024, passes: int = 2) -> None:
        """Start no thread yet; the pool makes them when they are needed."""
        self._argon2 = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1, type=Type.ID)
        self._threads = threads or _count_cores()
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="argon2", initializer=_step_back)
        self._running = asyncio.Semaphore(self._threads)
        self._places = self._threads * (1 + QUEUE_PER_CORE)
        self._nobody: str | None = None
        self._clearing: asyncio.TimerHandle | None = None

    def check_length(self, password: str) -> None:
        """Raise ``invalid_request`` for a password that is too long to be hashed, before anything else is done."""
        if len(password) > MAX_PASSWORD:
            raise OAuthError(
                ErrorCode.INVALID_REQUEST,
                f"a password has at most {MAX_PASSWORD} characters",
                Refusal.PARAMETER_TOO_LONG,
            )

    async def hash(self, password: str) -> str:
        """Return the encoded hash (PHC string format) to store."""
        self.check_length(password)
        return await self._run(lambda: self._argon2.hash(_normalise(password)))

    async def verify(self, password_hash: str, password: str) -> Verdict:
        """Tell whether the password is the hashed one. A hash that cannot be read verifies nothing."""
        self.check_length(password)
        return await self._run(lambda: self._verify(password_hash, password))

    async def verify_nothing(self, password: str) -> None:
        """Do the work of :meth:`verify` for a user who does not exist, so that the answer takes as long."""
        self.check_length(password)
        await self._run(lambda: self._verify(self._hash_of_nobody(), password))

    def close(self) -> None:
        """End the threads; what is running ends first."""
        self._keep_memory()
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        """Run in a thread when its turn comes; raise ``UnavailableError`` where too many wait already."""
        forbid_open_transaction("a password hash")
        if self._places == 0:
            message = "too many passwords are being checked"
            raise UnavailableError(message, refusal=Refusal.SERVER_BUSY, retry_after=_RETRY_AFTER)
        self._places -= 1
        self._keep_memory()
        try:
            async with self._running:
                # shielded: a thread cannot be stopped, and its place must not be given away while it works
                future = asyncio.get_running_loop().run_in_executor(self._executor, work)
                try:
                    return await asyncio.shield(future)
                except asyncio.CancelledError:
                    await asyncio.wait([future])
                    raise
        finally:
            self._places += 1
            if self._places == self._threads * (1 + QUEUE_PER_CORE):  # nobody hashes and nobody waits
                self._keep_memory()
                self._clearing = asyncio.get_running_loop().call_later(IDLE_SECONDS, memory.give_back)

    def _keep_memory(self) -> None:
        """Keep a hash's 19 MiB for the next one."""
        if self._clearing is not None:
            self._clearing.cancel()
            self._clearing = None

    def _verify(self, password_hash: str, password: str) -> Verdict:
        if imported_hashes.is_imported(password_hash):
            ok = self._verify_imported(password_hash, password.encode("utf-8", "surrogatepass"))
            return Verdict(ok=ok, needs_rehash=ok)
        if not self._is_argon2(password_hash, _normalise(password)):
            return Verdict(ok=False, needs_rehash=False)
        return Verdict(ok=True, needs_rehash=self._argon2.check_needs_rehash(password_hash))

    def _verify_imported(self, password_hash: str, password: bytes) -> bool:
        argon2_hash = imported_hashes.argon2_part(password_hash)
        if argon2_hash is not None:
            return self._is_argon2(argon2_hash, password)
        return imported_hashes.verify(password_hash, password)

    def _is_argon2(self, encoded: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(encoded, password)
        except (VerificationError, ValueError):  # ValueError: no hash that can be read
            return False

    def _hash_of_nobody(self) -> str:
        if self._nobody is None:
            self._nobody = self._argon2.hash(secrets.token_bytes(32))
        return self._nobody


def _count_cores() -> int:
    """Return how many cores this process may use; a container's are often fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _step_back() -> None:
    """Give this thread the lowest priority, where a thread has one of its own."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)


def _normalise(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
