"""Codes that are sent by mail: what one proves, how it is written, and what a try at it comes to (DESIGN §4, §8).

A code has six digits, so it is worth something only because few tries are answered: five on its row, whoever makes
them, and only within ten minutes, by the database's clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

DIGITS: Final = 6
TRIES: Final = 5
CODE_LIFETIME: Final = timedelta(minutes=10)
PROOF_LIFETIME: Final = timedelta(minutes=15)  # to choose a new password in, once the code was right
RESEND_AFTER: Final = timedelta(seconds=30)
_CODE: Final = re.compile(r"[0-9]{6}")


class Purpose(StrEnum):
    """What a code is for; a code for one thing is wrong for every other (SECURITY row 109)."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    LOGIN = "login"
    CHANGE_EMAIL = "change_email"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailedCode:
    """One code as stored. ``email`` is where it was sent: for a change, the address that is not the user's yet.

    ``upstream_id`` is the sign-in through another provider that makes an account once its address is proven.
    ``user_id``, ``sign_up_id`` and it are all None where the address belongs to nobody here: the row is what makes such
    an address look like any other. ``browser_hash`` is of the browser that asked, and of the one that gave the proof
    once there is one; an app that asks has none.
    """

    id: UUID
    purpose: Purpose
    user_id: UUID | None
    sign_up_id: UUID | None
    email: str
    code_hash: bytes | None
    link_hash: bytes | None
    browser_hash: bytes | None
    transaction_id: UUID | None
    mail_id: UUID | None
    attempts: int
    created_at: datetime
    expires_at: datetime
    proven_at: datetime | None = None
    used_at: datetime | None = None
    upstream_id: UUID | None = None

    @property
    def tries_left(self) -> int:
        """How many more tries are answered."""
        return max(0, TRIES - self.attempts)

    def wait_for_next(self, now: datetime) -> int:
        """Return the whole seconds until another code may be sent; 0: now."""
        wait = self.created_at + RESEND_AFTER - now
        return max(0, -(-wait // timedelta(seconds=1)))


def parse_code(text: str) -> str | None:
    """Return the six digits of what somebody typed or pasted, None where it is no code at all.

    Blanks are dropped, since the mail shows two groups of three. Only ASCII digits count: another spelling of a code
    would be another code to whoever compares (SECURITY row 108).

    >>> parse_code(" 482 913")
    '482913'
    >>> parse_code("４８２９１３") is None
    True
    """
    code = text.replace(" ", "").strip("\t\r\n")
    return code if _CODE.fullmatch(code) else None


def check_open(code: MailedCode | None, now: datetime) -> MailedCode:
    """Refuse a code that cannot be tried any more: unknown, used, expired, or tried too often.

    ``now`` is the database's clock. A code that was proven stays good for its purpose until it is used.
    """
    if code is None:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "no such code was asked for here", Refusal.MAILED_CODE_UNKNOWN)
    if code.used_at is not None:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this code has been used", Refusal.MAILED_CODE_USED)
    if now >= code.expires_at:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this code has expired", Refusal.MAILED_CODE_EXPIRED)
    if code.proven_at is None and code.attempts >= TRIES:
        raise tried_too_often()
    return code


def check_proven(code: MailedCode | None, browser_hash: bytes | None, now: datetime) -> MailedCode:
    """Refuse the step after the code to whoever has not given the code itself (SECURITY row 111)."""
    code = check_open(code, now)
    if code.proven_at is None or code.browser_hash != browser_hash:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "the code has not been given yet", Refusal.MAILED_CODE_UNPROVEN)
    return code


def wrong_code(tries_left: int) -> OAuthError:
    """Return the refusal of a wrong code; the last one says that there are no more tries."""
    if tries_left == 0:
        return tried_too_often()
    return OAuthError(
        ErrorCode.ACCESS_DENIED, f"that code is not right; tries left: {tries_left}", Refusal.MAILED_CODE_WRONG
    )


def tried_too_often() -> OAuthError:
    """Return the refusal of a code whose tries are used up."""
    return OAuthError(ErrorCode.ACCESS_DENIED, "too many tries at this code", Refusal.MAILED_CODE_TRIED_TOO_OFTEN)
