"""What a refresh token that comes back is answered with: the rule table of DESIGN §5 as one pure function.

A grant is one row; its token carries the generation it was issued in. Everything that makes rotation safe and bearable
(parallel tabs, lost answers, thieves, a database that lost its last commits) is decided here, and only here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, TypeAlias

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.values import RefreshMode, RefreshPolicy

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from authserver.oauth.values import Authorization, Grant

DATABASE_LOST_COMMITS: Final = "database_lost_commits"
REASON_REUSED: Final = "refresh_token_reused"
DPOP_BINDING: Final = "jkt:"  # how `Grant.bound_key` begins where the key is DPoP's (RFC 9449 §6.1)


class RefreshRule(StrEnum):
    """The row of the table in DESIGN §5 that fired."""

    NOT_OURS = "0"
    NOT_THEIRS = "1"
    ENDED = "2"
    COMMITS_LOST = "3"
    REUSE = "3a"
    KEEP = "3b"
    KEPT_TOO_LONG = "3c"
    GRACE = "4"
    ROTATE = "5"
    ANSWER_LOST = "6"
    REUSED = "7"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedToken:
    """A refresh token whose spelling and MAC are right: what it says of itself. ``issued_at`` has no fraction."""

    secret_hash: bytes
    generation: int
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTerms:
    """What holds for this grant: the client's mode and policy, and the lifetimes after all defaults."""

    mode: RefreshMode
    policy: RefreshPolicy
    idle: timedelta
    grace: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """The token to answer with: all that its string is made of beside the grant's id and secret.

    ``issued_at`` has no fraction, so equal successors are equal strings.
    """

    generation: int
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """What the grant's row becomes."""

    generation: int
    rotated_at: datetime
    late: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRefused:
    """A no. With ``revoke_reason`` the grant is revoked in the same transaction; an ``audited`` one is written down."""

    rule: RefreshRule
    refusal: Refusal
    error: ErrorCode = ErrorCode.INVALID_GRANT
    audited: bool = False
    revoke_reason: str | None = None

    def to_error(self) -> OAuthError:
        """Return the answer: nobody can tell another client's token from an unknown one by it."""
        return OAuthError(self.error, _DESCRIPTIONS[self.rule], self.refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshAllowed:
    """A yes, as far as the token goes. What to store comes from ``settle`` only, after the caller's own checks.

    ``alarm`` names what operators must hear of, whatever those checks say.
    """

    rule: RefreshRule
    grant: Grant
    successor: Successor
    alarm: str | None = None
    _change: RowChange | None = None

    def settle(self, authorization: Authorization) -> RowChange | None:
        """Give the row change for what ``may_issue``, scope and resource checks have let through; None: store nothing.

        Those checks come after the rule and before storing, and leave the row untouched where they refuse; asking for
        their result here keeps that order. An authorization for another grant, or for more than the grant, is a bug.
        """
        within = authorization.scope <= self.grant.scope and authorization.grant_id == self.grant.id
        if not within:
            raise ValueError("the authorization is not within the grant")
        return self._change


RefreshDecision: TypeAlias = RefreshRefused | RefreshAllowed

_NOT_VALID: Final = "the refresh token is not valid"
_DESCRIPTIONS: Final = {
    RefreshRule.NOT_OURS: _NOT_VALID,
    RefreshRule.NOT_THEIRS: _NOT_VALID,
    RefreshRule.ENDED: "the refresh token has expired or was revoked",
    RefreshRule.KEPT_TOO_LONG: "the refresh token has expired or was revoked",
    RefreshRule.REUSED: "the refresh token was used before; sign in again",
}


NOT_OURS: Final = RefreshRefused(rule=RefreshRule.NOT_OURS, refusal=Refusal.REFRESH_TOKEN_MALFORMED)


def decide_refresh(
    presented: PresentedToken | None,
    grant: Grant | None,
    *,
    client_id: str,
    bound_key: str | None,
    terms: RefreshTerms,
    now: datetime,
) -> RefreshDecision:
    """Find the first row of the table that fits (RFC 6749 §6, RFC 9700 §4.14.2).

    ``presented`` is None where the text is no token of ours, and then nothing was loaded. ``client_id`` and
    ``bound_key`` (``Grant.bound_key``'s form) are proven by the request; ``now`` is the database's clock.
    """
    if presented is None:
        return NOT_OURS
    if grant is None or not compare_digest(presented.secret_hash, grant.secret_hash):
        return _not_theirs(Refusal.REFRESH_TOKEN_UNKNOWN)
    if grant.client_id != client_id:
        return _not_theirs(Refusal.REFRESH_TOKEN_OF_ANOTHER_CLIENT)
    if grant.bound_key is not None and grant.bound_key != bound_key:
        dpop = grant.bound_key.startswith(DPOP_BINDING)
        error = ErrorCode.INVALID_DPOP_PROOF if dpop else ErrorCode.INVALID_GRANT
        return _not_theirs(Refusal.REFRESH_TOKEN_BINDING, error)
    return _ended(presented, grant, terms, now) or _by_generation(presented, grant, terms, now)


def _not_theirs(refusal: Refusal, error: ErrorCode = ErrorCode.INVALID_GRANT) -> RefreshRefused:
    return RefreshRefused(rule=RefreshRule.NOT_THEIRS, refusal=refusal, error=error, audited=True)


def _ended(presented: PresentedToken, grant: Grant, terms: RefreshTerms, now: datetime) -> RefreshRefused | None:
    """Row 2: the grant is over, whatever the generation."""
    if grant.revoked_at is not None:
        return RefreshRefused(rule=RefreshRule.ENDED, refusal=Refusal.GRANT_REVOKED)
    last_used = grant.rotated_at
    if presented.generation > grant.generation:
        # The row forgot this token's rotation with the commits it lost, and so when the grant was last used; without
        # this a failover would log out whoever had just come back after a long break.
        last_used = max(last_used, presented.issued_at)
    if now >= grant.expires_at or now >= last_used + terms.idle:
        return RefreshRefused(rule=RefreshRule.ENDED, refusal=Refusal.REFRESH_TOKEN_EXPIRED)
    return None


def _by_generation(presented: PresentedToken, grant: Grant, terms: RefreshTerms, now: datetime) -> RefreshDecision:
    """Rows 3 to 7: the token is genuine and the grant alive."""
    if presented.generation > grant.generation:
        return _answer_now(RefreshRule.COMMITS_LOST, grant, presented.generation, grant.late, now)
    if terms.mode is RefreshMode.KEEP:
        return _keep(presented, grant, terms, now)
    if terms.mode is RefreshMode.REUSE:
        return _reuse(presented, grant, terms, now)
    return _rotate(presented.generation, grant, terms, now)


def _keep(presented: PresentedToken, grant: Grant, terms: RefreshTerms, now: datetime) -> RefreshDecision:
    """Rows 3b and 3c: every token lives for as long as its own idle lifetime."""
    if now < presented.issued_at + terms.idle:
        return _answer_now(RefreshRule.KEEP, grant, grant.generation + 1, grant.late, now)
    return RefreshRefused(rule=RefreshRule.KEPT_TOO_LONG, refusal=Refusal.REFRESH_TOKEN_EXPIRED)


def _reuse(presented: PresentedToken, grant: Grant, terms: RefreshTerms, now: datetime) -> RefreshDecision:
    """Row 3a: the same token again; the row is written now and then only, so that idle time still counts."""
    if presented.generation < grant.generation:
        return _reused()
    stale = now - grant.rotated_at > terms.idle / 16
    return RefreshAllowed(
        rule=RefreshRule.REUSE,
        grant=grant,
        successor=Successor(generation=presented.generation, issued_at=presented.issued_at),
        _change=RowChange(generation=grant.generation, rotated_at=now, late=grant.late) if stale else None,
    )


def _rotate(t: int, grant: Grant, terms: RefreshTerms, now: datetime) -> RefreshDecision:
    """Rows 4 to 7. ``t`` is the token's generation, at most ``g``, the row's."""
    g = grant.generation
    lenient = terms.policy is not RefreshPolicy.STRICT
    if lenient and g > 0 and t >= g - 1 and now < grant.rotated_at + terms.grace:
        same = Successor(generation=g, issued_at=whole_seconds(grant.rotated_at))
        return RefreshAllowed(rule=RefreshRule.GRACE, grant=grant, successor=same)
    if t == g:
        return _answer_now(RefreshRule.ROTATE, grant, g + 1, grant.late, now)
    if terms.policy is RefreshPolicy.LOST_RESPONSE and t == g - 1 and grant.late < t - 1:
        return _answer_now(RefreshRule.ANSWER_LOST, grant, g, t, now)
    return _reused()


def _answer_now(rule: RefreshRule, grant: Grant, generation: int, late: int, now: datetime) -> RefreshAllowed:
    return RefreshAllowed(
        rule=rule,
        grant=grant,
        successor=Successor(generation=generation, issued_at=whole_seconds(now)),
        alarm=DATABASE_LOST_COMMITS if rule is RefreshRule.COMMITS_LOST else None,
        _change=RowChange(generation=generation, rotated_at=now, late=late),
    )


def _reused() -> RefreshRefused:
    return RefreshRefused(
        rule=RefreshRule.REUSED,
        refusal=Refusal.REFRESH_TOKEN_REUSED,
        audited=True,
        revoke_reason=REASON_REUSED,
    )


def whole_seconds(moment: datetime) -> datetime:
    """Return the moment as a refresh token says it: the fraction of its second cut off."""
    return moment.replace(microsecond=0)
