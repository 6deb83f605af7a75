"""What a sign-in under way needs next: a login, a consent, nothing more, or a refusal (OIDC Core §3.1.2.3 to §3.1.2.6).

Every step stores its result and comes back here; nothing is remembered between two calls but what is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.gate import may_issue
from authserver.oauth.redirect_uri import Kind, get_kind
from authserver.oauth.second_factor_rules import ACR_TWO_FACTORS, is_met
from authserver.oauth.values import Prompt

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta

    from authserver.oauth.values import AuthorizationRequest, Client, Consent, Session, Transaction, User


class LoginReason(StrEnum):
    """Why the user has to sign in, for the words on the login page."""

    NO_SESSION = "no_session"
    ASKED = "asked"  # prompt=login
    NEW_ACCOUNT = "new_account"  # prompt=create
    TOO_OLD = "too_old"  # max_age
    OTHER_USER = "other_user"  # id_token_hint
    TOO_WEAK = "too_weak"  # acr_values, claims


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session and its user, as one statement loaded them.

    ``has_second_factor``: the user could make the session stronger; only looked up where :func:`asks_for_acr`.
    """

    session: Session
    user: User
    has_second_factor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Show the login page."""

    reason: LoginReason
    acr_values: tuple[str, ...] = ()  # one of these is needed; empty: any


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSecondFactor:
    """Ask for the second factor only: the session stands, and is too weak (step-up)."""

    user: User
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConsent:
    """Show the consent page. ``new_scope`` is the part of the scope that the user has not allowed before."""

    user: User
    new_scope: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Issue a code for this user on this session."""

    user: User
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Send this refusal to the client."""

    error: OAuthError


NextStep: TypeAlias = Login | AskSecondFactor | AskConsent | Issue | Refuse


def next_step(
    request: AuthorizationRequest,
    *,
    transaction: Transaction,
    signed_in: SignedIn | None,
    consent: Consent | None,
    hint_subject: str | None,
    offered_acrs: Collection[str],
    session_idle: timedelta,
    now: datetime,
) -> NextStep:
    """Decide the next step of a sign-in.

    ``consent`` is what this user allowed this client before; ``hint_subject`` the ``sub`` of a verified
    ``id_token_hint``; ``offered_acrs`` every authentication strength this server can reach. ``now`` is the database's
    clock, as ``auth_time`` and ``created_at`` are.
    """
    try:
        if transaction.denied_at is not None:
            raise _refuse(ErrorCode.ACCESS_DENIED, "the user did not allow it", Refusal.USER_DENIED)
        if signed_in is not None and not is_live(signed_in.session, session_idle, now):
            signed_in = None
        found = _find_login(request, transaction, signed_in, hint_subject, offered_acrs, now)
        if not isinstance(found, SignedIn):
            return _ask_login(request, found)
        if needs_consent(request, transaction, found.user, consent):
            return _ask_consent(request, found.user, consent)
    except OAuthError as error:
        return Refuse(error=error)
    return Issue(user=found.user, session=found.session)


def is_live(session: Session, idle: timedelta, now: datetime) -> bool:
    """Tell whether a session still signs anybody in: not ended, not idle for too long, not past its absolute end."""
    return session.ended_at is None and now < session.expires_at and now < session.last_seen_at + idle


def _find_login(
    request: AuthorizationRequest,
    transaction: Transaction,
    signed_in: SignedIn | None,
    hint_subject: str | None,
    offered_acrs: Collection[str],
    now: datetime,
) -> Login | AskSecondFactor | SignedIn:
    """Return the login that is needed, or the one there is if it will do; raise where no login can help."""
    essential = essential_acrs(request)
    if essential and not set(essential) & set(offered_acrs):
        raise _acr_unmet()
    if signed_in is None:
        is_new = Prompt.CREATE in request.prompt
        return Login(reason=LoginReason.NEW_ACCOUNT if is_new else LoginReason.NO_SESSION, acr_values=essential)
    session, user = signed_in.session, signed_in.user
    may_issue(request.client, user, session, error=ErrorCode.ACCESS_DENIED)
    is_fresh = session.auth_time >= transaction.created_at  # signed in for this very request: once is enough
    if Prompt.CREATE in request.prompt and not is_fresh:
        return Login(reason=LoginReason.NEW_ACCOUNT, acr_values=essential)
    if Prompt.LOGIN in request.prompt and not is_fresh:
        return Login(reason=LoginReason.ASKED, acr_values=essential)
    if request.max_age is not None and not is_fresh and now - session.auth_time > request.max_age:
        return Login(reason=LoginReason.TOO_OLD, acr_values=essential)
    if hint_subject is not None and hint_subject != user.sub:
        if is_fresh or Prompt.NONE in request.prompt:
            raise _refuse(ErrorCode.LOGIN_REQUIRED, "id_token_hint names another user", Refusal.HINT_OF_ANOTHER_USER)
        return Login(reason=LoginReason.OTHER_USER, acr_values=essential)
    return _find_step_up(request, signed_in, essential, is_fresh=is_fresh) or signed_in


def _find_step_up(
    request: AuthorizationRequest, signed_in: SignedIn, essential: tuple[str, ...], *, is_fresh: bool
) -> Login | AskSecondFactor | None:
    """Return what would reach an ``acr`` asked for (OIDC Core §5.5.1.1); what is only wished for may fail.

    Who has a second factor is asked for that alone. Who has none cannot reach what is wished for by any login; where
    it is essential, they may still be somebody else.
    """
    session = signed_in.session
    second = AskSecondFactor(user=signed_in.user, session=session) if signed_in.has_second_factor else None
    if essential and not is_met(session.acr, essential):
        if second is not None and ACR_TWO_FACTORS in essential:
            return second
        if is_fresh:
            raise _acr_unmet()
        return Login(reason=LoginReason.TOO_WEAK, acr_values=essential)
    is_wished = ACR_TWO_FACTORS in request.acr_values and not is_met(session.acr, request.acr_values)
    return second if is_wished and Prompt.NONE not in request.prompt else None


def asks_for_acr(request: AuthorizationRequest) -> bool:
    """Tell whether a request asks for more than some sign-in, so that it matters what the user could prove."""
    return bool(request.acr_values or essential_acrs(request))


def essential_acrs(request: AuthorizationRequest) -> tuple[str, ...]:
    """Return the ``acr`` values of which one must be met: an essential claim of the ID token (OIDC Core §5.5.1.1)."""
    id_token = (request.claims or {}).get("id_token")
    acr = id_token.get("acr") if isinstance(id_token, dict) else None
    if not isinstance(acr, dict) or acr.get("essential") is not True:
        return ()
    values = acr.get("values", [acr.get("value")])
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def needs_consent(request: AuthorizationRequest, transaction: Transaction, user: User, consent: Consent | None) -> bool:
    """Tell whether the user has to be asked now.

    What was allowed within this transaction counts for it, by this user and for no more than was shown. Otherwise a
    stored consent does, unless the request wants to ask again or the client is one that others can pass for.
    """
    if _covers_now(transaction, user, request):
        return False
    if Prompt.CONSENT in request.prompt:
        return True
    if request.client.first_party:
        return False
    if consents_each_time(request.client, request.redirect_uri):
        return True
    return not _covers(consent, request)


def consents_each_time(client: Client, redirect_uri: str) -> bool:
    """Tell whether a consent may not be remembered (RFC 8252 §8.6, RFC 9700 §4.1, OAuth 2.1 §7.3.1).

    So it is for a client that nobody vouches for, and for a public one whose redirect URI another app on the same
    device can listen at. A confidential client on loopback proves itself when it redeems the code.
    """
    return client.self_registered or (client.is_public and get_kind(redirect_uri) is not Kind.HTTPS)


def _covers_now(transaction: Transaction, user: User, request: AuthorizationRequest) -> bool:
    return (
        transaction.consented_by == user.id
        and request.scope <= transaction.consented_scope
        and frozenset(request.resources) <= transaction.consented_resources
    )


def _covers(consent: Consent | None, request: AuthorizationRequest) -> bool:
    return (
        consent is not None
        and consent.withdrawn_at is None
        and request.scope <= consent.scope
        and frozenset(request.resources) <= consent.resources
    )


def _ask_login(request: AuthorizationRequest, asked: Login | AskSecondFactor) -> Login | AskSecondFactor:
    if Prompt.NONE in request.prompt:
        raise _refuse(ErrorCode.LOGIN_REQUIRED, "the user has to sign in", Refusal.LOGIN_NEEDED)
    return asked


def _ask_consent(request: AuthorizationRequest, user: User, consent: Consent | None) -> AskConsent:
    if Prompt.NONE in request.prompt:
        raise _refuse(ErrorCode.CONSENT_REQUIRED, "the user has to allow it", Refusal.CONSENT_NEEDED)
    known = consent.scope if consent is not None and consent.withdrawn_at is None else frozenset[str]()
    return AskConsent(user=user, new_scope=request.scope - known)


def _acr_unmet() -> OAuthError:
    return _refuse(
        ErrorCode.UNMET_AUTHENTICATION_REQUIREMENTS,
        "the authentication strength asked for cannot be reached",
        Refusal.ACR_UNMET,
    )


def _refuse(error: ErrorCode, description: str, refusal: Refusal) -> OAuthError:
    return OAuthError(error, description, refusal)
