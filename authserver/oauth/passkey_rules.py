"""Passkeys (WebAuthn Level 3): what is kept of one, what it is called, and what a sign-in with one is worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

CHALLENGE_LIFETIME: Final = timedelta(minutes=30)  # of the page that shows it: as long as an app's sign-in
MAX_PASSKEYS: Final = 20  # of one user: the browser is told them all
MAX_NAME: Final = 60  # characters
MAX_CREDENTIAL_ID: Final = 1023  # bytes (WebAuthn Level 3 §7.1 step 25)

# "pop" is a key of which nobody says whether hardware keeps it (registered with IANA for RFC 8176): no attestation is
# asked for, so neither "hwk" nor "swk" would be known to be true. A passkey that has verified its user, by a PIN or by
# biometrics, is two factors by itself.
AMR_PASSKEY: Final = ("pop", "mfa")

# The models whose name tells their owner something, of github.com/passkeydeveloper/passkey-authenticator-aaguids.
_AUTHENTICATORS: Final[Mapping[UUID, str]] = {
    UUID("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"): "iCloud Keychain",
    UUID("dd4ec289-e01d-41c9-bb89-70fa845d4bf2"): "iCloud Keychain",
    UUID("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"): "Google Password Manager",
    UUID("d3452668-01fd-4c12-926c-83a4204853aa"): "Microsoft Password Manager",
    UUID("08987058-cadc-4b81-b6e1-30de50dcbe96"): "Windows Hello",
    UUID("9ddd1817-af5a-4672-a2b9-3e3dd95000a9"): "Windows Hello",
    UUID("6028b017-b1d4-4c02-b4b3-afcdafc96bb2"): "Windows Hello",
    UUID("adce0002-35bc-c60a-648b-0b25f1f05503"): "Chrome on Mac",
    UUID("771b48fd-d3d4-4f74-9232-fc157ab0507a"): "Edge on Mac",
    UUID("53414d53-554e-4700-0000-000000000000"): "Samsung Pass",
    UUID("bada5566-a7aa-401f-bd96-45619a55120d"): "1Password",
    UUID("d548826e-79b4-db40-a3d8-11116f7e8349"): "Bitwarden",
    UUID("531126d6-e717-415c-9320-3d9aa6981239"): "Dashlane",
    UUID("fdb141b2-5d84-443e-8a35-4698c205a502"): "KeePassXC",
    UUID("50726f74-6f6e-5061-7373-50726f746f6e"): "Proton Pass",
    UUID("b84e4048-15dc-4dd0-8640-f4f60813c8af"): "NordPass",
    UUID("0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6"): "Keeper",
    UUID("b78a0a55-6ef8-d246-a042-ba0f6d55050c"): "LastPass",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey:
    """A passkey as stored. ``backup_eligible``: it may be on several devices; ``backed_up``: it is by now."""

    id: UUID
    user_id: UUID
    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: UUID
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool
    name: str
    created_at: datetime
    last_used_at: datetime | None


def suggest_name(aaguid: UUID, browser: str) -> str | None:
    """Return what to call a new passkey: its authenticator, else the browser it was made in, None for neither.

    >>> suggest_name(UUID("bada5566-a7aa-401f-bd96-45619a55120d"), "Firefox on Linux")
    '1Password'
    >>> suggest_name(UUID(int=0), "Firefox on Linux")
    'Firefox on Linux'
    """
    return _AUTHENTICATORS.get(aaguid) or browser or None


def parse_name(text: str) -> str | None:
    """Return a name that somebody gave a passkey, None where it is empty, too long or cannot be shown in one line.

    >>> parse_name("  The  blue key ")
    'The blue key'
    """
    name = " ".join(text.split())
    return name if name.isprintable() and 0 < len(name) <= MAX_NAME else None
