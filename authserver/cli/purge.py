"""``authserver purge``: what has expired."""

from authserver.cli.command import command, make_single
from authserver.cli.desk import open_desk
from authserver.cli.terminal import Terminal
from authserver.store.purge import purge_expired
from authserver.store.unused_clients import end_unused_clients

app = make_single()


@command(app, "purge", examples="authserver purge\nauthserver purge --json")
async def purge(terminal: Terminal) -> None:
    """Delete what has expired, and end clients that strangers registered and nobody uses; the server does so itself.

    Ctrl-C stops after the current batch; the next run goes on where this one stopped.
    """
    async with open_desk(terminal) as desk:
        counts = {**await purge_expired(desk.engine), "unused_clients": await end_unused_clients(desk.engine)}
    terminal.show({"rows": sum(counts.values()), **counts})
