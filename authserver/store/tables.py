"""The whole schema on one page. Declarations only: queries are Core statements, rows become values before they leave.

A table of this page is what the newest migration leaves; a test compares the two on both databases.
"""

from datetime import date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

from authserver.store.types import Json, Seconds, WordList, WordSet

# Names as PostgreSQL makes them, so that a migration can name what it changes, on SQLite too.
metadata = SQLModel.metadata
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class State(SQLModel, table=True):
    """One row, which every process polls: it moves when clients, resources, providers or keys change."""

    __tablename__: ClassVar[str] = "state"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    version: int = Field(sa_type=BigInteger)
    epoch: int = Field(sa_type=BigInteger)  # raised by a restore
    serves_from: str  # the oldest schema whose program may still run on this one (expand, then contract)


class Leases(SQLModel, table=True):
    """Which process does a background job at present: one row for each job, of a stopped process none."""

    __tablename__: ClassVar[str] = "leases"

    name: str = Field(primary_key=True)  # the job's
    owner: UUID  # made anew by each process that starts
    expires_at: datetime


class Resources(SQLModel, table=True):
    """The APIs that tokens are for."""

    __tablename__: ClassVar[str] = "resources"

    identifier: str = Field(primary_key=True)
    name: str
    scope: frozenset[str] = Field(sa_type=WordSet)
    verified_scope: frozenset[str] = Field(sa_type=WordSet)
    access_token_lifetime: timedelta | None = Field(sa_type=Seconds)


class Clients(SQLModel, table=True):
    """The apps that ask for tokens: their RFC 7591 metadata and the operator's settings."""

    __tablename__: ClassVar[str] = "clients"
    __table_args__ = (
        Index(
            "ix_clients_disabled_at",
            "disabled_at",
            sqlite_where=text("disabled_at IS NOT NULL"),
            postgresql_where=text("disabled_at IS NOT NULL"),
        ),
        Index(
            "ix_clients_deleted_at",
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    client_id: str = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger, index=True)  # the state's version when the row changed last
    client_name: str
    type: str
    application_type: str
    redirect_uris: tuple[str, ...] = Field(sa_type=WordList)
    post_logout_redirect_uris: tuple[str, ...] = Field(sa_type=WordList)
    token_endpoint_auth_method: str
    token_endpoint_auth_signing_alg: str | None
    grant_types: frozenset[str] = Field(sa_type=WordSet)
    response_types: frozenset[str] = Field(sa_type=WordSet)
    scope: frozenset[str] = Field(sa_type=WordSet)
    jwks: dict[str, Any] | None = Field(sa_type=Json)
    jwks_uri: str | None
    id_token_signed_response_alg: str
    default_max_age: timedelta | None = Field(sa_type=Seconds)
    require_auth_time: bool
    backchannel_logout_uri: str | None
    backchannel_logout_session_required: bool = Field(sa_column_kwargs={"server_default": false()})
    subject_type: str
    client_uri: str | None
    logo_uri: str | None
    tos_uri: str | None
    policy_uri: str | None
    contacts: list[str] = Field(sa_type=Json)
    software_id: str | None
    software_version: str | None
    profile: str | None
    access_token_lifetime: timedelta | None = Field(sa_type=Seconds)
    id_token_lifetime: timedelta | None = Field(sa_type=Seconds)
    authorization_code_lifetime: timedelta | None = Field(sa_type=Seconds)
    refresh_token_idle_lifetime: timedelta | None = Field(sa_type=Seconds)
    refresh_token_absolute_lifetime: timedelta | None = Field(sa_type=Seconds)
    refresh_token_mode: str
    refresh_token_policy: str
    logout_scope: str
    first_party: bool
    api_register: bool
    require_pkce: bool
    introspects: tuple[str, ...] = Field(sa_type=WordList)
    introspection_signed_response_alg: str | None
    status_index: int | None = Field(index=True, unique=True)  # where its own tokens stand in list 0
    self_registered: bool
    registration_token_hash: bytes | None
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None
    deleted_at: datetime | None


class ClientSecrets(SQLModel, table=True):
    """The live secrets of clients, at most two each, as SHA-256."""

    __tablename__: ClassVar[str] = "client_secrets"

    client_id: str = Field(primary_key=True, foreign_key="clients.client_id", ondelete="CASCADE")
    secret_hash: bytes = Field(primary_key=True)
    created_at: datetime
    expires_at: datetime | None = Field(index=True)


class Users(SQLModel, table=True):
    """People. A deleted one keeps the row for 30 days; names and addresses are free again at once."""

    __tablename__: ClassVar[str] = "users"
    __table_args__ = (
        Index(
            "uq_users_username_key",
            "username_key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "uq_users_email_key_verified",
            "email_key",
            unique=True,
            sqlite_where=text("email_verified AND deleted_at IS NULL"),
            postgresql_where=text("email_verified AND deleted_at IS NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    username: str
    username_key: str  # NFKC, case folded
    email: str | None
    email_key: str | None = Field(index=True)  # the same of the address
    email_verified: bool
    password_hash: str | None
    is_admin: bool
    name: str | None
    given_name: str | None
    family_name: str | None
    middle_name: str | None
    nickname: str | None
    profile: str | None
    picture: str | None
    website: str | None
    gender: str | None
    birthdate: date | None
    zoneinfo: str | None
    locale: str | None
    phone_number: str | None
    phone_number_verified: bool
    address: str | None
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None
    deleted_at: datetime | None = Field(index=True)
    delete_at: datetime | None = Field(index=True)  # the person's own wish, which they can take back until then


class SignUps(SQLModel, table=True):
    """Accounts that somebody asked for: one is made once the code proves the address, else the row goes."""

    __tablename__: ClassVar[str] = "sign_ups"

    id: UUID = Field(primary_key=True)
    email: str
    name: str | None
    password_hash: str
    locale: str | None
    created_at: datetime
    expires_at: datetime = Field(index=True)


class Invitations(SQLModel, table=True):
    """Addresses that an operator has invited: where accounts are made by invitation, only their owners make one."""

    __tablename__: ClassVar[str] = "invitations"

    id: UUID = Field(primary_key=True)
    email: str
    mailbox_key: str = Field(unique=True)  # the address without the case of ASCII letters
    created_at: datetime
    expires_at: datetime = Field(index=True)
    accepted_at: datetime | None = Field(index=True)  # when the account was made


class MailedCodes(SQLModel, table=True):
    """Codes sent by mail, one row for each: what it proves, the tries at it, and what became of it."""

    __tablename__: ClassVar[str] = "mailed_codes"

    id: UUID = Field(primary_key=True)
    purpose: str
    user_id: UUID | None = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    sign_up_id: UUID | None = Field(foreign_key="sign_ups.id", ondelete="SET NULL", index=True)
    email: str  # where it was sent
    code_hash: bytes | None  # HMAC; without one nothing was sent, and no code is right
    link_hash: bytes | None = Field(unique=True)
    browser_hash: bytes | None  # of the browser that asked, later of the one that proved; an app has none
    transaction_id: UUID | None  # the sign-in to go back to
    upstream_id: UUID | None = Field(foreign_key="upstream_sign_ins.id", ondelete="SET NULL", index=True)
    mail_id: UUID | None  # in the outbox
    attempts: int
    created_at: datetime
    expires_at: datetime = Field(index=True)
    proven_at: datetime | None
    used_at: datetime | None


class ImportedIds(SQLModel, table=True):
    """Which account here an account of the project that people came from has become, by its id there."""

    __tablename__: ClassVar[str] = "imported_ids"

    source_id: str = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)


class Sessions(SQLModel, table=True):
    """Browsers in which a user is signed in."""

    __tablename__: ClassVar[str] = "sessions"

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    cookie_hash: bytes = Field(unique=True)
    auth_time: datetime
    acr: str
    amr: tuple[str, ...] = Field(sa_type=WordList)
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime = Field(index=True)
    shared_computer: bool
    ended_at: datetime | None
    end_reason: str | None
    user_agent: str
    address: str


class SessionClients(SQLModel, table=True):
    """Clients to which people signed in through a session, where the grants that said so have been purged."""

    __tablename__: ClassVar[str] = "session_clients"

    session_id: UUID = Field(primary_key=True, foreign_key="sessions.id", ondelete="CASCADE")
    client_id: str = Field(primary_key=True)


class LogoutNotices(SQLModel, table=True):
    """What clients are yet to hear, or have heard, of sessions that ended: one row for each client and session."""

    __tablename__: ClassVar[str] = "logout_notices"
    __table_args__ = (
        Index(
            "ix_logout_notices_next_attempt_at",
            "next_attempt_at",
            "client_id",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: UUID = Field(primary_key=True)
    client_id: str
    session_id: UUID = Field(index=True)
    user_id: UUID
    state: str  # waiting | delivered | refused | failed
    attempts: int
    next_attempt_at: datetime  # while it is being delivered: when it is anybody's again
    claim: UUID | None  # of the process that delivers it
    created_at: datetime
    settled_at: datetime | None = Field(index=True)
    last_answer: str | None  # the status, or why there was none


class Devices(SQLModel, table=True):
    """Browsers in which a user signed in before: throttling does not hold them up."""

    __tablename__: ClassVar[str] = "devices"

    device_hash: bytes = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    created_at: datetime = Field(index=True)


class TotpSecrets(SQLModel, table=True):
    """Authenticator apps (RFC 6238), one for a user. Before it is confirmed it counts for nothing."""

    __tablename__: ClassVar[str] = "totp_secrets"

    user_id: UUID = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE")
    sealed: bytes
    last_step: int = Field(sa_type=BigInteger)  # the time step of the newest code that was used: none works twice
    created_at: datetime
    confirmed_at: datetime | None


class RecoveryCodes(SQLModel, table=True):
    """Codes for who has lost the authenticator app, as HMAC; a used one is deleted."""

    __tablename__: ClassVar[str] = "recovery_codes"

    user_id: UUID = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE")
    code_hash: bytes = Field(primary_key=True)
    created_at: datetime


class Passkeys(SQLModel, table=True):
    """Passkeys: the public half of each, and what its authenticator said of it when it was used last."""

    __tablename__: ClassVar[str] = "passkeys"

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    credential_id: bytes = Field(unique=True)  # chosen by the authenticator
    public_key: bytes  # a COSE_Key (RFC 9052 §7)
    sign_count: int = Field(sa_type=BigInteger)  # 0 for good where the authenticator does not count
    aaguid: UUID  # the authenticator's model; nobody vouches for it
    transports: tuple[str, ...] = Field(sa_type=WordList)
    backup_eligible: bool  # it may be on several devices
    backed_up: bool  # and is
    name: str
    created_at: datetime
    last_used_at: datetime | None


class PendingSignIns(SQLModel, table=True):
    """Sign-ins whose first factor was right and whose second one is awaited, in a browser or in an app."""

    __tablename__: ClassVar[str] = "pending_sign_ins"

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    binding_hash: bytes = Field(index=True)  # of the browser's cookie; of an app's auth_session
    client_id: str | None  # of the app
    transaction_id: UUID | None  # the sign-in to go back to
    session_id: UUID | None  # the session that is to become stronger
    amr: tuple[str, ...] = Field(sa_type=WordList)  # what was proven already
    shared_computer: bool
    attempts: int
    created_at: datetime
    expires_at: datetime = Field(index=True)


class UpstreamProviders(SQLModel, table=True):
    """Other providers that people may sign in through. Our secret there is sealed."""

    __tablename__: ClassVar[str] = "upstream_providers"

    slug: str = Field(primary_key=True)
    kind: str  # oidc | oauth
    label: str
    position: int
    client_id: str
    sealed_secret: bytes | None
    auth_method: str
    scope: tuple[str, ...] = Field(sa_type=WordList)
    issuer: str | None
    authorization_endpoint: str | None
    token_endpoint: str | None
    userinfo_endpoint: str | None
    emails_endpoint: str | None
    subject_field: str
    allow_sign_up: bool
    trust_email: bool
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None


class UpstreamSignIns(SQLModel, table=True):
    """Ways to another provider and back. The profile is kept of somebody who has no account and is to make one."""

    __tablename__: ClassVar[str] = "upstream_sign_ins"

    id: UUID = Field(primary_key=True)
    state_hash: bytes = Field(unique=True)
    provider: str = Field(foreign_key="upstream_providers.slug", ondelete="CASCADE", index=True)
    browser_hash: bytes
    session_id: UUID | None  # the session whose account is to be linked
    transaction_id: UUID | None  # the sign-in to go back to
    asked_anew: bool
    created_at: datetime
    expires_at: datetime = Field(index=True)
    used_at: datetime | None
    subject: str | None
    account_name: str | None
    name: str | None
    email: str | None


class UpstreamIdentities(SQLModel, table=True):
    """Whose account here an account at another provider is linked to; removing the provider removes them."""

    __tablename__: ClassVar[str] = "upstream_identities"

    provider: str = Field(primary_key=True, foreign_key="upstream_providers.slug", ondelete="CASCADE")
    subject: str = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    account_name: str | None
    created_at: datetime
    last_used_at: datetime | None


class Transactions(SQLModel, table=True):
    """Sign-ins under way."""

    __tablename__: ClassVar[str] = "transactions"

    id: UUID = Field(primary_key=True)
    browser_hash: bytes
    client_id: str
    parameters: str
    created_at: datetime
    expires_at: datetime = Field(index=True)
    consented_by: UUID | None
    consented_scope: frozenset[str] = Field(sa_type=WordSet)
    consented_resources: frozenset[str] = Field(sa_type=WordSet)
    denied_at: datetime | None
    finished_at: datetime | None


class Consents(SQLModel, table=True):
    """What users agreed that clients may have."""

    __tablename__: ClassVar[str] = "consents"

    user_id: UUID = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE")
    client_id: str = Field(primary_key=True, foreign_key="clients.client_id", ondelete="CASCADE", index=True)
    scope: frozenset[str] = Field(sa_type=WordSet)
    resources: frozenset[str] = Field(sa_type=WordSet)
    updated_at: datetime
    withdrawn_at: datetime | None


class AuthorizationCodes(SQLModel, table=True):
    """Authorization codes, redeemed or not; each use is counted."""

    __tablename__: ClassVar[str] = "authorization_codes"

    code_hash: bytes = Field(primary_key=True)
    client_id: str
    grant_id: UUID
    user_id: UUID
    session_id: UUID
    redirect_uri: str
    redirect_uri_given: bool
    scope: frozenset[str] = Field(sa_type=WordSet)
    resources: tuple[str, ...] = Field(sa_type=WordList)
    code_challenge: str | None
    nonce: str | None
    auth_time: datetime
    acr: str
    amr: tuple[str, ...] = Field(sa_type=WordList)
    created_at: datetime
    expires_at: datetime = Field(index=True)
    uses: int


class Grants(SQLModel, table=True):
    """What users gave clients: one row for all the tokens of one grant (DESIGN §5).

    A refresh changes generation, rotated_at and late. No index may name them, or an update is no longer HOT. Grants
    outlive the rows they came from, so nothing here is a foreign key.
    """

    __tablename__: ClassVar[str] = "grants"
    __table_args__ = (
        Index(
            "ix_grants_revoked_at",
            "revoked_at",
            sqlite_where=text("revoked_at IS NOT NULL"),
            postgresql_where=text("revoked_at IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": "75"}},
    )

    id: UUID = Field(primary_key=True)
    client_id: str = Field(index=True)
    user_id: UUID = Field(index=True)
    session_id: UUID | None = Field(index=True)
    scope: frozenset[str] = Field(sa_type=WordSet)
    resources: tuple[str, ...] = Field(sa_type=WordList)
    authorization_details: list[Any] | None = Field(sa_type=Json)  # RFC 9396
    acr: str
    amr: tuple[str, ...] = Field(sa_type=WordList)
    auth_time: datetime
    bound_key: str | None
    status_index: int | None = Field(sa_type=BigInteger, unique=True)
    secret_hash: bytes
    generation: int = Field(sa_type=BigInteger)
    rotated_at: datetime
    late: int = Field(sa_type=BigInteger)
    created_at: datetime
    expires_at: datetime = Field(index=True)
    revoked_at: datetime | None
    reason: str | None


class StatusLists(SQLModel, table=True):
    """One row: which token status lists there are, and how long a revoked token has to stand in them."""

    __tablename__: ClassVar[str] = "status_lists"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    lists: int  # their number; list 0 is of clients, the others of grants
    open_list: int  # the one that new grants are entered in
    used: int  # how many places of it have been given away
    seed: bytes  # says in which order its places are given away
    longest_lifetime: timedelta = Field(sa_type=Seconds)  # of access tokens that may still be alive
    lowered_at: datetime | None  # when no setting asked for so long a lifetime any more


class Replays(SQLModel, table=True):
    """Single-use proofs and challenges that were used (RFC 7523 §3 rule 7), until they would have expired."""

    __tablename__: ClassVar[str] = "replays"

    key_hash: bytes = Field(primary_key=True)
    expires_at: datetime = Field(index=True)


class Attempts(SQLModel, table=True):
    """Tries at passwords and codes, counted before the hash (DESIGN §8)."""

    __tablename__: ClassVar[str] = "attempts"

    kind: str = Field(primary_key=True)
    key_hash: bytes = Field(primary_key=True)
    count: int
    first_at: datetime
    last_at: datetime = Field(index=True)


class SigningKeys(SQLModel, table=True):
    """Signing keys. A state follows from the times; the private part is sealed; a revoked one stays as a tombstone."""

    __tablename__: ClassVar[str] = "signing_keys"
    __table_args__ = (UniqueConstraint("alg", "generation"),)

    kid: str = Field(primary_key=True)
    alg: str
    generation: int
    public_jwk: dict[str, str] = Field(sa_type=Json)
    sealed_private: bytes
    publish_at: datetime
    sign_from: datetime
    sign_until: datetime | None
    drop_at: datetime | None
    revoked_at: datetime | None


class Masters(SQLModel, table=True):
    """Sealed secrets from which subkeys are derived; the highest key_id is current."""

    __tablename__: ClassVar[str] = "masters"

    key_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sealed: bytes
    created_at: datetime


class OutboxMails(SQLModel, table=True):
    """Mail on its way out. What it says is sealed, and blanked once it has been sent or is too late."""

    __tablename__: ClassVar[str] = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_next_attempt_at",
            "next_attempt_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_outbox_expires_at",
            "expires_at",
            sqlite_where=text("sealed IS NOT NULL AND expires_at IS NOT NULL"),
            postgresql_where=text("sealed IS NOT NULL AND expires_at IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    kind: str
    recipient: str
    recipient_key: str = Field(index=True)
    locale: str | None
    user_id: UUID | None = Field(index=True)
    sealed: bytes | None
    state: str  # waiting | sent | failed | expired
    attempts: int
    next_attempt_at: datetime  # while it is being sent: when it is anybody's again
    claim: UUID | None  # of the process that sends it
    created_at: datetime
    expires_at: datetime | None
    settled_at: datetime | None = Field(index=True)
    last_answer: str | None  # why it is tried again, or failed


class RegistrationTokens(SQLModel, table=True):
    """Initial access tokens for /register (RFC 7591 §3), as SHA-256."""

    __tablename__: ClassVar[str] = "registration_tokens"

    id: UUID = Field(primary_key=True)
    token_hash: bytes = Field(unique=True)
    uses_left: int
    created_at: datetime
    expires_at: datetime | None = Field(index=True)
    revoked_at: datetime | None


class AuditEvents(SQLModel, table=True):
    """What happened, written in the transaction that did it."""

    __tablename__: ClassVar[str] = "audit_events"

    id: UUID = Field(primary_key=True)
    at: datetime
    event: str
    actor: str | None
    user_id: UUID | None = Field(index=True)
    client_id: str | None = Field(index=True)
    grant_id: UUID | None
    session_id: UUID | None
    request_id: str | None
    address: str | None
    detail: dict[str, Any] = Field(sa_type=Json)
