"""RP-initiated logout: whether the user is asked first, and where the browser may go afterwards (RP-Initiated Logout).

Ending a session is harmless to the session's owner and annoying when others do it, so only an ID token of this very
session ends it unasked; everything else asks. A browser is sent only to an address that a known client has registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.redirect_uri import find_registered_post_logout
from authserver.oauth.response_mode import add_to_query

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.oauth.id_token_hint import IdTokenHint
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client, Session

MAX_STATE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSessionRequest:
    """The parameters of a logout request, each read for itself (§2)."""

    id_token_hint: str | None
    client_id: str | None
    post_logout_redirect_uri: str | None
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Somebody is signed in and nothing proves that they asked: show the page with its button (§2, §6)."""

    session: Session
    client: Client | None
    location: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndNow:
    """End the session, or none where nobody is signed in, then go to ``location``, or show the page that says so.

    A browser keeps its cookie back from another site's form; the ID token then says which session was meant.
    """

    session_id: UUID | None
    client: Client | None
    location: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseRedirect:
    """The request wants to send the browser where it may not: a page says so, and no session ends."""

    error: OAuthError


EndSessionDecision: TypeAlias = Confirm | EndNow | RefuseRedirect


def parse_end_session_request(params: Params) -> EndSessionRequest:
    """Read the parameters; ``invalid_request`` where one is repeated or ``state`` is too long."""
    params.check_none_repeated()
    state = params.get("state")
    if state is not None and len(state) > MAX_STATE:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "state is too long", Refusal.PARAMETER_TOO_LONG)
    return EndSessionRequest(
        id_token_hint=params.get("id_token_hint"),
        client_id=params.get("client_id"),
        post_logout_redirect_uri=params.get("post_logout_redirect_uri"),
        state=state,
    )


def choose_client_id(request: EndSessionRequest, hint: IdTokenHint | None) -> str | None:
    """Return the client that asks, as far as the request says; ``decide_end_session`` judges contradictions."""
    return request.client_id or (hint.client_id if hint else None)


def decide_end_session(
    request: EndSessionRequest, *, hint: IdTokenHint | None, client: Client | None, session: Session | None
) -> EndSessionDecision:
    """Decide what a logout request leads to.

    ``hint`` is the verified ID token, None where there is none or it cannot be verified; ``client`` the active client
    of :func:`choose_client_id`, None where nobody knows it; ``session`` the live session of this browser.
    """
    if hint is not None and request.client_id is not None and request.client_id != hint.client_id:
        error = _refuse("client_id is not the client of id_token_hint", Refusal.CLIENT_ID_MISMATCH)
        return RefuseRedirect(error=error)
    location = None
    if request.post_logout_redirect_uri is not None:
        if client is None:
            error = _refuse("post_logout_redirect_uri needs a known client", Refusal.CLIENT_NOT_IDENTIFIED)
            return RefuseRedirect(error=error)
        if find_registered_post_logout(client, request.post_logout_redirect_uri) is None:
            error = _refuse("post_logout_redirect_uri is not registered", Refusal.REDIRECT_URI_NOT_REGISTERED)
            return RefuseRedirect(error=error)
        state = (("state", request.state),) if request.state is not None else ()
        location = add_to_query(request.post_logout_redirect_uri, state)
    if session is None:
        return EndNow(session_id=hint.session_id if hint else None, client=client, location=location)
    if hint is not None and _names(hint, session):
        return EndNow(session_id=session.id, client=client, location=location)
    return Confirm(session=session, client=client, location=location)


def _names(hint: IdTokenHint, session: Session) -> bool:
    """Tell whether the ID token was issued in this very session: another one's, even of the same user, asks."""
    return hint.session_id == session.id and hint.sub == str(session.user_id)


def _refuse(description: str, refusal: Refusal) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_REQUEST, description, refusal)
