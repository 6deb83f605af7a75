"""A resource server in a process of its own, on the verifier's defaults: it answers 200 to a token that is good.

python -m tests.flows.resource_server ISSUER AUDIENCE PORT [SECONDS], where SECONDS replaces the ten after which the
verifier asks for a status list again.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authserver_verifier import AccessToken, Verifier, status_list
from tests.processes import wait_until_it_answers


def create_app(issuer: str, audience: str) -> Starlette:
    """Return the API: one path, any token for it."""
    verify = Verifier(issuer=issuer, audience=audience)

    @verify.starlette()
    async def good(_: Request, token: AccessToken) -> Response:
        return Response()

    return Starlette(routes=[Route("/", good)])


@contextlib.contextmanager
def running_resource_server(issuer: str, audience: str, port: int, seconds: float | None = None) -> Iterator[str]:
    """Start the process, give its address, and stop it."""
    arguments = [issuer, audience, str(port)] + ([] if seconds is None else [str(seconds)])
    process = subprocess.Popen([sys.executable, "-m", "tests.flows.resource_server", *arguments])
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_until_it_answers(process, url, status=401)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


if __name__ == "__main__":
    _, its_issuer, its_audience, its_port, *interval = sys.argv
    if interval:
        status_list.REFRESH_INTERVAL = float(interval[0])
    uvicorn.run(create_app(its_issuer, its_audience), port=int(its_port), log_level="warning")
