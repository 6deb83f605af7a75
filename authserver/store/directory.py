"""All clients, resources and other providers in memory, confirmed by polling the version row (DESIGN §4).

A change made on any node is seen here within a second: the operator's window for a disabled client or a rotated secret.
A process that cannot confirm what it knows for too long must not issue anything.
"""

from __future__ import annotations

import asyncio
from time import monotonic as system_monotonic
from typing import TYPE_CHECKING, Any, Final

from authserver.logs import get_logger
from authserver.oauth.redirect_uri import web_origins
from authserver.phases import UnavailableError
from authserver.store import clients, resources, state, upstream_providers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import timedelta

    from sqlalchemy import Row

    from authserver.oauth.upstream import Provider
    from authserver.oauth.values import Client, ClientSecret, Resource
    from authserver.store.engine import Engine
    from authserver.store.state import State

MISS_INTERVAL: Final = 0.1  # seconds: strangers' client ids cost at most ten polls a second
_NEVER: Final = -1

log = get_logger(__name__)


class Directory:
    """Clients, resources and providers as of the last poll. Lookups are synchronous and cost no database."""

    def __init__(self, engine: Engine, *, monotonic: Callable[[], float] = system_monotonic) -> None:
        """Know nothing until the first :meth:`refresh`."""
        self._engine = engine
        self._monotonic = monotonic
        self._polling = asyncio.Lock()
        self._version = _NEVER
        self._state: State | None = None
        self._clients: dict[str, Client] = {}
        self._resources: dict[str, Resource] = {}
        self._every_resource: tuple[Resource, ...] = ()
        self._providers: tuple[Provider, ...] = ()
        self._origins: frozenset[str] = frozenset()
        self._first_party_origins: frozenset[str] = frozenset()
        self._passkey_origins: frozenset[str] = frozenset()
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._polled_at = self._confirmed_at = float("-inf")

    async def refresh(self) -> State:
        """Poll the version row, reload what changed since the last poll, and return the row.

        Raise UnavailableError where the database does not answer; what is known stays.
        """
        async with self._polling:
            return await self._poll()

    def on_change(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Have ``callback`` awaited after each reload. While it fails, the reload counts as not done."""
        self._callbacks.append(callback)

    @property
    def version(self) -> int:
        """The version of what is known here: it moves when clients, resources or providers do."""
        return self._version

    @property
    def clients(self) -> tuple[Client, ...]:
        """Every client that is not deleted."""
        return tuple(self._clients.values())

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Every resource; the same object until a poll brings something new."""
        return self._every_resource

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The providers that people can sign in through at present, in the order of their buttons."""
        return self._providers

    def find_provider(self, slug: str) -> Provider | None:
        """Return one of :attr:`providers`."""
        return next((provider for provider in self._providers if provider.slug == slug), None)

    def find_client(self, client_id: str) -> Client | None:
        """Return a client as of the last poll; a disabled one says so itself, a deleted one is not here."""
        return self._clients.get(client_id)

    async def find_client_fresh(self, client_id: str) -> Client | None:
        """Return a client; where it is unknown, :meth:`catch_up` first: it may be new on another node."""
        client = self._clients.get(client_id)
        if client is not None:
            return client
        await self.catch_up()
        return self._clients.get(client_id)

    async def catch_up(self) -> None:
        """Know all that was committed before this call. Everybody who asks within 0.1 s waits for the same poll."""
        asked_at = self._monotonic()
        async with self._polling:
            if self._polled_at < asked_at:
                await asyncio.sleep(max(0.0, self._polled_at + MISS_INTERVAL - self._monotonic()))
                await self._poll()

    def find_resource(self, identifier: str) -> Resource | None:
        """Return a resource as of the last poll."""
        return self._resources.get(identifier)

    def is_allowed_origin(self, origin: str) -> bool:
        """Tell whether an app that runs in a browser has a redirect URI at this origin (scheme, host and port)."""
        return origin in self._origins

    def is_first_party_origin(self, origin: str) -> bool:
        """Tell the same of the organisation's own apps only."""
        return origin in self._first_party_origins

    @property
    def passkey_origins(self) -> frozenset[str]:
        """The origins of the organisation's own apps, also of those whose script asks their own server only."""
        return self._passkey_origins

    @property
    def age(self) -> float:
        """Return for how many seconds nothing has been confirmed."""
        return self._monotonic() - self._confirmed_at

    def check_fresh(self, max_stale: timedelta) -> None:
        """Raise UnavailableError where the last poll that succeeded began longer ago than ``max_stale``."""
        age = self.age
        if age > max_stale.total_seconds():
            raise UnavailableError(f"nothing confirmed for {age:.1f} s", refusal="server_stale")

    async def _poll(self) -> State:
        began_at = self._polled_at = self._monotonic()
        async with self._engine.read() as tx:
            current = await state.load(tx)
        if current.version != self._version:
            await self._reload(current)
        # What was true when the question was asked; a slow answer is an old answer.
        self._confirmed_at = began_at
        return current

    async def _reload(self, current: State) -> None:
        since = self._version if current.version > self._version else _NEVER  # back in time: restored, so read it all
        async with self._engine.read() as tx:
            rows, secrets = await clients.load_changed(tx, since)
            known_resources = await resources.list_all(tx)
            providers = await upstream_providers.list_all(tx)
        known = dict(self._clients) if since != _NEVER else {}
        for row in rows:
            client = _read(row, secrets)
            if client is None:
                known.pop(row.client_id, None)
            else:
                known[client.client_id] = client
        self._clients = known
        self._resources = {resource.identifier: resource for resource in known_resources}
        self._every_resource = tuple(self._resources.values())
        self._providers = tuple(provider for provider in providers if provider.is_active)
        own = [client for client in known.values() if client.first_party]
        self._origins = _origins(client for client in known.values() if client.is_public)
        self._first_party_origins = _origins(client for client in own if client.is_public)
        self._passkey_origins = _origins(own)
        for callback in self._callbacks:
            await callback()
        self._version = current.version


def _read(row: Row[Any], secrets: Mapping[str, tuple[ClientSecret, ...]]) -> Client | None:
    """Return a row's client, or None for one that is deleted or that this version of the server cannot read."""
    if row.deleted_at is not None:
        return None
    try:
        return clients.to_client(row, secrets.get(row.client_id, ()))
    except (TypeError, ValueError):  # written by a newer node, or by hand: this client fails, alone
        log.exception("client_unreadable", client=row.client_id)
        return None


def _origins(clients: Iterable[Client]) -> frozenset[str]:
    """Return the origins at which pages of these clients live that may be served."""
    return frozenset(origin for client in clients if client.is_active for origin in web_origins(client))
