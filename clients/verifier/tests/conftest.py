"""A fake issuer over real HTTP, clocks that tests move, and a verifier that knows both."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from authserver_verifier import Refusal, TokenRefusedError, Verifier
from authserver_verifier.testing import FakeIssuer

AUDIENCE = "https://notes.example.com"
NOW = 1_800_000_000.0

Refused = Callable[[Refusal], AbstractContextManager[None]]


@dataclass
class Clocks:
    """The time of day and the time since some start, which `move` moves together."""

    wall_time: float = NOW
    uptime: float = 5_000.0

    def wall(self) -> float:
        return self.wall_time

    def monotonic(self) -> float:
        return self.uptime

    def move(self, seconds: float) -> None:
        self.wall_time += seconds
        self.uptime += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def issuer(clocks: Clocks) -> Iterator[FakeIssuer]:
    with FakeIssuer(clock=clocks.wall) as running:
        yield running


@pytest.fixture
def verify(issuer: FakeIssuer, clocks: Clocks) -> Verifier:
    return Verifier(issuer.url, AUDIENCE, clock=clocks.wall, monotonic=clocks.monotonic)


@pytest.fixture
def refused() -> Refused:
    """`with refused(Refusal.EXPIRED):` holds when exactly that rule refuses inside."""

    @contextmanager
    def expect(refusal: Refusal) -> Iterator[None]:
        with pytest.raises(TokenRefusedError) as caught:
            yield
        assert caught.value.refusal is refusal

    return expect


@pytest.fixture
def settle() -> Callable[[], None]:
    """Wait until no thread of a verifier asks the issuer in the background."""

    def wait() -> None:
        for thread in threading.enumerate():
            if thread.name.startswith("authserver-verifier"):
                thread.join(10)

    return wait
