"""Making an authorization code: the one write of a finished sign-in (RFC 6749 §4.1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.ids import uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.gate import get_user, may_issue
from authserver.oauth.values import AuthorizationCode
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.steps.lifetimes import authorization_code_lifetime
from authserver.store import clients, codes, sessions, transactions, users

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.interaction import Issue
    from authserver.steps.authorization import Progress


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
        await codes.add(
            tx,
            AuthorizationCode(
                code_hash=hash_secret(code),
                client_id=client.client_id,
                grant_id=uuid7(call.now),
                user_id=user.id,
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
                expires_at=now + authorization_code_lifetime(call.services.settings, client),
            ),
        )
        await transactions.finish(tx, progress.transaction.id, now)
    return code
