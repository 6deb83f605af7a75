"""The apps that ask for tokens: register, change, rotate the secret, delete.

A change is laid over the client's whole metadata document, which is then read and judged as a new registration is, so
no sequence of changes reaches what a registration could not.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from authserver.jose.client_keys import check_jwks
from authserver.oauth.client_checks import RegistrationPolicy
from authserver.oauth.client_documents import TYPE_DEFAULTS, build_metadata_document
from authserver.oauth.client_metadata import build_client, parse_client_metadata, update_client
from authserver.oauth.errors import ErrorCode, OAuthError
from authserver.oauth.scope import OIDC_SCOPES, join_scope
from authserver.operations.client_credentials import (
    WITH_SECRET,
    check_client_id,
    fit_secrets,
    make_client_id,
    make_secret,
    record_secret,
    rotate,
)
from authserver.operations.errors import OperationError, Problem
from authserver.store import audit, clients, grants, resources, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from authserver.oauth.values import Client, ClientType
    from authserver.operations.operator import Operator
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What this server lets a client register: the discovery document, and where it may be fetched from by http."""

    metadata: Mapping[str, object]
    allow_http: Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A client, and its new secret where one was made: the only time it is known."""

    client: Client
    client_secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A client that was turned off or deleted, and how many grants fell with it."""

    client: Client
    grants: int


@dataclass(frozen=True, slots=True)
class ListChange:
    """Values to add to and to take from one member: an array, or the words of ``scope``."""

    member: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


async def create(
    operator: Operator,
    offer: Offer,
    document: Mapping[str, object],
    *,
    client_type: ClientType,
    client_id: str | None = None,
    client_secret: str | None = None,
) -> Registered:
    """Register a client: the type's defaults, and the document (RFC 7591 §2, and our members) over them.

    The id and the secret are random unless given, which only the demo does.
    """
    if client_id is None:
        client_id = make_client_id()
    check_client_id(client_id)
    document = {**TYPE_DEFAULTS[client_type], **document}
    async with operator.begin() as tx:
        if await clients.get(tx, client_id) is not None:
            raise OperationError(
                f"There is, or was, a client {client_id}.", problem=Problem.CONFLICT, field="client_id"
            )
        now = await tx.now()
        policy = await _policy(tx, offer)
        with _refusals():
            client = build_client(
                parse_client_metadata(document, policy), policy, client_id=client_id, now=now, type=client_type
            )
        _check_keys(client)
        made = _with_fitting_secrets(client, now, client_secret)
        await clients.add(tx, made.client)
        await _record(tx, operator, "client_created", made.client)
    return made


async def get(operator: Operator, client_id: str) -> Client:
    """Return the client with this id."""
    async with operator.engine.read() as tx:
        return await _get(tx, client_id)


async def find_all(operator: Operator) -> Sequence[Client]:
    """Return every client that is not deleted."""
    async with operator.engine.read() as tx:
        return await clients.list_all(tx)


async def update(
    operator: Operator,
    offer: Offer,
    client_id: str,
    document: Mapping[str, object],
    changes: Sequence[ListChange] = (),
) -> Registered:
    """Lay a document and changes of lists over a client; None in the document returns a member to its default.

    A client that starts to authenticate with a secret gets one; one that stops loses all it had.
    """
    async with operator.begin() as tx:
        await state.bump(tx)  # holds the version row: two operators change one client one after the other
        client = await _get(tx, client_id)
        now = await tx.now()
        policy = await _policy(tx, offer)
        whole = {**build_metadata_document(client, operator=True), **document}
        for change in changes:
            _apply(whole, change)
        with _refusals():
            updated = update_client(client, parse_client_metadata(whole, policy), policy, now=now)
        _check_keys(updated)
        if replace(updated, updated_at=client.updated_at) == client:
            return Registered(client=client)
        made = _with_fitting_secrets(updated, now)
        await clients.update(tx, made.client)
        await _record(tx, operator, "client_updated", made.client)
    return made


async def rotate_secret(operator: Operator, client_id: str, *, overlap: timedelta) -> Registered:
    """Give a client another secret; the one it has works for ``overlap`` more, zero ends it at once."""
    async with operator.begin() as tx:
        await state.bump(tx)
        client = await _get(tx, client_id)
        if client.token_endpoint_auth_method not in WITH_SECRET:
            raise OperationError(
                f"{client.client_name} does not use a secret: it authenticates by "
                f"{client.token_endpoint_auth_method.value}.",
                field="token_endpoint_auth_method",
            )
        now = await tx.now()
        secret = make_secret()
        client = replace(
            client, secrets=rotate(client.secrets, record_secret(secret, now), overlap=overlap), updated_at=now
        )
        await clients.update(tx, client)
        await _record(tx, operator, "client_secret_rotated", client, overlap=int(overlap.total_seconds()))
    return Registered(client=client, client_secret=secret)


async def delete(operator: Operator, client_id: str) -> Cut:
    """Mark a client deleted; its secrets and its users' grants die at once. Its id is never given to another one.

    The row first, then the grants: whoever is inserting one holds the row until it is there (DESIGN §3).
    """
    async with operator.begin() as tx:
        client = await _get(tx, client_id)
        now = await tx.now()
        await clients.mark_deleted(tx, client_id, now)
        revoked = await grants.revoke_of_client(tx, client_id, "client_deleted")
        await _record(tx, operator, "client_deleted", client, grants_revoked=revoked)
    return Cut(client=replace(client, deleted_at=now, secrets=()), grants=revoked)


async def disable(operator: Operator, client_id: str) -> Cut:
    """Turn a client off: it gets no tokens, its own are dead, and its users' grants are revoked."""
    async with operator.begin() as tx:
        client = await _get(tx, client_id)
        now = await tx.now()
        await clients.set_disabled(tx, client_id, now)
        revoked = await grants.revoke_of_client(tx, client_id, "client_disabled")
        await _record(tx, operator, "client_disabled", client, grants_revoked=revoked)
    return Cut(client=replace(client, disabled_at=now), grants=revoked)


async def enable(operator: Operator, client_id: str) -> Client:
    """Turn a client on again; what was revoked stays revoked, so its users sign in again."""
    async with operator.begin() as tx:
        client = await _get(tx, client_id)
        await clients.set_disabled(tx, client_id, None)
        await _record(tx, operator, "client_enabled", client)
    return replace(client, disabled_at=None)


async def _get(tx: Tx, client_id: str) -> Client:
    client = await clients.get(tx, client_id)
    if client is None or client.deleted_at is not None:
        raise OperationError(
            f"There is no client {client_id!r}.", problem=Problem.NOT_FOUND, fix="See: authserver clients list"
        )
    return client


async def _policy(tx: Tx, offer: Offer) -> RegistrationPolicy:
    known = await resources.list_all(tx)
    return RegistrationPolicy(
        metadata=offer.metadata,
        scope=OIDC_SCOPES.union(*(resource.scope for resource in known)),
        operator=True,
        allow_http=offer.allow_http,
    )


def _check_keys(client: Client) -> None:
    refusal = check_jwks(client.jwks) if client.jwks is not None else None
    if refusal is not None:
        raise OperationError(f"The client is refused: {refusal}.", field="jwks")


def _with_fitting_secrets(client: Client, now: datetime, chosen: str | None = None) -> Registered:
    fitted, secret = fit_secrets(client, now, chosen)
    return Registered(client=fitted, client_secret=secret)


def _apply(document: dict[str, object], change: ListChange) -> None:
    if not change.add and not change.remove:
        return
    value = document.get(change.member)
    before = value.split() if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
    missing = [item for item in change.remove if item not in before]
    if missing:
        raise OperationError(f"{change.member} does not hold {missing[0]}.", field=change.member)
    after = [item for item in dict.fromkeys((*before, *change.add)) if item not in change.remove]
    document[change.member] = " ".join(after) if change.member == "scope" else after


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell an operator what a stranger at /register would be told."""
    try:
        yield
    except OAuthError as error:
        raise OperationError(f"The client is refused: {error.description}.", field=_find_field(error)) from error


def _find_field(error: OAuthError) -> str | None:
    """Name the member: descriptions begin with it, and a redirect URI has an error code of its own."""
    if error.error is ErrorCode.INVALID_REDIRECT_URI:
        return "redirect_uris"
    first = error.description.split(" ", 1)[0]
    return first if "_" in first or first in {"scope", "jwks", "contacts", "profile"} else None


async def _record(tx: Tx, operator: Operator, event: str, client: Client, **more: int) -> None:
    detail = {"client_name": client.client_name, "type": client.type.value, "scope": join_scope(client.scope), **more}
    await audit.add(tx, event, actor=operator.actor, client_id=client.client_id, detail=detail)
