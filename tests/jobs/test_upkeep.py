"""What a serving process does by itself."""

import asyncio

import pytest


@pytest.mark.fault("B25")
async def test_every_process_follows_the_version_row_and_one_does_everything_else(server):
    leased = {job.name: job.leased for job in server.app._jobs._jobs}
    assert leased == {
        "confirm": False,
        "purge": True,
        "keys": True,
        "epoch": True,
        "status": False,
        "status_rows": True,
        "logout_notices": False,
        "outbox-0": False,
    }


@pytest.mark.fault("B25")
async def test_each_job_can_run_twice_at_once(server):
    for job in server.app._jobs._jobs:
        await asyncio.gather(job.run(), job.run())
    assert (await server.get("/readyz")).status_code == 200
