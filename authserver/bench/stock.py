"""What the workloads consume: grants put into the database in bulk, with the refresh tokens that go with them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.bench.installation import API, API_SCOPE
from authserver.bench.processes import find_postmaster
from authserver.ids import uuid7
from authserver.oauth.values import Grant
from authserver.sealing.keyring_file import open_box
from authserver.sealing.opaque import hash_secret, new_grant_secret
from authserver.sealing.refresh_token import RefreshTokenSealer
from authserver.sealing.subkeys import Subkeys
from authserver.store import grants, masters

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.bench.installation import Credentials, Installation, Registered
    from authserver.store.engine import Engine

_BATCH: Final = 1000  # rows of one transaction: short enough for a server that writes meanwhile
_COPIES: Final = 20_000  # the same: PostgreSQL gives a statement five seconds
_LIFETIME: Final = timedelta(days=30)
_COPY: Final = {
    "sqlite": (
        "WITH RECURSIVE copies (at) AS (SELECT ?1 UNION ALL SELECT at + 1 FROM copies LIMIT ?2) "
        "INSERT INTO grants (id, {names}) "
        "SELECT printf('%012x', at) || '70008' || substr(lower(hex(randomblob(8))), 1, 15), {names} "
        "FROM copies, grants WHERE id = ?3"
    ),
    "postgresql": (
        "WITH copies AS (SELECT %s::bigint + generate_series(1, %s) AS at) INSERT INTO grants (id, {names}) "
        "SELECT (lpad(to_hex(at), 12, '0') || '70008' || left(md5(random()::text), 15))::uuid, {names} "
        "FROM copies, grants WHERE id = %s"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """The database as the bench sees it, beside the server."""

    installation: Installation
    registered: Registered
    engine: Engine
    sealer: RefreshTokenSealer

    async def add_grants(self, count: int, client: Credentials) -> list[str]:
        """Store live grants of the first user to a client and return their refresh tokens."""
        tokens: list[str] = []
        while len(tokens) < count:
            async with self.engine.begin() as tx:
                now = await tx.now()
                made = [self._build(now, client) for _ in range(min(_BATCH, count - len(tokens)))]
                await grants.add_all(tx, [grant for grant, _ in made])
            tokens += [token for _, token in made]
        return tokens

    async def fill(self, count: int) -> None:
        """Store so many more live grants, copies of one but for their ids, whose tokens nobody has.

        The ids are older than any other's, one each millisecond, so they stand where years of use would have put them.
        """
        (token,) = await self.add_grants(1, self.registered.rotating)
        opened = self.sealer.open(token)
        if opened is None:
            raise RuntimeError("the stock's own token does not open")
        names = ", ".join(field.name for field in fields(Grant) if field.name != "id")
        while count > 0:
            number = min(count, _COPIES)
            last = int(opened.issued_at.timestamp() * 1000) - count
            async with self.engine.begin() as tx:
                key = opened.grant_id if tx.dialect == "postgresql" else opened.grant_id.hex
                await tx.raw(_COPY[tx.dialect].format(names=names), [last - number, number, key])
            count -= number

    def _build(self, now: datetime, client: Credentials) -> tuple[Grant, str]:
        secret = new_grant_secret()
        grant = Grant(
            id=uuid7(now),
            client_id=client.client_id,
            user_id=self.registered.users[0].id,
            session_id=None,
            scope=frozenset({"offline_access", API_SCOPE}),
            resources=(API,),
            acr="aal1",
            amr=("pwd",),
            auth_time=now,
            secret_hash=hash_secret(secret),
            generation=0,
            rotated_at=now,
            expires_at=now + _LIFETIME,
            created_at=now,
        )
        token = self.sealer.seal(grant_id=grant.id, secret=secret, generation=0, issued_at=now.replace(microsecond=0))
        return grant, token

    async def size_of_grants(self) -> int:
        """Return the bytes that grants take with their indexes; on SQLite those of the whole database."""
        if self.engine.dialect == "sqlite":
            sql = "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)"
        else:
            sql = "SELECT pg_total_relation_size('grants')"
        async with self.engine.read() as tx:
            return int((await tx.raw(sql)).scalar_one())

    async def find_postmaster(self) -> int | None:
        """Return the process of a PostgreSQL server on this machine, None on SQLite and for another machine's."""
        if self.engine.dialect == "sqlite":
            return None
        async with self.engine.read() as tx:
            return find_postmaster(int((await tx.raw("SELECT pg_backend_pid()")).scalar_one()))

    async def describe_database(self) -> str:
        """Return the database's kind, version and what it promises of a commit."""
        async with self.engine.read() as tx:
            if self.engine.dialect == "sqlite":
                version = (await tx.raw("SELECT sqlite_version()")).scalar_one()
                return f"SQLite {version}"
            names = ("server_version", "synchronous_commit", "fsync")
            values = [(await tx.raw(f"SHOW {name}")).scalar_one() for name in names]
        return f"PostgreSQL {values[0]}, synchronous_commit {values[1]}, fsync {values[2]}"


async def open_stock(installation: Installation, registered: Registered, engine: Engine) -> Stock:
    """Return the stock of an installation whose keys have been made."""
    box = open_box(installation.settings)
    async with engine.read() as tx:
        subkeys = Subkeys(await masters.list_all(tx), box)
    return Stock(installation=installation, registered=registered, engine=engine, sealer=RefreshTokenSealer(subkeys))
