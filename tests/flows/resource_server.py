"""A resource server in a process of its own, on the verifier's defaults: it answers 200 to a token that is good.

python -m tests.flows.resource_server ISSUER AUDIENCE PORT [SECONDS], where SECONDS replaces the ten after which the
verifier asks for a status list again.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authserver_verifier import AccessToken, Verifier, status_list

START_SECONDS = 30  # a hang, not a speed


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
        _wait_until_listening(process, url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_listening(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the resource server ended"
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(url).status_code == 401:
                return
        time.sleep(0.05)
    raise AssertionError("the resource server does not answer")


if __name__ == "__main__":
    _, its_issuer, its_audience, its_port, *interval = sys.argv
    if interval:
        status_list.REFRESH_INTERVAL = float(interval[0])
    uvicorn.run(create_app(its_issuer, its_audience), port=int(its_port), log_level="warning")
