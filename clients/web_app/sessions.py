"""Server-side sessions: the browser holds a random id, this process holds the tokens.

Tokens never reach the browser, so nothing that runs in a page can take them. Where several processes serve the app, the
same dictionary belongs into a store that they share.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Cookies ignore ports: on localhost this app, the API and the issuer share one jar, so the name must be our own.
COOKIE: Final = "web_app_session"


class Session(dict[str, Any]):
    """What is remembered of one browser. ``lock`` lets one request at a time renew its tokens."""

    def __init__(self) -> None:
        """Start empty and unknown to the browser; a session that stays empty is never stored."""
        super().__init__()
        self.id: str | None = None
        self.seen_at = time.monotonic()
        self.lock = asyncio.Lock()
        self.wants_new_id = False

    def renew_id(self) -> None:
        """Have the browser get another id with this answer: nobody who planted the old one may come along."""
        self.wants_new_id = True


def session_of(connection: HTTPConnection) -> Session:
    """Return the session that ``ServerSessions`` gave this request; Authlib finds it as ``request.session``."""
    return cast("Session", connection.scope["session"])


def all_sessions_of(connection: HTTPConnection) -> ServerSessions:
    """Return the sessions of all browsers, for a request that comes from none."""
    return cast("ServerSessions", connection.scope["all_sessions"])


class ServerSessions:
    """ASGI middleware that gives each request its ``Session`` as ``request.session``."""

    def __init__(self, app: ASGIApp, *, secure: bool, lifetime: float = 43_200, limit: int = 10_000) -> None:
        """Keep at most ``limit`` sessions, each for ``lifetime`` seconds after its last request."""
        self.app = app
        self.secure = secure
        self.lifetime = lifetime
        self.limit = limit
        self._sessions: dict[str, Session] = {}  # oldest use first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the browser's session, run the app, and set or clear the cookie where something changed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = HTTPConnection(scope).cookies.get(COOKIE)
        session = self._find(asked)
        scope["session"] = session
        scope["all_sessions"] = self

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._keep(session)
                if session.id != asked:
                    MutableHeaders(scope=message).append("set-cookie", self._cookie(session.id))
            await send(message)

        await self.app(scope, receive, send_with_cookie)

    def end(self, is_meant: Callable[[Session], bool]) -> None:
        """Forget the sessions that are meant; a request that is using one at this moment will have kept nothing."""
        for session_id in [one for one, session in self._sessions.items() if is_meant(session)]:
            del self._sessions[session_id]

    def _find(self, session_id: str | None) -> Session:
        now = time.monotonic()
        session = self._sessions.pop(session_id, None) if session_id is not None else None
        if session is None or session.id is None or now - session.seen_at > self.lifetime:
            return Session()
        session.seen_at = now
        self._sessions[session.id] = session
        return session

    def _keep(self, session: Session) -> None:
        if session.id is not None and (session.wants_new_id or not session):
            self._sessions.pop(session.id, None)
            session.id = None
        if session and session.id is None:
            session.id = secrets.token_urlsafe(32)
            session.wants_new_id = False
            self._sessions[session.id] = session
            while len(self._sessions) > self.limit:
                del self._sessions[next(iter(self._sessions))]

    def _cookie(self, session_id: str | None) -> str:
        attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if self.secure else "")
        return f"{COOKIE}={session_id}{attributes}" if session_id else f"{COOKIE}={attributes}; Max-Age=0"
