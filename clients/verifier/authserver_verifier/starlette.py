"""Starlette endpoints that need an access token."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authserver_verifier.bearer import check_form, is_form
from authserver_verifier.claims import AccessToken
from authserver_verifier.refusals import RequestRefusedError
from authserver_verifier.request import from_asgi
from authserver_verifier.requirement import Requirement

if TYPE_CHECKING:
    from authserver_verifier.verifier import Verifier

Endpoint = Callable[[Request, AccessToken], Awaitable[Response] | Response]
Guarded = Callable[[Request], Awaitable[Response]]
Decorator = Callable[[Endpoint], Guarded]


def decorator(verifier: "Verifier", requirement: Requirement) -> Decorator:
    """Return a decorator for `endpoint(request, token)`, async or not; a plain function runs in a thread."""

    def decorate(endpoint: Endpoint) -> Guarded:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            try:
                access_token = await verifier.authorize_async(from_asgi(request.scope), requirement)
                if is_form(request.headers.raw):
                    check_form(await request.body())  # Starlette keeps it for the endpoint
            except RequestRefusedError as refused:
                return Response(refused.body(), refused.status, refused.headers(verifier.challenge))
            if inspect.iscoroutinefunction(endpoint):
                return cast("Response", await endpoint(request, access_token))
            return cast("Response", await run_in_threadpool(endpoint, request, access_token))

        return guarded

    return decorate


def metadata_route(verifier: "Verifier") -> Route:
    """Return the route that answers the API's metadata (RFC 9728 §3), to anybody and from any origin."""
    metadata = verifier.metadata

    async def resource_metadata(_: Request) -> Response:
        return Response(metadata, media_type="application/json", headers={"access-control-allow-origin": "*"})

    return Route(verifier.metadata_path, resource_metadata)
