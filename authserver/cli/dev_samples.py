"""The sample API and the sample app as child processes of ``authserver dev``; a wheel has none."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import authserver
from authserver.cli.dev_data import WEB_CLIENT_ID, WEB_CLIENT_SECRET, WEB_SCOPE
from authserver.cli.dev_settings import SPA_ORIGIN

_CLIENTS: Final = Path(authserver.__file__).resolve().parents[1] / "clients"
_STOP_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A program of ``clients/`` and where it listens."""

    label: str
    program: Path
    port: int
    arguments: tuple[str, ...]
    secret: str | None = None  # by the environment: arguments show in the process list

    @property
    def url(self) -> str:
        """Where people find it."""
        return f"http://localhost:{self.port}"


def find_samples(issuer: str, *, api_port: int, web_port: int) -> tuple[Sample, ...]:
    """Return the samples of this checkout, the app first; empty where the package was installed without them."""
    api = f"http://localhost:{api_port}"
    samples = (
        Sample(
            label="Sample app",
            program=_CLIENTS / "web_app" / "app.py",
            port=web_port,
            arguments=(
                *("--issuer", issuer, "--port", str(web_port), "--base-url", f"http://localhost:{web_port}"),
                *("--client-id", WEB_CLIENT_ID, "--scope", WEB_SCOPE, "--api", api),
            ),
            secret=WEB_CLIENT_SECRET,
        ),
        Sample(
            label="Sample API",
            program=_CLIENTS / "api_starlette" / "app.py",
            port=api_port,
            arguments=("--issuer", issuer, "--port", str(api_port), "--audience", api, "--allow-origin", SPA_ORIGIN),
        ),
    )
    return tuple(sample for sample in samples if sample.program.exists())


class RunningSamples:
    """The started programs."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        """Start each in a session of its own: Ctrl-C reaches this process, which then stops them in order."""
        self.samples = samples
        self._processes = [
            subprocess.Popen(  # noqa: S603  # our own programs with our own arguments
                [sys.executable, str(sample.program), *sample.arguments],
                env=_environment(sample),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            for sample in samples
        ]

    async def wait_until_listening(self, seconds: float) -> tuple[Sample, ...]:
        """Wait for every program's port, at most so long; return those that do not answer."""
        results = await asyncio.gather(
            *(
                _wait_for(sample, process, seconds)
                for sample, process in zip(self.samples, self._processes, strict=True)
            )
        )
        return tuple(sample for sample, listens in zip(self.samples, results, strict=True) if not listens)

    def stop(self) -> None:
        """End every program: politely, and after a while not."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def running(samples: Sequence[Sample]) -> Iterator[RunningSamples]:
    """Run the programs until the block is left, however it is left."""
    started = RunningSamples(samples)
    try:
        yield started
    finally:
        started.stop()


def _environment(sample: Sample) -> dict[str, str]:
    """Return this process's environment without the server's settings, and with the sample's secret."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTHSERVER_")}
    return inherited | ({"CLIENT_SECRET": sample.secret} if sample.secret else {})


async def _wait_for(sample: Sample, process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while process.poll() is None:
                if await _listens(sample.port):
                    return True
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    return False


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
