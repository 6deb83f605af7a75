"""What a process keeps of its memory, and what it looks at for garbage (PERFORMANCE: memory, cold start)."""

import asyncio
import gc
import subprocess
import sys

import pytest

from authserver import hasher, memory
from authserver.cli import main, root

HASH_AND_GIVE_BACK = """
import asyncio
from authserver import memory
from authserver.hasher import Hasher

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

async def work():
    hasher = Hasher(threads=2)
    await asyncio.gather(*(hasher.hash("correct horse battery staple") for _ in range(6)))
    hasher.close()

assert memory.use_one_arena()
before = resident()
asyncio.run(work())
memory.give_back()
print((resident() - before) // 1024)
"""
SERVE_NOTHING = """
import asyncio, gc, socket
from datetime import timedelta
from authserver import memory
memory.begin_start()
from authserver.cli.serving import Server, build_config
from authserver.feature import Life

async def nothing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

async def work():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(build_config(nothing), Life(), drain=timedelta(0))
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        print(gc.isenabled(), gc.get_freeze_count() > 50_000)
        server.should_exit = True
        await serving

assert not gc.isenabled()
asyncio.run(work())
"""


def run(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_password_hashes_can_be_given_back():
    (kept,) = run(HASH_AND_GIVE_BACK)
    assert int(kept) < 10, "MiB; one hash takes 19"


def test_a_server_leaves_alone_what_its_start_has_made_and_collects_the_rest():
    assert run(SERVE_NOTHING) == ["True", "True"]


@pytest.fixture
def given_back(monkeypatch) -> list[str]:
    times: list[str] = []
    monkeypatch.setattr(hasher, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(memory, "give_back", lambda: times.append("given back"))
    return times


async def test_memory_is_given_back_once_after_the_last_of_many_hashes(given_back):
    cheap = hasher.Hasher(threads=2, memory_kib=64, passes=1)
    await asyncio.gather(*(cheap.hash("a password") for _ in range(6)))
    assert given_back == []
    await asyncio.sleep(0.2)
    assert given_back == ["given back"]
    cheap.close()


async def test_memory_is_kept_for_a_hash_that_comes_soon(given_back, monkeypatch):
    monkeypatch.setattr(hasher, "IDLE_SECONDS", 0.5)
    cheap = hasher.Hasher(threads=1, memory_kib=64, passes=1)
    for _ in range(3):
        await cheap.hash("a password")
        await asyncio.sleep(0.01)
    cheap.close()
    await asyncio.sleep(0.6)
    assert given_back == [], "and a hasher that is closed leaves nothing behind"


def test_a_command_that_fails_leaves_the_collector_on(monkeypatch):
    seen = []
    monkeypatch.setattr(root, "run", lambda arguments: seen.append(gc.isenabled()) or 2)
    assert main(["nonsense"]) == 2
    assert (seen, gc.isenabled()) == ([False], True)
