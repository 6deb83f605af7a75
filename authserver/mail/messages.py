"""The kinds of mail this server sends, and what each one needs to be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

ASKED_BY: Final = frozenset({"browser", "address"})  # "Firefox on Linux" and an IP address; either may be empty
LINKS: Final = frozenset({"link", "stop_link"})
SECRETS: Final = LINKS | {"code"}
FACTOR_CHANGES: Final = frozenset(
    {
        "passkey_added",
        "passkey_removed",
        "totp_added",
        "totp_removed",
        "recovery_codes_made",
        "recovery_code_used",
        "account_linked",
        "account_unlinked",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of mail is made of. One that ``expires`` (codes, invitations) is dropped rather than late."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    expires: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A mail as its row says, opened. ``locale`` is a BCP 47 tag; the times are aware."""

    id: UUID
    kind: str
    to: str
    locale: str | None
    parameters: Mapping[str, str]
    created_at: datetime
    expires_at: datetime | None


# What each says is in contents.py. ``app`` is the name of the client that a person came from.
KINDS: Final[Mapping[str, Kind]] = {
    "verify_email": Kind(required=ASKED_BY | {"code"}, optional=frozenset({"app", "link", "stop_link"}), expires=True),
    "sign_up_known_address": Kind(required=ASKED_BY, optional=frozenset({"app"})),
    "invitation": Kind(required=frozenset({"link"}), optional=frozenset({"app"}), expires=True),
    "reset_password": Kind(
        required=ASKED_BY | {"code", "link"}, optional=frozenset({"app", "stop_link"}), expires=True
    ),
    "login_code": Kind(required=ASKED_BY | {"code"}, optional=frozenset({"app", "stop_link"}), expires=True),
    "password_changed": Kind(optional=ASKED_BY),
    "change_email_code": Kind(required=ASKED_BY | {"code"}, optional=frozenset({"stop_link"}), expires=True),
    "email_change_notice": Kind(required=frozenset({"new_address"}), optional=ASKED_BY | {"stop_link"}),
    "account_exists_notice": Kind(required=ASKED_BY, optional=frozenset({"app"})),
    "new_device": Kind(required=ASKED_BY),
    "account_deletion": Kind(required=frozenset({"delete_at"}), optional=ASKED_BY),
    "refresh_token_reuse": Kind(required=frozenset({"app"}), optional=ASKED_BY),
    "factor_changed": Kind(required=frozenset({"change"}), optional=ASKED_BY | {"name"}),
    "test": Kind(),
}


def check(kind: str, parameters: Mapping[str, str], *, expires: bool, issuer: str) -> None:
    """Raise ValueError, a bug of the caller, for a mail that could not be written later.

    A link leads to this server and nowhere else: it is made of the configured issuer, never of a request's host
    (SECURITY row 110).
    """
    known = KINDS.get(kind)
    if known is None:
        raise ValueError(f"there is no mail of the kind {kind!r}")
    missing = known.required - parameters.keys()
    unknown = parameters.keys() - known.required - known.optional
    if missing or unknown:
        raise ValueError(f"{kind}: missing parameters {sorted(missing)}, unknown parameters {sorted(unknown)}")
    if known.expires and not expires:
        raise ValueError(f"{kind}: a mail of this kind says when it expires")
    if kind == "factor_changed" and parameters["change"] not in FACTOR_CHANGES:
        raise ValueError(f"{kind}: change is one of {sorted(FACTOR_CHANGES)}")
    for name in LINKS & parameters.keys():
        if not parameters[name].startswith(f"{issuer}/"):
            raise ValueError(f"{kind}: {name} does not lead to this server")
