"""A sample resource server on Starlette: it verifies the issuer's access tokens locally and never calls it per request.

python clients/api_starlette/app.py --issuer http://localhost:9000 --port 9001
"""

import argparse
import json
import os
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authserver_verifier import AccessToken, Verifier

READ, WRITE = "api:read", "api:write"
MAX_NOTE_BYTES = 4096
MAX_NOTES = 100


class Notes:
    """Each subject's newest notes, in the memory of this process."""

    def __init__(self) -> None:
        self._by_subject: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=MAX_NOTES))

    def add(self, subject: str, text: str) -> None:
        """Keep a note; the oldest of more than `MAX_NOTES` goes."""
        self._by_subject[subject].append(text)

    def of(self, subject: str) -> list[str]:
        """Return the subject's notes, oldest first."""
        return list(self._by_subject.get(subject, ()))


def create_app(issuer: str, audience: str, allow_origins: Sequence[str] = ()) -> Starlette:
    """Return the API. `audience` is its own URL: tokens for any other audience are refused.

    `allow_origins` are the pages whose scripts may ask it from a browser (CORS).
    """
    verify = Verifier(issuer=issuer, audience=audience)
    notes = Notes()

    async def about(_: Request) -> Response:
        """Say what this API is, to anybody."""
        return JSONResponse({"api": audience, "issuer": issuer, "scopes": [READ, WRITE]})

    async def healthz(_: Request) -> Response:
        """Tell that the process answers; it says nothing about the issuer."""
        return JSONResponse({"status": "ok"})

    @verify.starlette()
    async def whoami(_: Request, token: AccessToken) -> Response:
        """Tell what the token says; any token for this API will do."""
        return JSONResponse(describe_token(token))

    @verify.starlette(READ)
    async def list_notes(_: Request, token: AccessToken) -> Response:
        """List the subject's own notes."""
        return JSONResponse({"notes": notes.of(token.subject)})

    @verify.starlette(WRITE)
    async def add_note(request: Request, token: AccessToken) -> Response:
        """Add a note: JSON `{"text": "…"}`, at most 4 KiB."""
        text = await read_note(request)
        if text is None:
            return JSONResponse({"error": f'send {{"text": "…"}}, at most {MAX_NOTE_BYTES} bytes'}, 400)
        notes.add(token.subject, text)
        return JSONResponse({"notes": notes.of(token.subject)}, 201)

    @verify.starlette()
    async def experiment(_: Request, token: AccessToken) -> Response:
        """Answer as far as the token goes: ask for less scope, or more, and compare."""
        return JSONResponse(describe_access(token, len(notes.of(token.subject))))

    @asynccontextmanager
    async def announce(_: Starlette) -> AsyncIterator[None]:
        print(f"{audience} takes tokens of {issuer}", flush=True)
        yield

    return Starlette(
        lifespan=announce,
        middleware=[answer_pages_of(allow_origins)],
        routes=[
            Route("/", about),
            Route("/healthz", healthz),
            Route("/whoami", whoami),
            Route("/notes", list_notes),
            Route("/notes", add_note, methods=["POST"]),
            Route("/experiment", experiment),
        ],
    )


def answer_pages_of(origins: Sequence[str]) -> Middleware:
    """Let scripts of these origins ask and read (CORS): never with cookies, of which this API has none."""
    return Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["WWW-Authenticate"],
    )


def describe_token(token: AccessToken) -> dict[str, object]:
    """Tell what a verified token says."""
    return {
        "subject": token.subject,
        "client_id": token.client_id,
        "scope": sorted(token.scope),
        "expires_at": token.expires_at.isoformat(),
        "key_id": token.key_id,
    }


def describe_access(token: AccessToken, count: int) -> dict[str, object]:
    """Tell what the token's scope lets its subject do; `count` is how many notes there are."""
    may_read, may_write = READ in token.scope, WRITE in token.scope
    return {
        "access": "full" if may_read and may_write else "limited" if may_read or may_write else "none",
        "may": {"read notes": may_read, "write notes": may_write},
        "notes": count if may_read else None,
        "free": MAX_NOTES - count if may_write else None,
        "missing_scope": " ".join(scope for scope in (READ, WRITE) if scope not in token.scope),
    }


async def read_note(request: Request) -> str | None:
    """Return the note's text, or None where the body is too long or does not hold one."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_NOTE_BYTES:
            return None
    try:
        note = json.loads(body)
    except (ValueError, RecursionError):
        return None
    text = note.get("text") if isinstance(note, dict) else None
    return text if isinstance(text, str) else None


def main() -> None:
    """Serve until interrupted. Options win over the environment's ISSUER, AUDIENCE and PORT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", default=os.environ.get("ISSUER", "http://localhost:9000"))
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", "9001"))
    parser.add_argument("--audience", default=os.environ.get("AUDIENCE"), help="default: http://localhost:PORT")
    parser.add_argument("--allow-origin", action="append", default=[], help="a page that may ask from a browser")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 in a container")
    options = parser.parse_args()
    try:
        audience = options.audience or f"http://localhost:{options.port}"
        app = create_app(options.issuer, audience, options.allow_origin)
    except ValueError as error:
        parser.error(str(error))
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
