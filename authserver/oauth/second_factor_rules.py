"""Second factors: which there are, how what somebody types is read, and what a sign-in with one is worth (DESIGN §8).

The levels follow NIST SP 800-63B: ``aal1`` is one factor, whichever; ``aal2`` is that and an authenticator app, one of
the recovery codes that were made with it, or a passkey, or a passkey alone that has verified its user (passkey_rules).
A code by mail is never the second one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from authserver.oauth.mailed_code_rules import parse_code

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

ACR_ONE_FACTOR: Final = "aal1"
ACR_TWO_FACTORS: Final = "aal2"
OFFERED_ACRS: Final = (ACR_ONE_FACTOR, ACR_TWO_FACTORS)
TRIES: Final = 5  # at one sign-in, whoever makes them
PENDING_LIFETIME: Final = timedelta(minutes=10)
SETUP_LIFETIME: Final = timedelta(minutes=30)  # to confirm an authenticator app with its first code
TOTP_PERIOD: Final = 30  # seconds (RFC 6238 §4.1); apps know no other
RECOVERY_CODES: Final = 10
RECOVERY_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # without i, l, o and u, which are read as others
RECOVERY_LENGTH: Final = 12  # of 5 bits each
_RECOVERY_CODE: Final = re.compile(f"[{RECOVERY_ALPHABET}]{{{RECOVERY_LENGTH}}}")
_LOOKS_LIKE: Final = str.maketrans("ilo", "110", " -\t\r\n")

Method: TypeAlias = Literal["otp", "recovery"]
"""What a typed second factor was, as ``amr`` says it: RFC 8176 §2 has a word for the first, none for the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedFactor:
    """What somebody typed: six digits of the authenticator app, or a recovery code in its one spelling."""

    method: Method
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """A sign-in whose first factor was right, as stored.

    ``binding_hash`` is of the browser's cookie, or of the ``auth_session`` of an app, which ``client_id`` names.
    ``session_id`` is the session that is to become stronger; None where a new one begins. ``amr`` is what was proven.
    """

    id: UUID
    user_id: UUID
    binding_hash: bytes
    client_id: str | None
    transaction_id: UUID | None
    session_id: UUID | None
    amr: tuple[str, ...]
    shared_computer: bool
    attempts: int
    created_at: datetime
    expires_at: datetime

    @property
    def tries_left(self) -> int:
        """How many more tries are answered."""
        return max(0, TRIES - self.attempts)


def parse_factor(text: str) -> TypedFactor | None:
    """Return what somebody typed or pasted, None where it is neither a code of an app nor a recovery code.

    Only ASCII counts (SECURITY row 108). Blanks, hyphens and capitals of a recovery code do not matter.

    >>> parse_factor("482 913")
    TypedFactor(method='otp', value='482913')
    >>> parse_factor("K3QW-9ZX4-0OIL").value
    'k3qw9zx40011'
    >>> parse_factor("４８２９１３") is None
    True
    """
    digits = parse_code(text)
    if digits is not None:
        return TypedFactor(method="otp", value=digits)
    code = text.lower().translate(_LOOKS_LIKE) if text.isascii() else ""
    return TypedFactor(method="recovery", value=code) if _RECOVERY_CODE.fullmatch(code) else None


def spell_recovery_code(code: str) -> str:
    """Return a recovery code as it is written down.

    >>> spell_recovery_code("k3qw9zx40011")
    'k3qw-9zx4-0011'
    """
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def strengthen(amr: tuple[str, ...], method: Method | Literal["pop"]) -> tuple[str, ...]:
    """Return the ``amr`` of a sign-in that the second factor was added to (RFC 8176 §2).

    >>> strengthen(("pwd",), "otp")
    ('pwd', 'otp', 'mfa')
    """
    first = tuple(word for word in amr if word not in {"otp", "recovery", "mfa", method})
    return (*first, method, "mfa")


def is_met(acr: str, asked: tuple[str, ...]) -> bool:
    """Tell whether a session of this ``acr`` is as strong as one that was asked for; a stronger one will do.

    >>> is_met("aal2", ("aal1",)), is_met("aal1", ("aal2",))
    (True, False)
    """
    return acr in asked or (acr == ACR_TWO_FACTORS and ACR_ONE_FACTOR in asked)
