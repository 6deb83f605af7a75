"""/livez and /readyz: whether the process should be restarted, and whether it should be sent requests."""

from __future__ import annotations

from datetime import timedelta

import pytest

from authserver.app import utc_now
from authserver.jose.keyring import Keyring


async def test_a_server_is_live_and_ready(server):
    assert (await server.get("/livez")).json() == {"status": "live"}
    assert (await server.get("/readyz")).json() == {"status": "ready"}


async def test_a_draining_server_is_live_and_answers_but_is_not_ready(server):
    server.app.begin_to_drain()
    assert (await server.get("/readyz")).status_code == 503
    assert (await server.get("/livez")).status_code == 200
    assert (await server.get("/jwks")).status_code == 200


async def test_a_server_without_a_key_that_signs_is_not_ready(server):
    max_age = timedelta(seconds=300)
    server.services.live.keyring = Keyring((), issuer=server.issuer, jwks_max_age=max_age, now=utc_now())
    answer = await server.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "keyless")


@pytest.mark.fault("B30")
async def test_a_server_that_has_not_heard_from_its_database_is_not_ready_but_shows_its_keys(server, monkeypatch):
    monkeypatch.setattr(server.services.directory, "_confirmed_at", float("-inf"))
    answer = await server.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stale")
    assert (await server.get("/jwks")).status_code == 200
