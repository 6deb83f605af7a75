"""A revoked token is refused by a resource server in another process, which never asks the issuer about it."""

import pytest

from tests.flows.fleet import API, Fleet
from tests.flows.resource_server import running_resource_server
from tests.flows.revocations import measure_revocations
from tests.ports import free_ports


@pytest.mark.product("S6")
@pytest.mark.timeout(120)
async def test_a_revoked_token_is_refused_within_seconds(fleet: Fleet) -> None:
    (port,) = free_ports(1)
    with running_resource_server(fleet.issuer, API, port, seconds=1.0) as url:
        (seconds,) = await measure_revocations(fleet, url, count=1, spread=0.0)
    assert seconds < 6, "one second of the resource server's, one of the issuer's, and what requests take"
