"""``authserver purge``: what has expired."""

import asyncio

from authserver.cli.command import command, make_single
from authserver.cli.desk import open_desk
from authserver.cli.progress import Progress
from authserver.cli.terminal import Terminal
from authserver.store.purge import purge_expired
from authserver.store.unused_clients import end_unused_clients

app = make_single()


@command(app, "purge", examples="authserver purge\nauthserver purge --json")
async def purge(terminal: Terminal) -> None:
    """Delete what has expired, and end clients that strangers registered and nobody uses; the server does so itself.

    After Ctrl-C the batches that were done stay done, and the next run goes on from there.
    """
    progress = Progress(terminal, "rows deleted")
    try:
        async with open_desk(terminal) as desk:
            counts = await purge_expired(desk.engine, on_batch=lambda _, rows: progress.advance(rows))
            counts["unused_clients"] = await end_unused_clients(desk.engine)
    except asyncio.CancelledError:  # Ctrl-C
        progress.end()
        terminal.say(f"Stopped after {progress.done} rows. To go on: authserver purge")
        raise
    progress.end()
    terminal.show({"rows": sum(counts.values()), **counts})
