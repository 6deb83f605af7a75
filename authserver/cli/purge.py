"""``authserver purge``: what has expired."""

from authserver.cli.command import command, make_single
from authserver.cli.desk import open_desk
from authserver.cli.terminal import Terminal
from authserver.store.purge import purge_expired

app = make_single()


@command(app, "purge", examples="authserver purge\nauthserver purge --json")
async def purge(terminal: Terminal) -> None:
    """Delete what has expired, in small batches; the server does so by itself.

    Ctrl-C stops after the current batch; the next run goes on where this one stopped.
    """
    async with open_desk(terminal) as desk:
        counts = await purge_expired(desk.engine)
    terminal.show({"rows": sum(counts.values()), **counts})
