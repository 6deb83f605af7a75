"""The floor of the bench: the HTTP stack of ``serve`` in front of an application that says one fixed thing.

``python -m authserver.cli.bench_floor PORT``
"""

import sys
from typing import Any, Final

import uvicorn

from authserver.cli.serving import build_config

BODY: Final = b'{"status":"ok"}'
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def fixed_answer(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  # ASGI
    """Read nothing of the request and answer it."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    uvicorn.Server(build_config(fixed_answer, host="127.0.0.1", port=int(sys.argv[1]))).run()
