"""``authserver healthcheck``: for a container's HEALTHCHECK."""

import http.client
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_single
from authserver.cli.dev_settings import ISSUER_PORT
from authserver.cli.failure import CommandFailedError
from authserver.cli.terminal import Terminal

app = make_single()

_SECONDS: Final = 3.0


@command(app, "healthcheck", examples="authserver healthcheck\nauthserver healthcheck --port 9100")
def healthcheck(
    terminal: Terminal,
    *,
    host: Annotated[str, typer.Option("--host", help="Where the server listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Its port.")] = ISSUER_PORT,
) -> None:
    """Ask the server's /readyz; exits 0 where it is ready and 1 where it is not, or does not answer."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise CommandFailedError(f"Nothing answers at {host}:{port}: {error}") from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise CommandFailedError(f"The server at {host}:{port} is not ready (HTTP {status}).")
    terminal.show({"host": host, "port": port, "ready": True})
