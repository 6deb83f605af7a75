"""What holds for every test, those of the samples included: its surroundings, and the event loop."""

import ipaddress
import os
import signal
import sys
from typing import Any

import hypothesis
import pytest

from tests import databases


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how long the faults of `make test-faults` last."""
    parser.addoption("--fault-seconds", type=int, default=15, help="how long a fault goes on; 60 for a release")
    parser.addoption("--fault-kills", type=int, default=20, help="how often a committing process is killed")


# An example has no time limit of its own: on a machine that does other things too, any may take long. Tests have one.
hypothesis.settings.register_profile("patient", hypothesis.settings(deadline=None))
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers ``-n auto`` has: two for each core, as half of a run is waiting."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run: no setting of this machine reaches a test, and no test reaches another machine."""
    for name in [name for name in os.environ if name.startswith("AUTHSERVER_")]:
        del os.environ[name]
    if not hasattr(config, "workerinput"):
        databases.begin_run()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background; tests interrupt what they start
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.addaudithook(_refuse_other_machines)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run: stop what it started."""
    if not hasattr(config, "workerinput"):
        databases.end_run()


def _refuse_other_machines(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = arguments[1][0]
    assert _is_this_machine(host) or host in os.environ.get("TEST_DATABASE_URL", ""), f"a test wanted to reach {host}"


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio; the server knows no other loop."""
    return "asyncio"
