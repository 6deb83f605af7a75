"""Status lists while the database is away, and when it comes back: the real jobs of a server, behind a real proxy."""

import asyncio
from datetime import timedelta

import pytest

from tests.faults.proxy import proxy_to
from tests.server import cheap_hasher, running_server


@pytest.mark.fault("B5")
@pytest.mark.timeout(120)
async def test_a_server_without_its_database_serves_its_last_lists_and_newer_ones_when_it_is_back(
    postgresql_url, tmp_path, monkeypatch
):
    monkeypatch.setattr("authserver.app.Hasher", cheap_hasher)
    async with proxy_to(postgresql_url) as proxy, running_server(proxy.url, tmp_path) as server:
        tokens = await server.code_flow()
        before = await server.get("/status/1")
        await proxy.cut()
        server.ahead = timedelta(seconds=120)  # past the minute after which it would be signed again
        assert (await server.refresh(tokens["refresh_token"])).status_code == 503
        meanwhile = await server.get("/status/1")
        assert (meanwhile.status_code, meanwhile.text) == (200, before.text)
        await proxy.open()
        for _ in range(150):
            after = await server.get("/status/1")
            if after.headers["etag"] != before.headers["etag"]:
                break
            await asyncio.sleep(0.2)
        assert (after.status_code, after.text != before.text) == (200, True)
        assert (await server.refresh(tokens["refresh_token"])).status_code == 200
