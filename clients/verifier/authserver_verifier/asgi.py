"""Guarding a whole ASGI application, of any framework."""

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from authserver_verifier.bearer import check_form, is_form
from authserver_verifier.refusals import RequestRefusedError
from authserver_verifier.request import from_asgi
from authserver_verifier.requirement import Requirement

if TYPE_CHECKING:
    from authserver_verifier.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY_VIOLATION = 1008
_METADATA_HEADERS = {"content-type": "application/json", "access-control-allow-origin": "*"}
_MAX_FORM_BYTES = 65536


class BearerGuard:
    """Lets through only requests with an access token that meets the requirement.

    The application finds it as `scope["state"]["access_token"]` (Starlette: `request.state.access_token`). A websocket
    is let through by the same rule, before it is accepted. This API's metadata, where it publishes some, are answered
    here, to anybody.
    """

    def __init__(self, app: Application, verifier: "Verifier", requirement: Requirement) -> None:
        self._app = app
        self._verifier = verifier
        self._requirement = requirement
        self._metadata_path = verifier.metadata_path if verifier.metadata is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if scope["path"] == self._metadata_path and scope["type"] == "http":
            await _answer(send, 200, _METADATA_HEADERS, self._verifier.metadata or b"")
            return
        try:
            access_token = await self._verifier.authorize_async(from_asgi(scope), self._requirement)
            if scope["type"] == "http" and is_form(scope["headers"]):
                form, receive = await _read_form(receive)
                check_form(form)
        except RequestRefusedError as refused:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            else:
                await _answer(send, refused.status, refused.headers(self._verifier.challenge), refused.body())
            return
        scope.setdefault("state", {})["access_token"] = access_token
        await self._app(scope, receive, send)


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def _read_form(receive: Receive) -> tuple[bytes, Receive]:
    """Read a form of at most 64 KiB, or that much of it; the `receive` returned gives it to the application again."""
    messages: deque[Message] = deque()
    form, more = b"", True
    while more and len(form) <= _MAX_FORM_BYTES:
        messages.append(await receive())
        form += messages[-1].get("body", b"")
        more = messages[-1].get("more_body", False)  # false in the last chunk and in a disconnect

    async def replay() -> Message:
        return messages.popleft() if messages else await receive()

    return form, replay
