"""What is kept about a person, as a document that people and programs can read. Secrets, hashed or not, are no part."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from authserver.oauth.passkey_rules import Passkey
    from authserver.oauth.upstream import Identity
    from authserver.oauth.values import Grant, User
    from authserver.store.audit import AuditEvent
    from authserver.store.consents import Given
    from authserver.store.sessions import Browser


def build_export(
    user: User,
    *,
    issuer: str,
    made_at: datetime,
    has_second_factor: bool,
    passkeys: Sequence[Passkey],
    linked: Sequence[Identity],
    browsers: Sequence[Browser],
    given: Sequence[Given],
    held: Sequence[Grant],
    events: Sequence[AuditEvent],
) -> dict[str, object]:
    """Return the document: times in ISO 8601 (UTC), claims by their names in OpenID Connect Core §5.1."""
    return {
        "issuer": issuer,
        "made_at": made_at.isoformat(),
        "account": _account(user) | {"has_second_factor": has_second_factor},
        "passkeys": [_passkey(passkey) for passkey in passkeys],
        "linked_accounts": [_identity(identity) for identity in linked],
        "devices": [_device(browser) for browser in browsers],
        "consents": [_consent(each) for each in given],
        "access": [_grant(grant) for grant in held],
        "activity": [_event(event) for event in events],
    }


def _account(user: User) -> dict[str, object]:
    claims = {
        "sub": user.sub,
        "preferred_username": user.username,
        "name": user.name,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "middle_name": user.middle_name,
        "nickname": user.nickname,
        "profile": user.profile,
        "picture": user.picture,
        "website": user.website,
        "gender": user.gender,
        "birthdate": user.birthdate.isoformat() if user.birthdate is not None else None,
        "zoneinfo": user.zoneinfo,
        "locale": user.locale,
        "email": user.email,
        "email_verified": user.email_verified,
        "phone_number": user.phone_number,
        "phone_number_verified": user.phone_number_verified,
        "address": user.address,
        "has_password": user.password_hash is not None,
        "is_admin": user.is_admin,
        "created_at": user.created_at.isoformat(),
        "updated_at": user.updated_at.isoformat(),
    }
    return {name: value for name, value in claims.items() if value is not None}


def _passkey(passkey: Passkey) -> dict[str, object]:
    used = passkey.last_used_at
    return {
        "name": passkey.name,
        "authenticator": str(passkey.aaguid),
        "synced": passkey.backed_up,
        "added_at": passkey.created_at.isoformat(),
        "last_used_at": used.isoformat() if used is not None else None,
    }


def _identity(identity: Identity) -> dict[str, object]:
    used = identity.last_used_at
    return {
        "provider": identity.provider,
        "subject": identity.subject,
        "account_name": identity.account_name,
        "since": identity.created_at.isoformat(),
        "last_used_at": used.isoformat() if used is not None else None,
    }


def _device(browser: Browser) -> dict[str, object]:
    session = browser.session
    return {
        "browser": browser.user_agent,
        "address": browser.address,
        "signed_in_at": session.created_at.isoformat(),
        "proven_at": session.auth_time.isoformat(),
        "last_used_at": session.last_seen_at.isoformat(),
        "methods": list(session.amr),
    }


def _consent(given: Given) -> dict[str, object]:
    return {
        "client_id": given.consent.client_id,
        "scope": sorted(given.consent.scope),
        "resources": sorted(given.consent.resources),
        "since": given.since.isoformat(),
    }


def _grant(grant: Grant) -> dict[str, object]:
    return {
        "client_id": grant.client_id,
        "scope": sorted(grant.scope),
        "resources": list(grant.resources),
        "since": grant.created_at.isoformat(),
        "last_used_at": grant.rotated_at.isoformat(),
    }


def _event(event: AuditEvent) -> Mapping[str, object]:
    known = {
        "at": event.at.isoformat(),
        "event": event.event,
        "client_id": event.client_id,
        "address": event.address,
    }
    return {name: value for name, value in known.items() if value is not None}
