"""A FastAPI dependency that gives the access token, and shows in the OpenAPI document that one is needed."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from authserver_verifier.bearer import check_form, is_form
from authserver_verifier.claims import AccessToken
from authserver_verifier.refusals import Refusal, RequestRefusedError, TokenRefusedError
from authserver_verifier.request import from_asgi
from authserver_verifier.requirement import Requirement

if TYPE_CHECKING:
    from authserver_verifier.verifier import Verifier

Dependency = Callable[[Request, HTTPAuthorizationCredentials | None], Awaitable[AccessToken]]

# Reads nothing that we use: it is there for the "Authorize" button of the API's own documentation page.
_documented = HTTPBearer(bearerFormat="JWT", scheme_name="accessToken", auto_error=False)


def dependency(verifier: "Verifier", requirement: Requirement) -> Dependency:
    """Return the dependency. A refusal is an HTTPException, so that the application's own handler can word it."""

    async def access_token(
        request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_documented)]
    ) -> AccessToken:
        try:
            verified = await verifier.authorize_async(from_asgi(request.scope), requirement)
            if is_form(request.headers.raw):
                await _check_form(request)
        except RequestRefusedError as refused:
            raise HTTPException(refused.status, refused.members(), refused.headers(verifier.challenge)) from None
        return verified

    return access_token


async def _check_form(request: Request) -> None:
    try:
        check_form(await request.body())
    except RuntimeError:  # the endpoint takes a form, so FastAPI has read the stream and keeps what it parsed
        if "access_token" in await request.form():
            raise TokenRefusedError(Refusal.TWO_TOKENS) from None
