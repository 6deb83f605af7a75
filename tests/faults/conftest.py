"""How long the long faults last."""

import pytest


@pytest.fixture
def fault_seconds(request: pytest.FixtureRequest) -> int:
    """Give the seconds that a fault goes on."""
    seconds: int = request.config.getoption("--fault-seconds")
    return seconds


@pytest.fixture
def fault_kills(request: pytest.FixtureRequest) -> int:
    """Give how often a process is killed."""
    kills: int = request.config.getoption("--fault-kills")
    return kills
