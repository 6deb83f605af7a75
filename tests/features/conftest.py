"""Servers at which clients can be registered over HTTP, and one with an app of the organisation."""

import pytest

from authserver.store import clients


@pytest.fixture
async def anybody(start_server):
    """A server at which anybody may register."""
    return await start_server(client_registration="open")


@pytest.fixture
async def vouched(start_server):
    """A server that wants an initial access token."""
    return await start_server(client_registration="token")


@pytest.fixture
async def apps(start_server):
    """A server at which anybody may sign up, with an app of the organisation that makes accounts."""
    from tests.features.test_api import PHONE, Api  # noqa: PLC0415 - for its tests only

    server = await start_server(sign_up="open", address_limit_scale=100)
    async with server.services.engine.begin() as tx:
        await clients.add(tx, PHONE)
    await server.services.directory.refresh()
    return Api(server)
