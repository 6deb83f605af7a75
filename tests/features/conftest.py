"""Servers at which clients can be registered over HTTP."""

import pytest


@pytest.fixture
async def anybody(start_server):
    """A server at which anybody may register."""
    return await start_server(client_registration="open")


@pytest.fixture
async def vouched(start_server):
    """A server that wants an initial access token."""
    return await start_server(client_registration="token")
