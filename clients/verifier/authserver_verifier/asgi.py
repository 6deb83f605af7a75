"""Guarding a whole ASGI application, of any framework."""

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from authserver_verifier.bearer import check_form, is_form
from authserver_verifier.refusals import RequestRefusedError

if TYPE_CHECKING:
    from authserver_verifier.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY_VIOLATION = 1008
_MAX_FORM_BYTES = 65536


class BearerGuard:
    """Lets through only requests with an access token that carries the needed scopes.

    The application finds it as `scope["state"]["access_token"]` (Starlette: `request.state.access_token`). A websocket
    is let through by the same rule, before it is accepted.
    """

    def __init__(self, app: Application, verifier: "Verifier", needed: frozenset[str]) -> None:
        self._app = app
        self._verifier = verifier
        self._needed = needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            access_token = await self._verifier.authorize(
                scope["headers"], scope.get("query_string", b""), self._needed
            )
            if scope["type"] == "http" and is_form(scope["headers"]):
                form, receive = await _read_form(receive)
                check_form(form)
        except RequestRefusedError as refused:
            await self._refuse(refused, scope, send)
            return
        scope.setdefault("state", {})["access_token"] = access_token
        await self._app(scope, receive, send)

    async def _refuse(self, refused: RequestRefusedError, scope: Scope, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        headers = [(name.encode(), value.encode()) for name, value in refused.headers(self._verifier.audience).items()]
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": refused.body()})


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
