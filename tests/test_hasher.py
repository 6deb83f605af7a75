"""Passwords: Argon2id off the event loop, behind a queue that has an end (DESIGN §4, SECURITY rows 104 and 118)."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from authserver.hasher import LOWEST_PRIORITY, QUEUE_PER_CORE, Hasher, Verdict
from authserver.oauth.errors import OAuthError, Refusal
from authserver.phases import UnavailableError, transaction_open

PASSWORD = "correct horse battery staple"
RIGHT, WRONG = Verdict(ok=True, needs_rehash=False), Verdict(ok=False, needs_rehash=False)


@pytest.fixture
def hasher():
    """Cheap parameters: the work is Argon2's, the rules around it are ours."""
    hasher = Hasher(threads=2, memory_kib=64, passes=1)
    yield hasher
    hasher.close()


class Gate:
    """Holds every hash until it is opened, and counts how many run at once."""

    def __init__(self, hasher, monkeypatch):
        self.open = threading.Event()
        self.running = self.most = self.done = 0
        self._lock = threading.Lock()
        self._hash = hasher._argon2.hash
        monkeypatch.setattr(hasher, "_argon2", self)

    async def until_running(self, count):
        """Wait for threads to begin; they have the lowest priority, so on busy cores that takes a while."""
        async with asyncio.timeout(30):
            while self.running < count:  # noqa: ASYNC110 - threads count, which no event of the loop hears of
                await asyncio.sleep(0.01)

    def hash(self, password):
        with self._lock:
            self.priority = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.open.wait(30)
        with self._lock:
            self.running -= 1
            self.done += 1
        return self._hash(password)


async def test_the_parameters_are_those_of_the_design():
    hasher = Hasher(threads=1)
    parameters = extract_parameters(await hasher.hash(PASSWORD))
    hasher.close()
    assert parameters.type is Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19 * 1024, 2, 1)


async def test_a_password_verifies_against_its_own_hash_only(hasher):
    stored = await hasher.hash(PASSWORD)
    assert await hasher.verify(stored, PASSWORD) == RIGHT
    for other in ("", PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "\x00", PASSWORD + "\x00"):
        assert await hasher.verify(stored, other) == WRONG


async def test_two_hashes_of_one_password_differ(hasher):
    assert await hasher.hash(PASSWORD) != await hasher.hash(PASSWORD)


async def test_a_password_is_the_same_from_every_keyboard_but_look_alikes_are_not_equal(hasher):
    stored = await hasher.hash("caf\u00e9 \u212b")
    assert (await hasher.verify(stored, "cafe\u0301 A\u030a")).ok, "composed or not"
    assert not (await hasher.verify(await hasher.hash("\ufb01sh"), "fish")).ok, "a ligature is not its letters"


async def test_a_half_surrogate_from_a_broken_client_is_just_a_wrong_password(hasher):
    assert await hasher.verify(await hasher.hash(PASSWORD), "\ud800") == WRONG


async def test_a_hash_of_older_parameters_is_right_and_wants_to_be_made_anew(hasher):
    older = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash(PASSWORD)
    assert await hasher.verify(older, PASSWORD) == Verdict(ok=True, needs_rehash=True)
    assert await hasher.verify(older, "wrong") == WRONG


@pytest.mark.parametrize(
    "stored", ["", "!", "$argon2id$", "pbkdf2_sha256$1$a$b", "$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA", "\u00e9"]
)
async def test_a_hash_that_cannot_be_read_verifies_nothing(hasher, stored):
    assert await hasher.verify(stored, PASSWORD) == WRONG


@pytest.mark.attack(104)
async def test_an_unknown_user_costs_the_same_hash(hasher, monkeypatch):
    calls = []
    verify = hasher._argon2.verify
    monkeypatch.setattr(
        type(hasher._argon2), "verify", lambda self, stored, given: (calls.append(stored), verify(stored, given))
    )
    await hasher.verify_nothing(PASSWORD)
    await hasher.verify_nothing(PASSWORD)
    assert len(calls) == 2
    parameters = extract_parameters(calls[0])
    assert (parameters.memory_cost, parameters.time_cost) == (64, 1), "with the parameters of a real one"


@pytest.mark.attack(118)
async def test_a_password_of_more_than_1024_characters_is_refused_before_any_work(hasher, monkeypatch):
    monkeypatch.setattr(hasher, "_run", lambda _: pytest.fail("hashed"))
    for work in (hasher.hash("x" * 1025), hasher.verify("", "x" * 1_000_000), hasher.verify_nothing("x" * 1025)):
        with pytest.raises(OAuthError) as caught:
            await work
        assert (caught.value.status, caught.value.refusal) == (400, Refusal.PARAMETER_TOO_LONG)


async def test_a_password_of_1024_characters_is_hashed(hasher):
    assert (await hasher.verify(await hasher.hash("\U0001f600" * 1024), "\U0001f600" * 1024)).ok


@pytest.mark.attack(118)
async def test_as_many_run_as_there_are_threads_a_few_wait_and_the_next_is_told_to_come_back(hasher, monkeypatch):
    gate = Gate(hasher, monkeypatch)
    places = 2 * (1 + QUEUE_PER_CORE)
    waiting = [asyncio.create_task(hasher.hash(PASSWORD)) for _ in range(places)]
    await gate.until_running(2)
    with pytest.raises(UnavailableError) as caught:
        await hasher.hash(PASSWORD)
    assert (caught.value.refusal, caught.value.retry_after) == (Refusal.SERVER_BUSY, 2)
    gate.open.set()
    assert len(await asyncio.gather(*waiting)) == places
    assert gate.most == 2
    assert await hasher.hash(PASSWORD), "and then there is room again"


@pytest.mark.attack(118)
async def test_the_event_loop_is_free_while_passwords_are_hashed(hasher, monkeypatch):
    gate = Gate(hasher, monkeypatch)
    hashing = asyncio.create_task(hasher.hash(PASSWORD))
    began = time.monotonic()
    for _ in range(10):
        await asyncio.sleep(0)
    assert time.monotonic() - began < 5
    assert not hashing.done()
    gate.open.set()
    await hashing


@pytest.mark.attack(118)
@pytest.mark.fault("B32")
@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority of its own on Linux only")
async def test_hashes_give_way_to_everything_else(hasher, monkeypatch):
    gate = Gate(hasher, monkeypatch)
    hashing = asyncio.create_task(hasher.hash(PASSWORD))
    await gate.until_running(1)
    assert gate.priority == LOWEST_PRIORITY
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < LOWEST_PRIORITY, "the event loop's stays"
    gate.open.set()
    await hashing


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot tell")
async def test_as_many_hashes_run_as_there_are_cores_for_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 6})
    hasher = Hasher(memory_kib=64, passes=1)
    gate = Gate(hasher, monkeypatch)
    waiting = [asyncio.create_task(hasher.hash(PASSWORD)) for _ in range(5)]
    await gate.until_running(3)
    gate.open.set()
    await asyncio.gather(*waiting)
    assert gate.most == 3
    hasher.close()


@pytest.mark.attack(118)
async def test_a_caller_who_goes_away_frees_no_place_before_the_thread_is_done(hasher, monkeypatch):
    gate = Gate(hasher, monkeypatch)
    gone = [asyncio.create_task(hasher.hash(PASSWORD)) for _ in range(6)]
    await gate.until_running(2)
    for task in gone:
        task.cancel()
    await asyncio.sleep(0.05)
    assert gate.running == 2, "two are at work for nobody"
    late = asyncio.create_task(hasher.hash(PASSWORD))
    await asyncio.sleep(0.05)
    assert gate.most == 2
    gate.open.set()
    assert await late
    assert all(
        isinstance(result, asyncio.CancelledError) for result in await asyncio.gather(*gone, return_exceptions=True)
    )
    assert gate.done == 3, "those that waited were never begun"


async def test_a_hash_inside_a_transaction_is_a_bug(hasher):
    with transaction_open(), pytest.raises(RuntimeError, match="transaction is open"):
        await hasher.hash(PASSWORD)


async def test_an_error_in_a_thread_gives_its_place_back(hasher, monkeypatch):
    def fail(_):
        raise ZeroDivisionError

    monkeypatch.setattr(type(hasher._argon2), "hash", lambda *_: fail(_))
    for _ in range(100):
        with pytest.raises(ZeroDivisionError):
            await hasher.hash(PASSWORD)
    monkeypatch.undo()
    assert await hasher.hash(PASSWORD)
