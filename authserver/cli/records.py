"""What is printed of each noun: the members that ``--json`` shows, the id first, never a secret or a hash."""

from datetime import datetime

from authserver.cli.terminal import Record
from authserver.oauth.client_documents import build_metadata_document
from authserver.oauth.scope import join_scope
from authserver.oauth.upstream import Provider
from authserver.oauth.values import Client, Grant, Resource, Session, User
from authserver.operations.key_revocation import Revocation
from authserver.operations.keys import KeyListing, Rotation
from authserver.operations.users import Cut
from authserver.store.invitations import Invitation
from authserver.store.logout_notices import LogoutNotice
from authserver.store.outbox_queue import QueuedMail
from authserver.store.registration_tokens import RegistrationToken


def record_client(client: Client) -> Record:
    """Return a client's metadata (RFC 7591 §2 and this server's own members), its state, and when its secrets end."""
    return {
        "client_id": client.client_id,
        "type": client.type.value,
        **build_metadata_document(client, operator=True),
        "status": _status(client),
        "self_registered": client.self_registered,
        "secrets": [{"created_at": secret.created_at, "expires_at": secret.expires_at} for secret in client.secrets],
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    }


def record_resource(resource: Resource) -> Record:
    """Return a resource's members."""
    return {
        "identifier": resource.identifier,
        "name": resource.name,
        "scope": join_scope(resource.scope),
        "verified_scope": join_scope(resource.verified_scope),
        "access_token_lifetime": resource.access_token_lifetime,
    }


def record_provider(provider: Provider, issuer: str) -> Record:
    """Return a provider's members, and the address to register there; the secret is only said to be set."""
    return {
        "slug": provider.slug,
        "kind": provider.kind.value,
        "label": provider.label,
        "callback": f"{issuer}{provider.callback_path}",
        "client_id": provider.client_id,
        "has_client_secret": provider.sealed_secret is not None,
        "auth_method": provider.auth_method.value,
        "scope": " ".join(provider.scope),
        "issuer": provider.issuer,
        "authorization_endpoint": provider.authorization_endpoint,
        "token_endpoint": provider.token_endpoint,
        "userinfo_endpoint": provider.userinfo_endpoint,
        "emails_endpoint": provider.emails_endpoint,
        "subject_field": provider.subject_field,
        "position": provider.position,
        "allow_sign_up": provider.allow_sign_up,
        "trust_email": provider.trust_email,
        "status": "active" if provider.is_active else "disabled",
        "created_at": provider.created_at,
        "updated_at": provider.updated_at,
    }


def record_user(user: User) -> Record:
    """Return a user's members."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified,
        "is_admin": user.is_admin,
        "name": user.name,
        "has_password": user.password_hash is not None,
        "status": _status(user),
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "disabled_at": user.disabled_at,
        "deleted_at": user.deleted_at,
        "delete_at": user.delete_at,
    }


def record_cut(cut: Cut) -> Record:
    """Return what was taken from a user."""
    return {
        "id": cut.user.id,
        "username": cut.user.username,
        "status": _status(cut.user),
        "sessions_ended": cut.sessions,
        "grants_revoked": cut.grants,
    }


def record_grant(grant: Grant) -> Record:
    """Return a grant's members."""
    return {
        "id": grant.id,
        "client_id": grant.client_id,
        "user_id": grant.user_id,
        "session_id": grant.session_id,
        "scope": join_scope(grant.scope),
        "resources": list(grant.resources),
        "created_at": grant.created_at,
        "rotated_at": grant.rotated_at,
        "expires_at": grant.expires_at,
        "revoked_at": grant.revoked_at,
        "reason": grant.reason,
    }


def record_session(session: Session) -> Record:
    """Return a session's members."""
    return {
        "id": session.id,
        "user_id": session.user_id,
        "auth_time": session.auth_time,
        "acr": session.acr,
        "amr": list(session.amr),
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "expires_at": session.expires_at,
        "ended_at": session.ended_at,
    }


def record_registration_token(token: RegistrationToken) -> Record:
    """Return what is known of an initial access token, which is not the token."""
    return {
        "id": token.id,
        "uses_left": token.uses_left,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }


def record_invitation(invitation: Invitation, now: datetime) -> Record:
    """Return an invitation's members, the address first: that is what it is revoked by."""
    return {
        "email": invitation.email,
        "id": invitation.id,
        "status": invitation.state(now),
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
        "accepted_at": invitation.accepted_at,
    }


def record_mail(mail: QueuedMail) -> Record:
    """Return what is known of a mail, which is not what it says."""
    return {
        "id": mail.id,
        "kind": mail.kind,
        "state": mail.told_state.replace(" ", "_"),
        "recipient": mail.recipient,
        "user_id": mail.user_id,
        "locale": mail.locale,
        "attempts": mail.attempts,
        "created_at": mail.created_at,
        "next_attempt_at": mail.next_attempt_at if mail.state == "waiting" else None,
        "expires_at": mail.expires_at,
        "settled_at": mail.settled_at,
        "last_answer": mail.last_answer,
    }


def record_logout_notice(notice: LogoutNotice) -> Record:
    """Return which app was to hear of which session, and what has become of it."""
    return {
        "id": notice.id,
        "state": notice.told_state.replace(" ", "_"),
        "client_id": notice.client_id,
        "session_id": notice.session_id,
        "user_id": notice.user_id,
        "attempts": notice.attempts,
        "created_at": notice.created_at,
        "next_attempt_at": notice.next_attempt_at if notice.state == "waiting" else None,
        "settled_at": notice.settled_at,
        "last_answer": notice.last_answer,
    }


def record_signing_key(listing: KeyListing) -> Record:
    """Return a signing key's public side and its times."""
    key = listing.key
    return {
        "kid": key.kid,
        "alg": key.alg,
        "state": listing.state.value,
        "generation": key.generation,
        "publish_at": key.publish_at,
        "sign_from": key.sign_from,
        "sign_until": key.sign_until,
        "drop_at": key.drop_at,
        "revoked_at": key.revoked_at,
        "next_change_at": listing.next_change_at,
    }


def record_revocation(revocation: Revocation) -> Record:
    """Return what the revocation of a signing key did."""
    return {
        "kid": revocation.key.kid,
        "alg": revocation.key.alg,
        "was": revocation.was.value,
        "revoked_at": revocation.key.revoked_at,
        "signs_now": revocation.successor.kid if revocation.successor is not None else None,
        "tokens_refused_until": revocation.tokens_may_live_until,
        "changed": revocation.is_changed,
    }


def record_rotation(rotation: Rotation, now: datetime) -> Record:
    """Return what a rotation did for one algorithm."""
    return {
        "kid": rotation.upcoming.kid,
        "alg": rotation.alg,
        "sign_from": rotation.upcoming.sign_from,
        "is_signing": rotation.upcoming.sign_from <= now,
        "changed": rotation.is_changed,
        "replaces": rotation.current.kid if rotation.current is not None else None,
        "last_token_expires_at": rotation.last_token_expires_at,
    }


def _status(thing: User | Client) -> str:
    if thing.deleted_at is not None:
        return "deleted"
    if isinstance(thing, User) and thing.disabled_at is None and thing.delete_at is not None:
        return "leaving"
    return "active" if thing.disabled_at is None else "disabled"
