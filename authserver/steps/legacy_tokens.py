"""A refresh token of the project that people come from becomes a grant of ours, once, while the window is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.jose.compact import TokenError
from authserver.jose.legacy_tokens import verify_legacy_token
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.legacy_tokens import read_legacy_token, refuse_legacy
from authserver.steps.app_sign_in import begin_app_grant
from authserver.steps.granting import with_places
from authserver.store import imported_ids, replays, users

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.legacy_tokens import LegacyToken
    from authserver.oauth.resource import Target
    from authserver.oauth.values import Authorization, Client
    from authserver.store.engine import Tx


def is_taken(call: Call, token: str) -> bool:
    """Tell whether a refresh token is to be read as one of that project: none of ours, and the window is open."""
    settings = call.services.settings
    is_open = settings.legacy_jwt_until is not None and call.now < settings.legacy_jwt_until
    return settings.legacy_jwt_key is not None and is_open and call.services.refresh_tokens.open(token) is None


async def exchange_legacy_token(call: Call, client: Client, token: str, target: Target) -> Authorization:
    """Spend the token and begin a grant of its user. Raise ``invalid_grant`` where it is not good, or was used.

    Whoever loses the answer signs in again: a second use cannot be told from a thief's.
    """
    legacy = _read(call, token)

    async def begin() -> Authorization:
        async with call.services.engine.begin() as tx:
            try:
                return await _exchange(call, tx, client, legacy, target)
            except OAuthError as error:  # inside, so that the transaction commits: a used token stays used
                refusal = error
        raise refusal

    return await with_places(call, begin)


async def _exchange(call: Call, tx: Tx, client: Client, legacy: LegacyToken, target: Target) -> Authorization:
    if not await replays.claim(tx, legacy.replay_key, legacy.expires_at):
        raise OAuthError(ErrorCode.INVALID_GRANT, "the refresh token was used before", Refusal.LEGACY_TOKEN_USED)
    user_id = await imported_ids.find(tx, legacy.user_id)
    user = await users.lock_for_share(tx, user_id) if user_id is not None else None
    # once more: whoever cut the user off held the row, and took the id away
    if user is None or await imported_ids.find(tx, legacy.user_id) != user.id:
        raise refuse_legacy("its user is not known here")
    return await begin_app_grant(
        call, tx, client, user, target, event="legacy_token_exchanged", auth_time=legacy.issued_at
    )


def _read(call: Call, token: str) -> LegacyToken:
    try:
        claims = verify_legacy_token(token, call.services.settings.legacy_jwt_key or "")
    except TokenError as error:
        raise refuse_legacy(str(error)) from error
    return read_legacy_token(claims, call.now)
