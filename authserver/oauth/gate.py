"""The one gate every grant type passes before anything is issued (DESIGN §3, "One gate")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal

if TYPE_CHECKING:
    from authserver.oauth.values import Client, Session, User


def may_issue(
    client: Client, user: User | None, session: Session | None, *, error: ErrorCode = ErrorCode.INVALID_GRANT
) -> None:
    """Refuse to issue anything to a client or for a user that has been cut off, or on a session that was ended.

    ``user`` is None where the client acts for itself: a grant whose user row is gone is the caller's to refuse, by
    :func:`get_user`. ``session`` is None where nothing rests on one: a refresh, whose grant the logout has
    revoked. A session that merely expired still counts: only logging out ends what it gave (DESIGN §5). ``error`` is
    the code on the wire, ``access_denied`` at the authorization endpoint.
    """
    if not client.is_active:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "client authentication failed", Refusal.CLIENT_DISABLED)
    if user is not None and (user.deleted_at is not None or user.delete_at is not None):
        raise OAuthError(error, "the user's account no longer exists", Refusal.USER_GONE)
    if user is not None and user.disabled_at is not None:
        raise OAuthError(error, "the user's account is turned off", Refusal.USER_DISABLED)
    if session is not None and session.ended_at is not None:
        raise OAuthError(error, "the user has logged out", Refusal.SESSION_ENDED)


def get_user(user: User | None, *, error: ErrorCode = ErrorCode.INVALID_GRANT) -> User:
    """Return the user a grant or code is for; refuse where the row is gone."""
    if user is None:
        raise OAuthError(error, "the user's account no longer exists", Refusal.USER_GONE)
    return user
