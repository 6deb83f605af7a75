"""The one ASGI adapter of every endpoint that features declare.

It reads a bounded body into :class:`Params`, calls the endpoint, and turns its :class:`Answer`, or the
:class:`OAuthError` it raised, into bytes. It stands in front of Starlette, which has the paths below ``mounted``. It
knows nothing of services or the clock; the callables it is given do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from authserver.logs import get_logger
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import Params
from authserver.phases import UnavailableError
from authserver.web.answers import Answer, error_answer
from authserver.web.facts import Facts
from authserver.web.forwarded import client_address
from authserver.web.page_language import begin_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from starlette.types import ASGIApp, Receive, Scope, Send

    from authserver.web.cors import Cors, CorsPolicy

    Handler: TypeAlias = Callable[[Facts, Params], Awaitable[Answer]]

BODY_LIMIT: Final = 64 * 1024
URL_LIMIT: Final = 8 * 1024
_LENGTH_DIGITS: Final = 19  # of a Content-Length; int() itself gives up on thousands
_FORM: Final = b"application/x-www-form-urlencoded"
_BODILESS: Final = frozenset({204, 304})
_WITH_JSON: Final = frozenset({"POST", "PUT", "PATCH"})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")

log = get_logger("authserver.request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path the edge answers. A ``*`` as its last segment, or the one before, is the ``Facts.path_parameter``."""

    path: str
    methods: frozenset[str]
    handler: Handler
    body: Literal["form", "json", "none"] = "form"
    errors: Literal["json", "page", "problem"] = "json"
    cors: CorsPolicy = "none"


class RenderError(Protocol):
    """Give a refusal the form that whoever asked can read."""

    def __call__(self, facts: Facts, error: OAuthError) -> Answer:
        """Return the page, or the document."""


class ClientGoneError(Exception):
    """The peer hung up before its body was complete; nobody is left to answer."""


class Edge:
    """Path table, parameters, answers and errors of all endpoints, as one ASGI application."""

    def __init__(  # the composition root names each part
        self,
        routes: Iterable[Route],
        *,
        behind: ASGIApp,
        mounted: tuple[str, ...],
        cors: Cors,
        error_page: RenderError,
        problem: RenderError,
        new_request_id: Callable[[], str],
        trusted_proxies: Sequence[IPv4Network | IPv6Network],
    ) -> None:
        """Build the path table; two routes of one path are a bug."""
        self._routes: dict[str, Route] = {}
        for route in routes:
            if route.path in self._routes:
                message = f"two features declare {route.path}"
                raise ValueError(message)
            self._routes[route.path] = route
        self._behind = behind
        self._mounted = mounted
        self._cors = cors
        self._render: Mapping[str, RenderError] = {
            "json": lambda facts, error: error_answer(error, facts.request_id),
            "page": error_page,
            "problem": problem,
        }
        self._new_request_id = new_request_id
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or hand it on."""
        route = self._find(scope)
        if route is None:
            await self._behind(scope, receive, send)
            return
        facts = self._facts(scope, route)
        begin_request(facts)
        try:
            answer = await self._answer(route, facts, scope, receive)
        except ClientGoneError:
            return
        headers = [*answer.headers, ("request-id", facts.request_id)]
        if route.cors != "none":
            headers += self._cors.headers(route.cors, facts.header(b"origin"))
        await _send(answer, headers, facts.method, send)

    def _find(self, scope: Scope) -> Route | None:
        if scope["type"] != "http":
            return None
        path: str = scope["path"]
        route = self._routes.get(path)
        if route is None:
            parent, _, last = path.rpartition("/")
            front, _, middle = parent.rpartition("/")
            route = self._routes.get(f"{parent}/*") if last else None
            if route is None and middle:
                route = self._routes.get(f"{front}/*/{last}")
        if route is None and not path.startswith(self._mounted):
            return _NOWHERE_FOR_PEOPLE if _wants_page(scope) else _NOWHERE
        return route

    def _facts(self, scope: Scope, route: Route) -> Facts:
        headers = tuple(scope["headers"])
        path: str = scope["path"]
        peer = scope["client"][0] if scope["client"] else ""
        offered = _first(headers, b"request-id").decode("latin-1")
        return Facts(
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            address=client_address(peer, headers, self._trusted_proxies) if self._trusted_proxies else peer,
            request_id=offered if offered and _REQUEST_ID.fullmatch(offered) else self._new_request_id(),
            path_parameter=_parameter(route.path, path),
        )

    async def _answer(self, route: Route, facts: Facts, scope: Scope, receive: Receive) -> Answer:
        """Run the endpoint and log the request's one event; whatever is raised becomes an answer."""
        try:
            if facts.method == "OPTIONS" and route.cors != "none":
                return self._cors.preflight(route.cors, route.methods, facts.header(b"origin"))
            _check_request_line(route, facts, scope)
            if route.body == "none":
                form = Params()
            elif facts.method == "POST" and route.body == "form":
                form = Params.parse(await _read_form(facts, receive))
            elif route.body == "json" and facts.method in _WITH_JSON:
                facts, form = await _read_json(facts, receive), Params()
            else:
                form = Params.parse(facts.query) if facts.query else Params()
            answer = await route.handler(facts, form)
        except OAuthError as error:
            log.info("refused", **_event(facts), status=error.status, error=error.error, refusal=error.refusal)
            return self._render[route.errors](facts, error)
        except UnavailableError as error:
            log.warning("unavailable", **_event(facts), status=503, refusal=error.refusal, cause=str(error))
            return self._render[route.errors](facts, _unavailable(error))
        except ClientGoneError:
            raise
        except Exception:  # one request's bug is that request's 500
            log.exception("bug", **_event(facts), status=500)
            description = "an unexpected error; it has been logged"
            bug = OAuthError(ErrorCode.SERVER_ERROR, description, Refusal.BUG)
            return self._render[route.errors](facts, bug)
        log.info("answered", **_event(facts), status=answer.status, **answer.log)
        return answer


def _parameter(pattern: str, path: str) -> str:
    """Return what of a path stands where a route has its ``*``: the last part of it, or the one before."""
    if pattern.endswith("*"):
        return path.rpartition("/")[2]
    return path.rsplit("/", 2)[1] if "*" in pattern else ""


def _first(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    """Return the first value of a header; nothing where it is absent."""
    for name, value in headers:
        if name == wanted:
            return value
    return b""


async def _find_nothing(facts: Facts, form: Params) -> Answer:  # noqa: ARG001 - a handler
    raise OAuthError(ErrorCode.INVALID_REQUEST, "there is nothing at this address", Refusal.PATH_UNKNOWN, status=404)


def _wants_page(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


_EVERY_METHOD: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NOWHERE: Final = Route(path="", methods=_EVERY_METHOD, handler=_find_nothing, body="none")
_NOWHERE_FOR_PEOPLE: Final = Route(path="", methods=_EVERY_METHOD, handler=_find_nothing, body="none", errors="page")


def _event(facts: Facts) -> dict[str, str]:
    return {
        "request_id": facts.request_id,
        "method": facts.method,
        "path": facts.path,
        "address": facts.address,
    }


def _unavailable(error: UnavailableError) -> OAuthError:
    return OAuthError(
        ErrorCode.TEMPORARILY_UNAVAILABLE,
        "the server cannot decide this right now; try again",
        Refusal.STORAGE_UNAVAILABLE,
        headers=(("retry-after", str(error.retry_after)),),
    )


def _check_request_line(route: Route, facts: Facts, scope: Scope) -> None:
    if facts.method not in route.methods and not (facts.method == "HEAD" and "GET" in route.methods):
        allowed = ", ".join(sorted(route.methods))
        raise OAuthError(
            ErrorCode.INVALID_REQUEST,
            f"this endpoint answers {allowed}",
            Refusal.METHOD_NOT_ALLOWED,
            status=405,
            headers=(("allow", allowed),),
        )
    if "\x00" in facts.path:  # no id has one, and PostgreSQL would not even compare it
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "the path must not hold NUL characters", Refusal.PARAMETERS_MALFORMED
        )
    if len(scope["query_string"]) > URL_LIMIT:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "the URL is longer than 8 KiB", Refusal.PARAMETER_TOO_LONG, status=414
        )


async def _read_form(facts: Facts, receive: Receive) -> bytes:
    body = await _read_body(facts, receive)
    if body and _media_type(facts) != _FORM:
        raise _wrong_type("application/x-www-form-urlencoded")
    return body


async def _read_json(facts: Facts, receive: Receive) -> Facts:
    body = await _read_body(facts, receive)
    if _media_type(facts) != b"application/json":
        raise _wrong_type("application/json")
    return replace(facts, body=body)


def _media_type(facts: Facts) -> bytes:
    return _first(facts.headers, b"content-type").partition(b";")[0].strip().lower()


def _wrong_type(expected: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_REQUEST, f"send the body as {expected}", Refusal.CONTENT_TYPE_WRONG, status=415)


async def _read_body(facts: Facts, receive: Receive) -> bytes:
    """Return the whole body; 413 as soon as it is declared or found to be longer than ``BODY_LIMIT``."""
    declared = _first(facts.headers, b"content-length") or b"0"
    if not declared.isdigit() or len(declared) > _LENGTH_DIGITS or int(declared) > BODY_LIMIT:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > BODY_LIMIT:
            raise _too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large() -> OAuthError:
    return OAuthError(
        ErrorCode.INVALID_REQUEST,
        "the body is larger than 64 KiB",
        Refusal.BODY_TOO_LARGE,
        status=413,
        headers=(("connection", "close"),),
    )


async def _send(answer: Answer, headers: Iterable[tuple[str, str]], method: str, send: Send) -> None:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if answer.status not in _BODILESS:
        encoded.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
