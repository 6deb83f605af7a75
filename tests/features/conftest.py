"""Servers at which clients can be registered over HTTP, and one with an app of the organisation."""

import pytest


@pytest.fixture
async def anybody(start_server):
    """A server at which anybody may register."""
    return await start_server(client_registration="open")


@pytest.fixture
async def vouched(start_server):
    """A server that wants an initial access token."""
    return await start_server(client_registration="token")


@pytest.fixture
async def apps(start_server, request):
    """A server at which anybody, or a parameter's, may sign up, with an app of the organisation that makes accounts."""
    from tests.features.test_api import PHONE, Api  # noqa: PLC0415 - for its tests only

    server = await start_server(sign_up=getattr(request, "param", "open"), address_limit_scale=100)
    await server.add_clients(PHONE)
    return Api(server)


@pytest.fixture
async def fake():
    """Another provider on loopback."""
    from tests.upstream import FakeProvider  # noqa: PLC0415 - for its tests only

    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def upstream_server(start_server, fake, request):
    """A server at which people sign in through that provider: as `partner` with OpenID Connect, as `hub` without."""
    from tests.upstream import LOOPBACK, like_github, oidc, register  # noqa: PLC0415 - the same

    sign_up = getattr(request, "param", "open")
    server = await start_server(outbound_allow=LOOPBACK, sign_up=sign_up, address_limit_scale=100)
    await register(server, oidc(fake), like_github(fake))
    return server
