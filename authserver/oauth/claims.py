"""What access tokens, ID tokens and userinfo say (RFC 9068 §2.2, OIDC Core §2 and §5).

A claim without a value is left out, never null. Times are whole seconds.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

from authlib.oidc.core.util import create_half_hash

from authserver.oauth.scope import OPENID, SCOPE_CLAIMS, join_scope
from authserver.oauth.status_list import build_status_claim

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from authserver.oauth.values import Authorization, User

JTI_ENTROPY_BYTES: Final = 8
_JTI_LENGTH: Final = 32  # characters of base64url for a grant id and the entropy
_NO_GRANT: Final = UUID(int=0)

# What an ID token may hold (OIDC Core §2, §3.1.3.6; Session Management's `sid`).
# fmt: off
ID_TOKEN_CLAIMS: Final = (
    "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid",
)
# fmt: on

# What only the issuer may say in a token. Whoever adds claims of their own later must not reach these.
# fmt: off
RESERVED_CLAIMS: Final = frozenset({
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "typ", "client_id", "scope", "authorization_details", "cnf",
    "act", "may_act", "azp", "nonce", "auth_time", "acr", "amr", "at_hash", "c_hash", "s_hash", "sid", "status",
    "events", "sub_id",
})
# fmt: on


def build_jti(grant_id: UUID | None, entropy: bytes) -> str:
    """Return the ``jti`` that leads back to the grant; None (client_credentials) is written as sixteen zero bytes.

    ``entropy`` is ``JTI_ENTROPY_BYTES`` random bytes, which make the ``jti`` unique.
    """
    if len(entropy) != JTI_ENTROPY_BYTES:
        raise ValueError("a jti needs 8 bytes of entropy")
    return urlsafe_b64encode((grant_id or _NO_GRANT).bytes + entropy).decode("ascii")


def parse_jti(jti: object) -> UUID | None:
    """Return the grant that a verified token belongs to; None where it has none, or where no token of ours says so."""
    return _grant_of(jti) if isinstance(jti, str) and len(jti) == _JTI_LENGTH else None


@lru_cache(maxsize=10_000)  # read twice for each introspection, and the same tokens come again: 5 % of it
def _grant_of(jti: str) -> UUID | None:
    try:
        raw = urlsafe_b64decode(jti.encode("ascii"))
    except ValueError:
        return None
    if urlsafe_b64encode(raw).decode("ascii") != jti:
        return None
    grant_id = UUID(bytes=raw[:16])
    return None if grant_id == _NO_GRANT else grant_id


def build_access_token_claims(
    authorization: Authorization, *, issuer: str, client_id: str, now: datetime, entropy: bytes
) -> dict[str, object]:
    """Return the claims of a JWT access token (RFC 9068 §2.2). Without resources the audience is the issuer itself."""
    issued_at = int(now.timestamp())
    index = authorization.status_index
    claims = {
        "iss": issuer,
        "sub": authorization.subject,
        "aud": one_or_all(authorization.audience or (issuer,)),
        "client_id": client_id,
        "scope": join_scope(authorization.scope),
        "iat": issued_at,
        "exp": issued_at + _seconds(authorization.access_token_lifetime),
        "jti": build_jti(authorization.grant_id, entropy),
        "sid": _text(authorization.session_id),
        "auth_time": _timestamp(authorization.auth_time),
        "acr": authorization.acr,
        "status": None if index is None else build_status_claim(issuer, index),
    }
    return present(claims)


def build_id_token_claims(
    authorization: Authorization,
    *,
    issuer: str,
    client_id: str,
    lifetime: timedelta,
    now: datetime,
    access_token: str,
    alg: str,
) -> dict[str, object]:
    """Return the claims of an ID token (OIDC Core §2, §3.1.3.6).

    ``alg`` is the ID token's own, as ``at_hash`` is made with its hash. The audience is the client alone, so there is
    no ``azp``. What the user is called stays with userinfo, as an access token comes beside (§5.4).
    """
    issued_at = int(now.timestamp())
    claims = {
        "iss": issuer,
        "sub": authorization.subject,
        "aud": client_id,
        "exp": issued_at + _seconds(lifetime),
        "iat": issued_at,
        "auth_time": _timestamp(authorization.auth_time),
        "nonce": authorization.nonce,
        "acr": authorization.acr,
        "amr": list(authorization.amr),
        "at_hash": create_half_hash(access_token, alg).decode("ascii"),
        "sid": _text(authorization.session_id),
    }
    return present(claims)


def build_userinfo_claims(user: User, scope: frozenset[str]) -> dict[str, object]:
    """Return ``sub`` and what the scopes profile, email, address and phone ask for (OIDC Core §5.1, §5.4)."""
    claims = {
        "sub": user.sub,
        "name": user.name,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "middle_name": user.middle_name,
        "nickname": user.nickname,
        "preferred_username": user.username,
        "profile": user.profile,
        "picture": user.picture,
        "website": user.website,
        "gender": user.gender,
        "birthdate": user.birthdate.isoformat() if user.birthdate else None,
        "zoneinfo": user.zoneinfo,
        "locale": user.locale,
        "updated_at": _timestamp(user.updated_at),
        "email": user.email,
        "email_verified": user.email_verified if user.email else None,
        "address": {"formatted": user.address} if user.address else None,
        "phone_number": user.phone_number,
        "phone_number_verified": user.phone_number_verified if user.phone_number else None,
    }
    asked_for = {name for word in scope | {OPENID} for name in SCOPE_CLAIMS.get(word, ())}
    return {name: value for name, value in present(claims).items() if name in asked_for}


def one_or_all(values: tuple[str, ...]) -> str | list[str]:
    """Return an audience as most readers expect it: a string where it is one (RFC 7519 §4.1.3)."""
    return values[0] if len(values) == 1 else list(values)


def present(claims: Mapping[str, object]) -> dict[str, object]:
    """Leave out what has no value (OIDC Core §5.3.2). False and 0 are values."""
    return {name: value for name, value in claims.items() if value or value == 0}  # False is 0 too


def _seconds(lifetime: timedelta) -> int:
    return int(lifetime.total_seconds())


def _timestamp(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None


def _text(value: UUID | None) -> str | None:
    return str(value) if value else None
