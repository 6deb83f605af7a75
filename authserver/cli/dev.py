"""``authserver dev``: one command to a ready issuer with a demo user, a sample API and a sample app."""

import asyncio
import signal
import socket
import time
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer
import uvloop

from authserver.cli import dev_data, ports
from authserver.cli.command import command, make_single
from authserver.cli.desk import make_operator, open_engine, read_dev_settings
from authserver.cli.dev_block import Told, describe_start
from authserver.cli.dev_samples import RunningSamples, Sample, find_samples, running
from authserver.cli.dev_settings import API_PORT, ISSUER_PORT, WEB_PORT
from authserver.cli.failure import CommandFailedError
from authserver.cli.initialize import prepare
from authserver.cli.offer import read_offer
from authserver.cli.serve import refuse_second_server
from authserver.cli.serving import build_server
from authserver.cli.terminal import Terminal
from authserver.logs import configure_logs
from authserver.settings import Settings

app = make_single()

_PORT_STEP: Final = 100  # to the ports that are proposed where one is taken
_SAMPLE_SECONDS: Final = 10.0  # for a sample to listen, before it is told that one does not


@command(
    app,
    "dev",
    examples="""
    authserver dev
    authserver dev --port 9100 --api-port 9101 --web-port 9102
    authserver dev --no-samples
    """,
)
def dev(
    terminal: Terminal,
    *,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The issuer's port.")] = ISSUER_PORT,
    api_port: Annotated[int, typer.Option("--api-port", min=1, max=65535, help="The sample API's.")] = API_PORT,
    web_port: Annotated[int, typer.Option("--web-port", min=1, max=65535, help="The sample app's.")] = WEB_PORT,
    no_samples: Annotated[bool, typer.Option("--no-samples", help="Start the issuer alone.")] = False,
) -> None:
    """Start a demo issuer. Not for real users: its passwords are printed in the manual.

    Data stays in var/dev.sqlite3 between starts; delete var/ to begin anew. An issuer at another port has its own data,
    in var/dev-PORT.sqlite3. Settings of the environment are read, but never which issuer, database or sealing key is
    meant.
    """
    started_at = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    issuer = f"http://localhost:{port}"
    samples = () if no_samples else find_samples(issuer, api_port=api_port, web_port=web_port)
    sockets = _check_ports(port, samples)
    settings = read_dev_settings(port=port, api_port=api_port, web_port=web_port)
    configure_logs(settings.log_level, readable=True)
    told = Told(
        settings=settings, samples=samples, port=port, api_port=api_port, started_at=started_at, terminal=terminal
    )
    with running(samples) as children, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_run(settings, sockets, children, told, web_port=web_port))
    raise typer.Exit(code)


async def _run(
    settings: Settings,
    sockets: Sequence[socket.socket],
    children: RunningSamples,
    told: Told,
    *,
    web_port: int,
) -> int:
    """Make what is missing, serve, say so, and return the exit code when it is over."""
    await prepare(settings)
    refuse_second_server(settings)
    async with open_engine(settings) as engine:
        operator = make_operator(settings, engine)
        await dev_data.seed(operator, await read_offer(operator), api_port=told.api_port, web_port=web_port)
    server = build_server(settings, demo=told.demo())
    serving = asyncio.create_task(server.serve(sockets=list(sockets)))
    while not server.started:
        if serving.done():
            await serving
            raise CommandFailedError("The issuer did not start; the lines above say why.")
        await asyncio.sleep(0.01)
    for sample in await children.wait_until_listening(_SAMPLE_SECONDS):
        told.terminal.say(f"The {sample.label} does not answer at {sample.url}.")
    typer.echo(describe_start(told))
    await serving
    return server.exit_code


def _check_ports(port: int, samples: Sequence[Sample]) -> list[socket.socket]:
    """Take the issuer's port and look whether the samples' are free, before anything is made."""
    sockets = ports.listen("localhost", port, fix=f"authserver dev --port {port + _PORT_STEP}")
    for sample in samples:
        option = "--web-port" if sample.label == "Sample app" else "--api-port"
        ports.check_free(sample.port, fix=f"authserver dev {option} {sample.port + _PORT_STEP}")
    return sockets


def _leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  # a signal handler's signature
    """End as Ctrl-C does, through every ``finally``, when told to before the server has its own handler."""
    raise SystemExit(128 + number)
