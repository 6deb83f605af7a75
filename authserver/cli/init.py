"""``authserver init``: a new installation."""

from authserver.cli.command import command, make_single
from authserver.cli.desk import read_settings
from authserver.cli.failure import CommandFailedError
from authserver.cli.initialize import prepare
from authserver.cli.records import record_signing_key
from authserver.cli.terminal import Record, Terminal
from authserver.sealing.keyring_file import VARIABLE

app = make_single()


@command(
    app,
    "init",
    examples="""
    AUTHSERVER_ISSUER=https://id.example.org authserver init
    AUTHSERVER_ISSUER=https://id.example.org AUTHSERVER_DATABASE_URL=postgresql://db/authserver authserver init
    """,
)
async def init(terminal: Terminal) -> None:
    """Make the sealing key file, the schema and the first signing keys. Nothing is ever overwritten.

    Keep a copy of the sealing key away from the database's backups: together they are the keys of the house.
    """
    settings = read_settings()
    made = await prepare(settings)
    ring = VARIABLE if settings.sealing_key is not None else str(settings.sealing_key_file)
    if not made.sealing_key and not made.signing_keys:
        raise CommandFailedError(
            f"This installation exists already: {ring} and the signing keys are there.",
            fix="Nothing was changed. To bring the schema to this version: authserver migrate",
        )
    signing_keys = [record_signing_key(listing) for listing in made.signing_keys]
    terminal.show(
        {
            "issuer": settings.issuer,
            "sealing_key_file": None if settings.sealing_key is not None else str(settings.sealing_key_file),
            "sealing_key_made": made.sealing_key,
            "signing_keys": signing_keys if terminal.as_json else [_tell(key) for key in signing_keys],
        }
    )
    terminal.say(
        f"Copy {ring} to a safe place: without it the signing keys cannot be opened.\n"
        "Next: authserver users create USERNAME --email E --admin\n"
        "      authserver serve"
    )


def _tell(key: Record) -> str:
    """Return what people want to know of a new key; `keys list` has its times."""
    return f"{key['kid']} ({key['alg']}, {key['state']})"
