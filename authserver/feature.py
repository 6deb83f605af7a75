"""The contract between the server and its features.

A feature is one folder that exports ``FEATURE``; ``app.FEATURES`` lists them. It declares its endpoints, the grant
types it adds to the token endpoint, what discovery says of it, and what the front page, the login page and
``authserver dev`` show of it, so that a new feature edits nothing elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from authserver.hasher import Hasher
    from authserver.jose.client_keys import ClientKeys
    from authserver.jose.jwk import ClientKey
    from authserver.jose.keyring import Keyring
    from authserver.jose.status_lists import StatusLists
    from authserver.jose.verified_tokens import VerifiedTokens
    from authserver.oauth.params import Params
    from authserver.oauth.values import Authorization, Client
    from authserver.outbound import Outbound
    from authserver.remote_documents import RemoteDocuments
    from authserver.sealing.refresh_token import RefreshTokenSealer
    from authserver.sealing.subkeys import Subkeys
    from authserver.settings import Settings
    from authserver.store.code_batches import CodeBatches, DecideRedemption
    from authserver.store.directory import Directory
    from authserver.store.engine import Engine, Tx
    from authserver.store.grant_batches import Decide, GrantBatches
    from authserver.store.outbox import Outbox
    from authserver.store.status_lists import StatusIndexes
    from authserver.web.answers import Answer
    from authserver.web.client_failures import ClientFailures
    from authserver.web.cors import CorsPolicy
    from authserver.web.facts import Facts
    from authserver.web.pages import Pages


class Live:
    """The signing keys as last read, replaced whole whenever the version row moves, and what discovery says of them."""

    __slots__ = ("_announced", "_describe", "keyring")

    def __init__(self, keyring: Keyring, describe: Callable[[tuple[str, ...]], Mapping[str, object]]) -> None:
        """Start with the keys read at start-up; ``describe`` makes the discovery document for their algorithms."""
        self.keyring = keyring
        self._describe = describe
        self._announced: tuple[tuple[str, ...], Mapping[str, object]] = (
            keyring.algorithms,
            describe(keyring.algorithms),
        )

    @property
    def metadata(self) -> Mapping[str, object]:
        """Return the discovery document; it is made anew only where other algorithms sign."""
        if self._announced[0] != self.keyring.algorithms:
            self._announced = (self.keyring.algorithms, self._describe(self.keyring.algorithms))
        return self._announced[1]


class Life:
    """What of the process changes while it runs: whether it is on its way out."""

    __slots__ = ("draining",)

    def __init__(self) -> None:
        """Start as one that takes requests."""
        self.draining = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A line that development mode shows on the front page."""

    name: str
    value: str
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What features work with; made once by ``app.create_app`` and never changed."""

    settings: Settings
    engine: Engine
    grant_batches: GrantBatches
    code_batches: CodeBatches
    directory: Directory
    status_lists: StatusLists
    status_indexes: StatusIndexes
    live: Live
    subkeys: Subkeys
    refresh_tokens: RefreshTokenSealer
    hasher: Hasher
    outbox: Outbox
    outbound: Outbound
    client_keys: ClientKeys
    upstream_documents: RemoteDocuments[Mapping[str, Any]]  # what other providers' discovery says
    upstream_keys: RemoteDocuments[Sequence[ClientKey]]
    verified_tokens: VerifiedTokens
    client_failures: ClientFailures
    pages: Pages
    features: tuple[Feature, ...]
    grant_types: Mapping[str, GrantType]
    life: Life
    demo: tuple[Demo, ...] = ()  # filled by `authserver dev` only

    @property
    def metadata(self) -> Mapping[str, object]:
        """Return the discovery document of this moment."""
        return self.live.metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: the process's clock read once, the services, and the facts of the request."""

    now: datetime
    services: Services
    facts: Facts


EndpointHandler: TypeAlias = "Callable[[Call, Params], Awaitable[Answer]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path. ``errors`` says what a refusal is: OAuth's JSON, a page for a person, or an RFC 9457 problem."""

    path: str
    methods: frozenset[str]
    handler: EndpointHandler
    body: Literal["form", "json"] = "form"
    errors: Literal["json", "page", "problem"] = "json"
    cors: CorsPolicy = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated client, and the single-use proof it came with.

    ``replay_key`` must be claimed as the first statement of the deciding transaction (RFC 7523 §3 rule 7).
    """

    client: Client
    replay_key: bytes | None = None
    replay_until: datetime | None = None


class Prepared(Protocol):
    """What a grant type has parsed and checked without a row, ready to be decided in a transaction of its own."""

    async def decide(self, call: Call, tx: Tx, client: Client) -> Authorization:
        """Load, decide, store. Nothing but the database is awaited; an OAuthError still commits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedOnGrant:
    """The same where a grant stands already: the decision on its row is pure, so many requests share a transaction."""

    grant_id: UUID
    decide: Decide[Authorization]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedOnCode:
    """The same where an authorization code is presented."""

    code_hash: bytes
    decide: DecideRedemption[Authorization]


class GrantType(Protocol):
    """A grant type proves; the token endpoint issues."""

    @property
    def name(self) -> str:
        """Return the value of ``grant_type`` on the wire."""

    async def prepare(
        self, call: Call, client: Client, form: Params
    ) -> Authorization | Prepared | PreparedOnGrant | PreparedOnCode:
        """Parse and check all that needs no row: where that is everything, it is decided. No transaction is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A line that people see on the front page or the login page; ``label`` is a message id (``N_("…")``).

    On the login page ``/{id}`` of an app's sign-in under way is added where the page behind it goes on with that. A
    line that is not offered at present is left out.
    """

    label: str
    path: str
    goes_on: bool = False
    is_offered: Callable[[Services], bool] = field(default=lambda _: True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One thing a client or a person can do."""

    name: str
    is_offered: Callable[[Settings], bool] = field(default=lambda _: True)  # where not, it is as if it did not exist
    endpoints: tuple[Endpoint, ...] = ()
    grant_types: tuple[GrantType, ...] = ()
    metadata: Callable[[Settings], Mapping[str, object]] = field(default=lambda _: {})
    developer_links: tuple[Link, ...] = ()  # front page, "For developers"
    account_links: tuple[Link, ...] = ()  # its pages about the user's own account, in the list beside them
    login_links: tuple[Link, ...] = ()  # second ways to sign in, under the login form
    dev_lines: Callable[[str], tuple[tuple[str, str], ...]] = field(default=lambda _: ())  # issuer -> (label, text)
