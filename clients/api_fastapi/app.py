"""A sample resource server on FastAPI: it verifies the issuer's access tokens locally and never calls it per request.

python clients/api_fastapi/app.py --issuer http://localhost:9000 --port 9005
"""

import argparse
import os
from collections import defaultdict, deque
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field

from authserver_verifier import AccessToken, Verifier

READ, WRITE = "fastapi:read", "fastapi:write"
MAX_NOTES = 100


class Note(BaseModel):
    """What a client sends to be kept."""

    text: str = Field(max_length=4096)


def create_app(issuer: str, audience: str) -> FastAPI:
    """Return the API. `audience` is its own URL: tokens for any other audience are refused."""
    app = FastAPI(title="Sample API")
    verify = Verifier(issuer=issuer, audience=audience, metadata={"scopes_supported": [READ, WRITE]})
    app.router.routes.append(verify.starlette_metadata())
    notes: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=MAX_NOTES))

    # Each is the whole of an endpoint's access control: what it needs, and the token it gets.
    anybody = Annotated[AccessToken, Depends(verify.scope())]
    reader = Annotated[AccessToken, Depends(verify.scope(READ))]
    writer = Annotated[AccessToken, Depends(verify.scope(WRITE))]

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the process answers; it says nothing about the issuer."""
        return {"status": "ok"}

    @app.get("/whoami")
    async def whoami(token: anybody) -> dict[str, object]:
        """Tell what the token says; any token for this API will do."""
        return {
            "subject": token.subject,
            "client_id": token.client_id,
            "scope": " ".join(sorted(token.scope)),
            "expires_at": token.expires_at,
        }

    @app.get("/notes")
    async def list_notes(token: reader) -> dict[str, list[str]]:
        """List the subject's own notes."""
        return {"notes": list(notes.get(token.subject, ()))}

    @app.post("/notes", status_code=201)
    async def add_note(token: writer, note: Note) -> dict[str, list[str]]:
        """Add a note; the oldest of more than a hundred goes."""
        notes[token.subject].append(note.text)
        return {"notes": list(notes[token.subject])}

    @app.get("/experiment")
    async def experiment(token: anybody) -> dict[str, str]:
        """Answer as far as the token goes: ask for less scope, or more, and compare."""
        missing = " ".join(sorted({READ, WRITE} - token.scope))
        access = "full" if not missing else "limited" if token.scope & {READ, WRITE} else "none"
        return {"access": access, "missing_scope": missing}

    return app


def main() -> None:
    """Serve until interrupted. Options win over the environment's ISSUER, AUDIENCE and PORT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", default=os.environ.get("ISSUER", "http://localhost:9000"))
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", "9005"))
    parser.add_argument("--audience", default=os.environ.get("AUDIENCE"), help="default: http://localhost:PORT")
    options = parser.parse_args()
    try:
        app = create_app(options.issuer, options.audience or f"http://localhost:{options.port}")
    except ValueError as error:
        parser.error(str(error))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
