"""``/api/login``, ``/api/refresh`` and ``/api/logout``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response

from authserver.feature import Caller, PreparedOnGrant
from authserver.features.api.callers import TheCall, identify, params_of, respond
from authserver.features.api.documents import REFUSALS
from authserver.features.api.models import LoginRequest, LogoutRequest, PasskeyRequest, RefreshRequest, Tokens
from authserver.features.api.passkey_models import PasskeyOptions
from authserver.oauth.errors import OAuthError
from authserver.oauth.resource import choose_target, parse_resources
from authserver.oauth.scope import parse_scope
from authserver.passkeys import parse_assertion
from authserver.steps.app_sign_in import (
    Waiting,
    ask_for_passkey,
    finish_app_sign_in,
    finish_app_sign_in_by_passkey,
    sign_in_app,
    sign_in_app_by_passkey,
)
from authserver.steps.grant_decisions import decide_on_grant
from authserver.steps.issue import issue
from authserver.steps.legacy_tokens import exchange_legacy_token, is_taken
from authserver.steps.login import prove_by_password
from authserver.steps.passkeys import ask_app_sign_in
from authserver.steps.revoke_token import revoke_token
from authserver.web.answers import NO_STORE, Answer, json_answer
from authserver.web.problems import Fault, InvalidFieldsError, SecondFactorNeededError

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.features.api.passkey_models import SignedPasskey
    from authserver.oauth.resource import Target
    from authserver.oauth.values import Authorization, Client
    from authserver.passkeys import Assertion

REFRESH: Final = "refresh_token"
router = APIRouter(tags=["Tokens"], responses=REFUSALS)


@router.post("/api/login", operation_id="login", response_model=Tokens, summary="Sign in")
async def login(request: Request, body: LoginRequest, call: TheCall) -> Response:
    """Answer with both tokens.

    The refresh token is there where the client may refresh. 403 `password_wrong` for an unknown user and a wrong
    password alike, 429 with `Retry-After` after too many tries.

    Who has a second factor gets no tokens yet but 401 `second_factor_needed` with `auth_session` and `next`: within ten
    minutes send the `auth_session` with the `code` of the authenticator app, or a recovery code, in place of username
    and password. 403 `second_factor_wrong` for a wrong or used code, `second_factor_over` where the sign-in
    has to start again. Where `next` names `passkey` too, a `passkey` will do in place of the code.

    A `passkey` that signed for `/api/login/passkey` signs in alone, without name, password and second factor. 403
    `passkey_unknown` where it was removed here, `passkey_challenge` where new options have to be asked for.
    """
    client = await identify(call, body)
    target = find_target(call, client, body.scope, body.resource)
    return respond(request, issue(call, client, await _sign_in(call, client, body, target), "api_login"))


@router.post(
    "/api/login/passkey",
    operation_id="login_passkey",
    response_model=PasskeyOptions,
    summary="Ask what a passkey has to sign",
)
async def login_passkey(request: Request, body: PasskeyRequest, call: TheCall) -> Response:
    """Answer with what `PublicKeyCredential.parseRequestOptionsFromJSON`, Android's Credential Manager and iOS take.

    Without `auth_session` it is the same for everybody. With one it names the user's passkeys: 403
    `passkey_not_offered` where there is none, `second_factor_over` where the sign-in has to start again.
    """
    client = await identify(call, body)
    if body.auth_session is None:
        return respond(request, json_answer(ask_app_sign_in(call, client)))
    return respond(request, json_answer(await ask_for_passkey(call, client, body.auth_session)))


@router.post("/api/refresh", operation_id="refresh", response_model=Tokens, summary="Replace the pair of tokens")
async def refresh(request: Request, body: RefreshRequest, call: TheCall) -> Response:
    """Answer with a new pair.

    It is the refresh of `/token` (RFC 6749 §6) in the client's refresh mode. 400 `invalid_grant` means: sign in again.
    """
    client = await identify(call, body)
    if is_taken(call, body.refresh_token):
        target = find_target(call, client, body.scope, body.resource)
        authorization = await exchange_legacy_token(call, client, body.refresh_token, target)
    else:
        token, scope, resource = body.refresh_token, body.scope, body.resource
        prepared = await prepare_refresh(call, client, token, scope=scope, resource=resource)
        authorization = await decide_on_grant(call, Caller(client=client), prepared.grant_id, prepared.decide)
    return respond(request, issue(call, client, authorization, REFRESH))


@router.post(
    "/api/logout",
    operation_id="logout",
    status_code=204,
    response_class=Response,
    summary="End what a token stands for",
)
async def logout(request: Request, body: LogoutRequest, call: TheCall) -> Response:
    """End the grant of a refresh or access token: both tokens are dead, here at once, elsewhere within seconds.

    A token that is not known any more is no error: what was wanted is so already.
    """
    client = await identify(call, body)
    grant_id = await revoke_token(call, Caller(client=client), body.token)
    log = {"client": client.client_id} | ({} if grant_id is None else {"grant": str(grant_id)})
    return respond(request, Answer(status=204, headers=NO_STORE, log=log))


async def _sign_in(call: Call, client: Client, body: LoginRequest, target: Target) -> Authorization:
    """Take what the body brought: a passkey or a code after the password, a passkey alone, or the password."""
    assertion = _read_passkey(body.passkey) if body.passkey is not None else None
    if body.auth_session is not None and assertion is not None:
        return await finish_app_sign_in_by_passkey(call, client, body.auth_session, assertion, target)
    if body.auth_session is not None:
        return await finish_app_sign_in(call, client, body.auth_session, body.code or "", target)
    if assertion is not None:
        return await sign_in_app_by_passkey(call, client, assertion, target)
    proven = await prove_by_password(call, body.username or "", body.password or "")
    result = await sign_in_app(call, client, proven, target)
    if isinstance(result, Waiting):
        raise SecondFactorNeededError(result.auth_session, result.following)
    return result


def _read_passkey(passkey: SignedPasskey) -> Assertion:
    """Return what a passkey signed; name the member where what is in it cannot be read."""
    try:
        return parse_assertion(passkey.model_dump_json(exclude_none=True))
    except OAuthError as error:
        raise InvalidFieldsError([Fault(pointer="/passkey", code="malformed", detail=error.description)]) from error


def find_target(call: Call, client: Client, scope: str | None, resource: list[str] | None) -> Target:
    """Return what the tokens are for, by the rules of an authorization request."""
    return choose_target(client, parse_scope(scope), parse_resources(resource or ()), call.services.directory.resources)


async def prepare_refresh(
    call: Call, client: Client, refresh_token: str, *, scope: str | None = None, resource: list[str] | None = None
) -> PreparedOnGrant:
    """Let the token endpoint's own grant type read the members of a body; raise where that is no token of ours."""
    form: dict[str, Any] = {"refresh_token": refresh_token, "scope": scope, "resource": resource}
    prepared = await call.services.grant_types[REFRESH].prepare(call, client, params_of(form))
    if not isinstance(prepared, PreparedOnGrant):
        raise TypeError("a refresh token stands for a grant")
    return prepared
