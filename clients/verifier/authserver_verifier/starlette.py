"""Starlette endpoints that need an access token."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from authserver_verifier.bearer import check_form, is_form
from authserver_verifier.claims import AccessToken
from authserver_verifier.refusals import RequestRefusedError

if TYPE_CHECKING:
    from authserver_verifier.verifier import Verifier

Endpoint = Callable[[Request, AccessToken], Awaitable[Response] | Response]
Guarded = Callable[[Request], Awaitable[Response]]
Decorator = Callable[[Endpoint], Guarded]


def decorator(verifier: "Verifier", needed: frozenset[str]) -> Decorator:
    """Return a decorator for `endpoint(request, token)`, async or not; a plain function runs in a thread."""

    def decorate(endpoint: Endpoint) -> Guarded:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            try:
                access_token = await verifier.authorize(request.headers.raw, request.scope["query_string"], needed)
                if is_form(request.headers.raw):
                    check_form(await request.body())  # Starlette keeps it for the endpoint
            except RequestRefusedError as refused:
                return Response(refused.body(), refused.status, refused.headers(verifier.audience))
            if inspect.iscoroutinefunction(endpoint):
                return cast("Response", await endpoint(request, access_token))
            return cast("Response", await run_in_threadpool(endpoint, request, access_token))

        return guarded

    return decorate
