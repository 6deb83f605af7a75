"""The way from the edge to the application behind ``/api``, and back."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from authserver.web.answers import NO_STORE, Answer, has_already

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Scope

    from authserver.feature import Call
    from authserver.oauth.params import Params

MODULE: Final = "authserver.features.api.application"
_loading = asyncio.Lock()


async def api(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Let the application read the body, run the operation, and return its answer; raise what it refused."""
    application = await _load_application()
    headers = tuple(header for header in call.facts.headers if header[0] != b"cookie")  # DESIGN §2: none is read
    call = replace(call, facts=replace(call.facts, headers=headers))
    state: dict[str, Any] = {"call": call, "log": {}, "refusal": None}
    answer = await _ask(application, _scope(call, state), call.facts.body, state["log"])
    if state["refusal"] is not None:
        raise state["refusal"]
    return answer


async def document(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /openapi.json (OpenAPI 3.1)."""
    await _load_application()
    from authserver.features.api.application import build_document  # noqa: PLC0415 - imported a line above

    body = build_document(call.services.settings.issuer)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = (("etag", etag), ("cache-control", "no-cache"), ("x-content-type-options", "nosniff"))
    if has_already(call.facts.header(b"if-none-match"), etag):
        return Answer(status=304, headers=headers)
    return Answer(headers=(("content-type", "application/json"), *headers), body=body)


async def _load_application() -> ASGIApp:
    """Import FastAPI with the first request, in a thread, so that other requests go on meanwhile."""
    if MODULE in sys.modules and not _loading.locked():
        return _import()
    async with _loading:
        return await asyncio.to_thread(_import)


def _import() -> ASGIApp:
    from authserver.features.api.application import build_application  # noqa: PLC0415 - a third of a second, 20 MB

    return build_application()


def _scope(call: Call, state: Mapping[str, Any]) -> Scope:
    facts = call.facts
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "https",
        "method": facts.method,
        "path": facts.path,
        "raw_path": facts.path.encode(),
        "root_path": "",
        "query_string": facts.query.encode("latin-1"),
        "headers": list(facts.headers),
        "client": None,
        "server": None,
        "state": state,
    }


async def _ask(application: ASGIApp, scope: Scope, body: bytes, log: Mapping[str, str]) -> Answer:
    """Run the application on a request that is here whole, and return what it sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await application(scope, receive, send)
    head, *pieces = sent
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in head["headers"]
        if name != b"content-length"
    )
    content = b"".join(piece.get("body", b"") for piece in pieces)
    return Answer(status=head["status"], headers=headers or NO_STORE, body=content, log=log)
