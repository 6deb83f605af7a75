"""``authserver migrate``: the database's schema."""

from authserver.cli.command import command, make_single
from authserver.cli.desk import find_settings
from authserver.cli.failure import CommandFailedError
from authserver.cli.terminal import Terminal

app = make_single()


@command(app, "migrate", examples="authserver migrate")
def migrate(terminal: Terminal) -> None:
    """Bring the schema to this version; a second run changes nothing, an interrupted one is taken up again.

    The version before this one runs on the new schema too, so migrate first and replace the servers then.
    """
    from authserver.store.migrations import HEAD, SchemaError, upgrade  # noqa: PLC0415  # brings SQLAlchemy

    settings = find_settings(terminal)
    try:
        upgrade(settings.database_url)
    except SchemaError as error:
        raise CommandFailedError(str(error)) from error
    terminal.show({"schema": HEAD})
