"""``/api/register``, ``/api/verify`` and ``/api/password/…``: accounts from an app, by the steps of the pages."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from authserver.feature import Caller
from authserver.features.api.callers import Signed, TheCall, identify, respond
from authserver.features.api.documents import REFUSALS
from authserver.features.api.models import (
    ChangePasswordRequest,
    CodeSent,
    ForgotRequest,
    Registered,
    RegisterRequest,
    ResendRequest,
    ResetRequest,
    SignedOut,
    Tokens,
    VerifyRequest,
)
from authserver.features.api.tokens import REFRESH, find_target, prepare_refresh
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.operations.errors import OperationError
from authserver.operations.user_rules import parse_username
from authserver.steps.app_sign_in import AppAccount, open_account
from authserver.steps.change_password import change_password
from authserver.steps.grant_decisions import decide_on_grant
from authserver.steps.issue import issue, log_of, sign_tokens
from authserver.steps.new_password import PasswordRefusedError
from authserver.steps.reset_password import begin_reset, reset_by_code
from authserver.steps.sign_up import NewAccount, find_faults
from authserver.steps.verify_email import begin_verification, finish_verification, send_another
from authserver.store.engine import ConflictError
from authserver.web.answers import json_answer
from authserver.web.problems import Fault, InvalidFieldsError

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode

router = APIRouter(tags=["Accounts"], responses=REFUSALS)
_MEMBERS = {"email": "/email", "new-password": "/password", "name": "/name"}  # of the page's fields


@router.post(
    "/api/register", operation_id="register", status_code=201, response_model=Registered, summary="Make an account"
)
async def register(request: Request, body: RegisterRequest, call: TheCall) -> Response:
    """Make an account that works at once, answer with both tokens, and send a code to its address.

    For clients that the operator let do so (`api_register`), and nowhere that accounts are made by invitation, since
    nothing here proves the address first. Scopes that need a proven address are missing from the
    tokens until `/api/verify`. An address that somebody else has proven can be named, and never be proven.
    """
    client = await identify(call, body)
    if not client.api_register:
        raise OAuthError(
            ErrorCode.UNAUTHORIZED_CLIENT, "this client may not make accounts", Refusal.SIGN_UP_NOT_OFFERED, status=403
        )
    if call.services.settings.needs_invitation:
        raise OAuthError(
            ErrorCode.ACCESS_DENIED,
            "accounts are made by invitation, at /signup only",
            Refusal.SIGN_UP_BY_INVITATION,
            status=403,
        )
    target = find_target(call, client, body.scope, body.resource)
    account = await _check_account(call, body)
    try:
        opened = await open_account(call, client, account, target)
    except ConflictError:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "another account has this user name", Refusal.USERNAME_TAKEN, status=409
        ) from None
    document = sign_tokens(call, client, opened.authorization) | {"verification_id": str(opened.code.id)}
    log = log_of(client, opened.authorization, "api_register")
    return respond(request, json_answer(document, status=201, log=log))


@router.post("/api/verify", operation_id="verify", response_model=Tokens, summary="Prove the address by its code")
async def verify(request: Request, body: VerifyRequest, call: TheCall) -> Response:
    """Take the code from the mail and answer with a fresh pair that has what the proven address opens."""
    client = await identify(call, body)
    refresh = await prepare_refresh(call, client, body.refresh_token)  # before: what is no token of ours costs no code
    await finish_verification(call, body.verification_id, body.code, browser_hash=None)
    authorization = await decide_on_grant(call, Caller(client=client), refresh.grant_id, refresh.decide)
    return respond(request, issue(call, client, authorization, REFRESH))


@router.post(
    "/api/verify/resend", operation_id="resend", status_code=202, response_model=CodeSent, summary="Send a new code"
)
async def resend(request: Request, body: ResendRequest, call: TheCall, person: Signed) -> Response:
    """Send a code to the address of whoever is signed in; the one before it is dead."""
    if body.verification_id is not None:
        code = await send_another(call, body.verification_id, browser_hash=None, user_id=person.user.id)
    elif person.user.email_verified:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "the address is proven already", Refusal.MAILED_CODE_USED)
    else:
        code = await begin_verification(call, person.user, browser_hash=None)
    return await _tell(request, call, code)


@router.post(
    "/api/password/forgot",
    operation_id="forgot_password",
    status_code=202,
    response_model=CodeSent,
    summary="Ask for a code to a forgotten password",
)
async def forgot_password(request: Request, body: ForgotRequest, call: TheCall) -> Response:
    """Send a code to the address, if it is an account's; the answer is the same."""
    client = await identify(call, body)
    try:
        code = await begin_reset(call, body.email, browser_hash=None, app=client.client_name)
    except ValueError as error:
        raise InvalidFieldsError([Fault(pointer="/email", code="malformed", detail="no e-mail address")]) from error
    return await _tell(request, call, code)


@router.post(
    "/api/password/reset", operation_id="reset_password", response_model=SignedOut, summary="Choose a new password"
)
async def reset_password(request: Request, body: ResetRequest, call: TheCall) -> Response:
    """Take the code and the new password; every session and every token of the account is dead. Then sign in."""
    await identify(call, body)
    try:
        ended = await reset_by_code(call, body.reset_id, body.code, body.new_password)
    except PasswordRefusedError as error:
        raise InvalidFieldsError([_password_fault("/new_password", error)]) from error
    return respond(request, json_answer({"sessions_ended": ended.sessions, "grants_revoked": ended.grants}))


@router.post(
    "/api/password/change", operation_id="change_password", response_model=SignedOut, summary="Change the password"
)
async def change(request: Request, body: ChangePasswordRequest, call: TheCall, person: Signed) -> Response:
    """Change the password of whoever is signed in and knows it; everything but this app is signed out."""
    try:
        ended = await change_password(
            call, person.user, current=body.current_password, new=body.new_password, keep_grant=person.grant_id
        )
    except PasswordRefusedError as error:
        raise InvalidFieldsError([_password_fault("/new_password", error)]) from error
    return respond(request, json_answer({"sessions_ended": ended.sessions, "grants_revoked": ended.grants}))


async def _check_account(call: Call, body: RegisterRequest) -> AppAccount:
    """Return the account as it will be stored, or raise all faults at once."""
    found = await find_faults(call, NewAccount(email=body.email, password=body.password, name=body.name))
    faults = [
        Fault(pointer=_MEMBERS[field], code=fault.word, detail=" ".join((fault.word.replace("_", " "), *fault.hints)))
        for field, fault in found.items()
    ]
    username = None
    try:
        username = parse_username(body.username, email=body.email) if body.username is not None else None
        if username is not None and "@" in username:
            username = None  # as if unnamed: a conflict would tell that the address is known
    except OperationError as error:
        faults.append(Fault(pointer="/username", code="malformed", detail=error.message))
    if faults:
        raise InvalidFieldsError(faults)
    name = unicodedata.normalize("NFC", body.name).strip() or None
    return AppAccount(email=body.email, password=body.password, username=username, name=name)


def _password_fault(pointer: str, error: PasswordRefusedError) -> Fault:
    words = " ".join((error.fault.fault.replace("_", " "), *error.fault.hints))
    return Fault(pointer=pointer, code=error.fault.fault, detail=words)


async def _tell(request: Request, call: Call, code: MailedCode) -> Response:
    async with call.services.engine.read() as tx:
        now = await tx.now()
    document = {
        "id": str(code.id),
        "expires_in": int((code.expires_at - code.created_at).total_seconds()),
        "resend_in": code.wait_for_next(now),
    }
    return respond(request, json_answer(document, status=202))
