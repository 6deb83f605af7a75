"""``authserver serve``: the issuer for real."""

import asyncio
from typing import Annotated

import typer

from authserver import memory
from authserver.cli import ports
from authserver.cli.command import command, make_single
from authserver.cli.desk import make_operator, open_box, open_engine, read_settings, refuse_other_schema
from authserver.cli.dev_settings import ISSUER_PORT
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.terminal import Terminal
from authserver.logs import configure_logs
from authserver.operations.rewrap import check_opens
from authserver.sealing.epoch import EpochError, EpochFile
from authserver.settings import Settings
from authserver.store import state
from authserver.store.engine import AlreadyServedError, ServingLock

app = make_single()


@command(
    app,
    "serve",
    examples="""
    AUTHSERVER_ISSUER=https://id.example.org authserver serve
    authserver serve --host 0.0.0.0 --port 9000 --workers 4
    """,
)
def serve(
    terminal: Terminal,
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on.")] = ISSUER_PORT,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes; more than 1 on PostgreSQL.")] = 1,
) -> None:
    """Serve the issuer. It refuses to start where it could not keep its promises, and says what to do."""
    settings = read_settings()
    if workers > 1 and settings.database_url.startswith("sqlite:"):
        raise CommandFailedError(
            "One SQLite file is served by one process; --workers needs PostgreSQL.",
            field="workers",
            fix="Set AUTHSERVER_DATABASE_URL=postgresql://user@host/name and run: authserver init",
            exit_code=WRONG_USAGE,
        )
    asyncio.run(check_may_serve(settings, terminal))
    sockets = ports.listen(host, port, fix=f"authserver serve --port {port + 100}")
    terminal.say(f"Serving {settings.issuer} on {host}:{sockets[0].getsockname()[1]}")

    configure_logs(settings.log_level)

    def work() -> int:
        memory.use_one_arena()
        memory.begin_start()  # the server ends it
        from authserver.cli.serving import run  # noqa: PLC0415  # each worker makes its own application after the fork

        return run(settings, sockets)

    if workers == 1:
        code = work()
    else:
        from authserver.cli.workers import Workers  # noqa: PLC0415  # only here

        code = Workers(workers, work).run()
    raise typer.Exit(code)


async def check_may_serve(settings: Settings, terminal: Terminal) -> None:
    """Refuse to serve without the sealing key, on another schema, or from a database that came out of a backup.

    The application asks the same when it starts; here the answer is one line and not a stack of them.
    """
    box = open_box(settings)
    refuse_second_server(settings)
    async with open_engine(settings) as engine:
        await refuse_other_schema(engine, settings)
        await check_opens(make_operator(settings, engine), box)
        async with engine.read() as tx:
            known = await state.load(tx)
    try:
        warning = EpochFile.of(settings).check(known.epoch)
    except EpochError as error:
        raise CommandFailedError(str(error)) from error
    if warning:
        terminal.say(f"Warning: {warning}")


def refuse_second_server(settings: Settings) -> None:
    """Raise where another process serves the same SQLite file."""
    try:
        with ServingLock(settings.database_url):
            return
    except AlreadyServedError as error:
        raise CommandFailedError(str(error)) from error
