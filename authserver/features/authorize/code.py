"""Making an authorization code: the one write of a finished sign-in (RFC 6749 §4.1.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from authserver.ids import uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.gate import get_user, may_issue
from authserver.oauth.interaction import AskConsent, Issue, Login, SignedIn, asks_for_acr
from authserver.oauth.values import AuthorizationCode, Transaction
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.steps.authorization import weigh
from authserver.steps.browser_session import find_session_hash
from authserver.steps.lifetimes import authorization_code_lifetime
from authserver.store import clients, codes, sessions, transactions, users
from authserver.store.code_batches import Issued
from authserver.web.page_language import prefer_account

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.feature import Call
    from authserver.oauth.values import AuthorizationRequest, Session
    from authserver.steps.authorization import Progress
    from authserver.store.code_rows import Foundation

_UNSTORED: Final = UUID(int=0)


async def issue_code(call: Call, progress: Progress, step: Issue) -> str:
    """Store a code for what the user agreed to and return its plain form, which is kept nowhere.

    User, session and client are locked and pass the gate once more, so that nobody who was cut off a moment ago gets
    one. Raise ``access_denied`` where they were.
    """
    request = progress.request
    code = new_secret(Prefix.AUTHORIZATION_CODE)
    async with call.services.engine.begin() as tx:
        user = get_user(await users.lock_for_share(tx, step.user.id), error=ErrorCode.ACCESS_DENIED)
        session = await sessions.lock_for_share(tx, step.session.id)
        client = await clients.lock_for_share(tx, request.client.client_id)
        if session is None or client is None:
            raise OAuthError(ErrorCode.ACCESS_DENIED, "the user has logged out", Refusal.SESSION_ENDED)
        may_issue(client, user, session, error=ErrorCode.ACCESS_DENIED)
        now = await tx.now()
        await codes.add(tx, _build_code(call, replace(request, client=client), session, hash_secret(code), now))
        await transactions.finish(tx, progress.transaction.id, now)
    return code


async def issue_at_once(
    call: Call, request: AuthorizationRequest, hint_subject: str | None
) -> tuple[Progress, str] | None:
    """Judge the request of a browser that has a session and, where no step is left, store a code for it.

    Return where the sign-in stands, which is at its end, and the code's plain form, which is worth nothing unless the
    end is to issue it. Requests share the transaction: user, session and client are judged while they are locked, so
    once is enough. Return None where a step is left, nobody is signed in here, or somebody is changing one of the rows
    just now; then nothing is stored.
    """
    cookie_hash = find_session_hash(call)
    if cookie_hash is None or asks_for_acr(request):  # what the user could prove is not loaded with the others
        return None
    code = new_secret(Prefix.AUTHORIZATION_CODE)
    code_hash = hash_secret(code)

    def decide(on: Foundation) -> Issued[Progress]:
        client = request.client if on.client is None else on.client
        progress = weigh(
            call,
            request if client is request.client else replace(request, client=client),
            _begin_unstored(request, on.now),
            hint_subject,
            SignedIn(session=on.session, user=on.user) if on.session is not None and on.user is not None else None,
            on.consent,
            on.now,
        )
        if not isinstance(progress.step, Issue):
            return Issued(answer=progress)
        return Issued(answer=progress, code=_build_code(call, request, progress.step.session, code_hash, on.now))

    issued = await call.services.code_batches.issue(cookie_hash, request.client, decide)
    if issued is None or isinstance(issued.answer.step, Login | AskConsent):
        return None
    if issued.answer.signed_in is not None:
        prefer_account(issued.answer.signed_in.user.locale)
    return issued.answer, code


def _begin_unstored(request: AuthorizationRequest, now: datetime) -> Transaction:
    """Return the transaction of a request that nobody will come back to: no more than the rules ask of one."""
    return Transaction(
        id=_UNSTORED,
        browser_hash=b"",
        client_id=request.client.client_id,
        parameters="",
        created_at=now,
        expires_at=now,
    )


def _build_code(
    call: Call, request: AuthorizationRequest, session: Session, code_hash: bytes, now: datetime
) -> AuthorizationCode:
    return AuthorizationCode(
        code_hash=code_hash,
        client_id=request.client.client_id,
        grant_id=uuid7(call.now),
        user_id=session.user_id,
        session_id=session.id,
        redirect_uri=request.redirect_uri,
        redirect_uri_given=request.redirect_uri_given,
        scope=request.scope,
        resources=request.resources,
        code_challenge=request.code_challenge,
        nonce=request.nonce,
        auth_time=session.auth_time,
        acr=session.acr,
        amr=session.amr,
        created_at=now,
        expires_at=now + authorization_code_lifetime(call.services.settings, request.client),
    )
