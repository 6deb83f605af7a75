"""Authorization codes in batches, past SQLAlchemy: what they are made from, and what they become (DESIGN §6).

Every load locks what it reads and waits for nothing: rows that somebody else has locked are as if they did not exist,
so that transactions with overlapping rows in any order cannot deadlock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from authserver.oauth.values import AuthorizationCode, Consent, Grant, Session, User
from authserver.store.driver_rows import ValueRows
from authserver.store.engine import as_time
from authserver.store.tables import AuthorizationCodes, Consents, Grants, Sessions, Users
from authserver.store.types import spell_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from authserver.oauth.values import Client
    from authserver.store.engine import DriverRow, Tx

_CODES: Final = ValueRows(AuthorizationCode, AuthorizationCodes)
_USERS: Final = ValueRows(User, Users)
_SESSIONS: Final = ValueRows(Session, Sessions)
_CONSENTS: Final = ValueRows(Consent, Consents)
_GRANTS: Final = ValueRows(Grant, Grants)

# What both loads end with: the user, the session, what of the client may have been cut, the consent, the clock.
_FOUNDATION: Final = (
    f"{_USERS.columns}, {_SESSIONS.columns}, clients.disabled_at, clients.deleted_at, {_CONSENTS.columns}"
)
_CLIENT_AT: Final = _USERS.width + _SESSIONS.width
_CONSENT_AT: Final = _CLIENT_AT + 2
_CLOCK: Final = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')", "postgresql": "clock_timestamp()"}

_SIGNED_IN: Final = {
    "sqlite": (
        f"SELECT asked.cookie_hash, asked.client_id, {_FOUNDATION}, {_CLOCK['sqlite']} "  # noqa: S608 - our own names
        "FROM asked JOIN sessions ON sessions.cookie_hash = asked.cookie_hash "
        "JOIN users ON users.id = sessions.user_id JOIN clients ON clients.client_id = asked.client_id "
        "LEFT JOIN consents ON consents.user_id = users.id AND consents.client_id = asked.client_id"
    ),
    "postgresql": (
        f"SELECT asked.cookie_hash, asked.client_id, {_FOUNDATION}, {_CLOCK['postgresql']} "  # noqa: S608 - the same
        "FROM unnest(%s::bytea[], %s::text[]) AS asked (cookie_hash, client_id) "
        "JOIN sessions ON sessions.cookie_hash = asked.cookie_hash "
        "JOIN users ON users.id = sessions.user_id JOIN clients ON clients.client_id = asked.client_id "
        "LEFT JOIN consents ON consents.user_id = users.id AND consents.client_id = asked.client_id "
        "FOR SHARE OF users, sessions, clients SKIP LOCKED"
    ),
}
_CODE_COLUMNS: Final = _CODES.columns.replace("authorization_codes.uses", "authorization_codes.uses + 1")
_PRESENTED: Final = {
    "sqlite": (
        f"SELECT {_CODE_COLUMNS}, {_FOUNDATION}, {_CLOCK['sqlite']} FROM asked "  # noqa: S608 - the same
        "JOIN authorization_codes ON authorization_codes.code_hash = asked.code_hash "
        "AND authorization_codes.client_id = asked.client_id "
        "JOIN users ON users.id = authorization_codes.user_id "
        "JOIN sessions ON sessions.id = authorization_codes.session_id "
        "JOIN clients ON clients.client_id = authorization_codes.client_id "
        "LEFT JOIN consents ON consents.user_id = authorization_codes.user_id "
        "AND consents.client_id = authorization_codes.client_id WHERE authorization_codes.uses = 0"
    ),
    # A consent that is there and cannot be locked leaves the code to whoever waits; an outer join cannot be locked.
    "postgresql": (
        f"SELECT {_CODE_COLUMNS}, {_FOUNDATION}, {_CLOCK['postgresql']} "  # noqa: S608 - the same
        "FROM unnest(%s::bytea[], %s::text[]) AS asked (code_hash, client_id) "
        "JOIN authorization_codes ON authorization_codes.code_hash = asked.code_hash "
        "AND authorization_codes.client_id = asked.client_id "
        "JOIN users ON users.id = authorization_codes.user_id "
        "JOIN sessions ON sessions.id = authorization_codes.session_id "
        "JOIN clients ON clients.client_id = authorization_codes.client_id "
        "LEFT JOIN consents AS agreed ON agreed.user_id = authorization_codes.user_id "
        "AND agreed.client_id = authorization_codes.client_id "
        "LEFT JOIN LATERAL (SELECT * FROM consents AS held WHERE held.user_id = agreed.user_id "
        "AND held.client_id = agreed.client_id FOR SHARE SKIP LOCKED) AS consents ON true "
        "WHERE authorization_codes.uses = 0 AND (agreed.user_id IS NULL OR consents.user_id IS NOT NULL) "
        "FOR UPDATE OF authorization_codes SKIP LOCKED FOR SHARE OF users, sessions, clients SKIP LOCKED"
    ),
}
_COUNT_USE: Final = {
    "sqlite": "UPDATE authorization_codes SET uses = uses + 1 WHERE code_hash IN (SELECT code_hash FROM asked)",
    "postgresql": "UPDATE authorization_codes SET uses = uses + 1 WHERE code_hash = ANY(%s)",
}
_TOUCH: Final = {
    "sqlite": (
        "UPDATE sessions SET last_seen_at = strftime('%Y-%m-%d %H:%M:%f000', 'now') WHERE id IN (SELECT id FROM asked)"
    ),
    "postgresql": (
        "UPDATE sessions SET last_seen_at = clock_timestamp() "
        "WHERE id IN (SELECT id FROM sessions WHERE id = ANY(%s) FOR NO KEY UPDATE SKIP LOCKED)"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """What a code or a grant rests on, as it is while nobody can cut it, and the database's clock.

    None stands for a row that is gone; a consent there need not be.
    """

    user: User | None
    session: Session | None
    client: Client | None
    consent: Consent | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A code that its client has presented, with this use counted; None where the client has no such code."""

    code: AuthorizationCode | None
    is_of_another_client: bool = False
    on: Foundation


async def hold_signed_in(tx: Tx, asked: Mapping[tuple[bytes, str], Client]) -> dict[tuple[bytes, str], Foundation]:
    """Return what is behind pairs of a session's cookie hash and a client, by those pairs; locked for sharing.

    Pairs of which a row is absent or somebody else's just now are missing. The consent is read, not locked: whether it
    still stands is asked again when the code is redeemed.
    """
    found: dict[tuple[bytes, str], Foundation] = {}
    for row in await _fetch(tx, _SIGNED_IN, ("cookie_hash", "client_id"), asked):
        pair = (bytes(row[0]), row[1])
        found[pair] = _read_foundation(row, 2, asked[pair], tx.dialect)
    return found


async def hold_codes(tx: Tx, asked: Mapping[tuple[bytes, str], Client]) -> dict[tuple[bytes, str], Presented]:
    """Lock and return codes that were never used, with all that they rest on, by their hash and their client.

    Those of which a row is absent or somebody else's just now are missing, and untouched. Each is returned with the use
    that :func:`count_uses` is to count.
    """
    found: dict[tuple[bytes, str], Presented] = {}
    for row in await _fetch(tx, _PRESENTED, ("code_hash", "client_id"), asked):
        code = _CODES.read(row, tx.dialect)
        pair = (code.code_hash, code.client_id)
        found[pair] = Presented(code=code, on=_read_foundation(row, _CODES.width, asked[pair], tx.dialect))
    return found


async def add_codes(tx: Tx, new: Sequence[AuthorizationCode]) -> None:
    """Store codes; the caller holds the users, the sessions and the clients."""
    await _CODES.insert(tx, new)


async def add_grants(tx: Tx, new: Sequence[Grant]) -> None:
    """Store new grants; the caller holds the users, sessions, consents and clients that they rest on."""
    await _GRANTS.insert(tx, new)


async def count_uses(tx: Tx, code_hashes: Collection[bytes]) -> None:
    """Count one use of each code; the caller holds their rows."""
    await _run(tx, _COUNT_USE, "code_hash", list(code_hashes))


async def touch_sessions(tx: Tx, session_ids: Collection[UUID]) -> None:
    """Note that sessions were used; one that somebody else is touching or ending is left to them."""
    keys: list[Any] = [spell_id(one) for one in session_ids] if tx.dialect == "sqlite" else list(session_ids)
    await _run(tx, _TOUCH, "id", keys)


def _read_foundation(row: DriverRow, at: int, client: Client, dialect: str) -> Foundation:
    disabled_at, deleted_at = row[at + _CLIENT_AT : at + _CONSENT_AT]
    if disabled_at is not None or deleted_at is not None:
        client = replace(
            client,
            disabled_at=None if disabled_at is None else as_time(disabled_at),
            deleted_at=None if deleted_at is None else as_time(deleted_at),
        )
    has_consent = row[at + _CONSENT_AT] is not None
    return Foundation(
        user=_USERS.read(row, dialect, at),
        session=_SESSIONS.read(row, dialect, at + _USERS.width),
        client=client,
        consent=_CONSENTS.read(row, dialect, at + _CONSENT_AT) if has_consent else None,
        now=as_time(row[-1]),
    )


async def _fetch(
    tx: Tx, statements: Mapping[str, str], names: tuple[str, str], asked: Collection[tuple[bytes, str]]
) -> Sequence[DriverRow]:
    if tx.dialect == "postgresql":
        firsts, seconds = zip(*asked, strict=True)
        return await tx.fetch(statements["postgresql"], [list(firsts), list(seconds)])
    with_asked = f"WITH asked ({', '.join(names)}) AS (VALUES {_repeat('(?, ?)', len(asked))}) "
    return await tx.fetch(with_asked + statements["sqlite"], [part for pair in asked for part in pair])


async def _run(tx: Tx, statements: Mapping[str, str], name: str, keys: list[Any]) -> None:
    if tx.dialect == "postgresql":
        await tx.fetch(statements["postgresql"], [keys])
    else:
        with_asked = f"WITH asked ({name}) AS (VALUES {_repeat('(?)', len(keys))}) "
        await tx.fetch(with_asked + statements["sqlite"], keys)


def _repeat(row: str, count: int) -> str:
    """Return SQLite's VALUES for so many rows: its JSON, which would make one text of all, has no bytes."""
    return ", ".join([row] * count)
