"""Django views that need an access token.

`settings.AUTHSERVER_VERIFIER = {"issuer": …, "audience": …}` holds the arguments of `Verifier`, by their names. The
verifier is made when the first request needs it; tests that override the setting get another.
"""

import functools
from collections.abc import Awaitable, Callable, Collection
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from authserver_verifier.claims import AccessToken
from authserver_verifier.refusals import Refusal, RequestRefusedError, TokenRefusedError
from authserver_verifier.request import ProtectedRequest, from_asgi, wsgi_headers
from authserver_verifier.requirement import Requirement, require
from authserver_verifier.verifier import Verifier

View = Callable[..., Any]

_SETTING = "AUTHSERVER_VERIFIER"
_FORM_TYPE = "application/x-www-form-urlencoded"


@functools.cache
def get_verifier() -> Verifier:
    """Return this process's verifier. Raises ImproperlyConfigured where the setting is missing or cannot be right."""
    arguments = getattr(settings, _SETTING, None)
    if not isinstance(arguments, dict) or not {"issuer", "audience"} <= arguments.keys():
        raise ImproperlyConfigured(f"{_SETTING} is a dictionary with issuer and audience, and other verifier arguments")
    try:
        return Verifier(**arguments)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{_SETTING}: {error}") from error


def protected(*scopes: str, acr_values: Collection[str] = (), max_age: int | None = None) -> Callable[[View], View]:
    """A decorator for views, async or not, that finds the token and gives it as `request.access_token`."""
    requirement = require(scopes, acr_values, max_age)

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
                try:
                    request.access_token = await authorize_async(request, requirement)
                except RequestRefusedError as refused:
                    return answer(refused)
                return await view(request, *args, **kwargs)

            return guarded_async

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as the view has them
            try:
                request.access_token = authorize(request, requirement)
            except RequestRefusedError as refused:
                return answer(refused)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def public(view: View) -> View:
    """Mark a view that `RequireAccessToken` lets anybody reach."""
    view.is_public = True  # type: ignore[attr-defined]  # Django's own marks, csrf_exempt for one, are made like this
    return view


class RequireAccessToken:
    """Middleware: every view needs an access token, in `request.access_token`, unless it is marked `@public`.

    Which scopes, the views say with `protected`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        """Pass the request on: the view it is for is not known yet."""
        return cast("HttpResponse | Awaitable[HttpResponse]", self._get_response(request))

    def process_view(self, request: HttpRequest, view: View, *_: object) -> HttpResponse | None:
        """Refuse a request for a view that is not public; Django runs this in a thread where it runs async."""
        if getattr(view, "is_public", False):
            return None
        try:
            request.access_token = authorize(request, Requirement())
        except RequestRefusedError as refused:
            return answer(refused)
        return None


@public
def resource_metadata(_: HttpRequest) -> HttpResponse:
    """Answer this API's metadata (RFC 9728 §3), to anybody and from any origin."""
    headers = {"access-control-allow-origin": "*"}
    return HttpResponse(get_verifier().metadata, content_type="application/json", headers=headers)


def metadata_urls() -> list[URLPattern]:
    """Return the URL pattern of this API's metadata, for the root URL configuration: `*metadata_urls()`."""
    return [path(get_verifier().metadata_path.removeprefix("/"), resource_metadata)]


def authorize(request: HttpRequest, requirement: Requirement) -> AccessToken:
    """Return the access token of a Django request that meets the requirement; raise a refusal if not."""
    access_token = get_verifier().authorize(read_request(request), requirement)
    _check_form(request)
    return access_token


async def authorize_async(request: HttpRequest, requirement: Requirement) -> AccessToken:
    """The same in an event loop."""
    access_token = await get_verifier().authorize_async(read_request(request), requirement)
    _check_form(request)
    return access_token


def answer(refused: RequestRefusedError) -> HttpResponse:
    """Return the response to a request that is refused."""
    return HttpResponse(refused.body(), status=refused.status, headers=refused.headers(get_verifier().challenge))


def read_request(request: HttpRequest) -> ProtectedRequest:
    """Tell a Django request's facts; under ASGI the connection scope tells them better."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        return from_asgi(scope)
    return ProtectedRequest(
        method=request.method,
        path=request.path,
        query=request.META.get("QUERY_STRING", "").encode("latin-1", "replace"),
        headers=wsgi_headers(request.META),
        certificate=request.META.get("SSL_CLIENT_CERT") or None,
        memory=request.META,
    )


def _check_form(request: HttpRequest) -> None:
    """Refuse a form with a second token in it; Django keeps what is read of it for the view."""
    if request.content_type == _FORM_TYPE and "access_token" in request.POST:
        raise TokenRefusedError(Refusal.TWO_TOKENS)


def _forget(*, setting: str, **_: object) -> None:
    if setting == _SETTING:
        get_verifier.cache_clear()


setting_changed.connect(_forget)
