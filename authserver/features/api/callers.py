"""Who asks at ``/api``: one of the organisation's own apps, and the person whose token it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from authserver.feature import Call
from authserver.oauth import bearer
from authserver.oauth.claims import parse_jti
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.params import Params
from authserver.steps.client_auth import authenticate_client, spend_proof
from authserver.steps.own_tokens import authenticate_bearer, find_user_of

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.features.api.models import ClientRequest
    from authserver.oauth.values import Client, User
    from authserver.web.answers import Answer

_BEARER = HTTPBearer(auto_error=False, scheme_name="accessToken", description="An access token of this server.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom an access token is about, which app holds it, and the grant it belongs to."""

    user: User
    client: Client
    grant_id: UUID


def get_call(request: Request) -> Call:
    """Return the request as the edge made it."""
    return cast("Call", request.scope["state"]["call"])


async def get_person(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> Person:
    """Return who is signed in; raise RFC 6750's errors, also where client, grant or user have fallen since."""
    call = get_call(request)
    claims = authenticate_bearer(call, None)
    user = await find_user_of(call, claims)
    client = call.services.directory.find_client(str(claims.get("client_id")))
    grant_id = parse_jti(claims.get("jti"))
    if user is None or client is None or grant_id is None:
        raise bearer.refuse(ErrorCode.INVALID_TOKEN, "the access token was revoked", Refusal.TOKEN_REVOKED)
    return Person(user=user, client=check_first_party(client), grant_id=grant_id)


async def identify(call: Call, body: ClientRequest) -> Client:
    """Return the app that a body names, after its proof where it has one; refuse any that is not our own."""
    given = {"client_id": body.client_id, "client_secret": body.client_secret}
    caller = await authenticate_client(call, params_of(given))
    await spend_proof(call, caller)
    return check_first_party(caller.client)


def check_first_party(client: Client) -> Client:
    """Return the client, or refuse it: others get their tokens by the code flow, where the user is asked."""
    if not client.first_party:
        raise OAuthError(
            ErrorCode.UNAUTHORIZED_CLIENT,
            "only the organisation's own apps may use this; the others use the authorization code flow",
            Refusal.CLIENT_NOT_FIRST_PARTY,
            status=403,
        )
    return client


def params_of(members: dict[str, Any]) -> Params:
    """Return the members of a body as the parameters of a token request; lists are repeated, None is absent."""
    pairs = [
        (name, value)
        for name, values in members.items()
        for value in (values if isinstance(values, list) else [values])
        if value is not None
    ]
    return Params(pairs)


def respond(request: Request, answer: Answer) -> Response:
    """Return an answer as FastAPI sends it; what it says for the log is kept for the edge."""
    request.scope["state"]["log"].update(answer.log)
    response = Response(answer.body, status_code=answer.status)
    response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    return response


TheCall = Annotated[Call, Depends(get_call)]
Signed = Annotated[Person, Depends(get_person)]
