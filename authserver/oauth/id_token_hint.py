"""What an ID token says when it comes back to its issuer as a hint (OIDC Core §3.1.2.1, RP-Initiated Logout §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenHint:
    """Whom, which client and which session an ID token of ours was about. It may have expired long ago."""

    sub: str
    client_id: str
    session_id: UUID | None


def read_id_token_hint(claims: Mapping[str, object], *, client_id: str | None = None) -> IdTokenHint | None:
    """Return what a hint says, or None where it is no ID token, or was issued to another client than ``client_id``.

    ``claims`` were verified as this issuer's, of type ID token, expiry aside. With ``client_id`` None the token itself
    says which client asks. A logout token has the same issuer and audience; its ``events`` tell it apart (RFC 8417).
    """
    sub, audience = claims.get("sub"), claims.get("aud")
    if not isinstance(sub, str) or not isinstance(audience, str) or "events" in claims:
        return None
    if client_id is not None and audience != client_id:
        return None
    return IdTokenHint(sub=sub, client_id=audience, session_id=_session_id(claims.get("sid")))


def _session_id(sid: object) -> UUID | None:
    try:
        return UUID(sid) if isinstance(sid, str) else None
    except ValueError:
        return None
