"""The outbox: mail is stored with the change that causes it and sent after the commit, so neither is without the other.

What a mail says (it may hold a code) is sealed in its row and blanked once it has left. Sending is ``jobs.outbox``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sqlalchemy import delete, insert, select
from sqlmodel import col

from authserver.ids import uuid7
from authserver.sealing.subkeys import Label, Subkeys
from authserver.store.tables import OutboxMails

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from uuid import UUID

    from authserver.store.engine import Tx

State: TypeAlias = Literal["waiting", "trying again", "sent", "failed", "expired"]
"""What a person is told of a mail: *trying again* is one whose first try failed, *expired* was too late to be useful.
"""
Check: TypeAlias = "Callable[[Mail], None]"

_LONGEST_ADDRESS: Final = 254  # RFC 5321 §4.5.3.1.3, without the brackets


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail to one address. ``kind`` and ``parameters`` are those of ``mail.messages.KINDS``.

    After ``expires_at`` it is dropped instead of sent late. ``locale`` is a BCP 47 tag; None is the server's default.
    """

    kind: str
    to: str
    locale: str | None
    parameters: Mapping[str, str]
    user_id: UUID | None = None
    expires_at: datetime | None = None


class Outbox:
    """Where mail is handed in; one for each process."""

    __slots__ = ("_box", "_check", "_wake")

    def __init__(self, subkeys: Subkeys, *, check: Check) -> None:
        """Take the keys that seal, and what raises ValueError for a mail that cannot be written."""
        self._box = subkeys.box(Label.OUTBOX)
        self._check = check
        self._wake: Callable[[], None] | None = None

    def on_commit(self, wake: Callable[[], None]) -> None:
        """Call this whenever mail of this process has been committed: its sender need not wait for its next look."""
        self._wake = wake

    async def add(self, tx: Tx, mail: Mail) -> UUID:
        """Store a mail in the transaction of what causes it, and return its id; nothing is sent, nobody waits.

        Raise ValueError, a bug, for a kind that is not known, a parameter that is missing, or an address that is not
        one: whoever takes an address from a person has checked it long before.
        """
        self._check(mail)
        _check_address(mail.to)
        now = await tx.now()
        mail_id = uuid7(now)
        parameters = json.dumps(dict(mail.parameters), ensure_ascii=False).encode()
        values = {
            "id": mail_id,
            "kind": mail.kind,
            "recipient": mail.to,
            "recipient_key": recipient_key(mail.to),
            "locale": mail.locale,
            "user_id": mail.user_id,
            "sealed": self._box.seal(parameters, purpose=_purpose(mail_id, mail.kind, mail.to)),
            "state": "waiting",
            "attempts": 0,
            "next_attempt_at": now,
            "claim": None,
            "created_at": now,
            "expires_at": mail.expires_at,
            "settled_at": None,
            "last_answer": None,
        }
        await tx.execute(insert(OutboxMails).values(values))
        if self._wake is not None:
            tx.after_commit(self._wake)
        return mail_id

    async def take_back(self, tx: Tx, mail_id: UUID) -> None:
        """Take a mail out again that this transaction has handed in.

        Where nothing may be sent, the answer still has to take as long as where something is (SECURITY row 104).
        """
        await tx.execute(delete(OutboxMails).where(col(OutboxMails.id) == mail_id))

    async def state(self, tx: Tx, mail_id: UUID) -> State | None:
        """Return what has become of a mail; None where it has been purged since."""
        columns = (col(OutboxMails.state), col(OutboxMails.last_answer))
        row = (await tx.execute(select(*columns).where(col(OutboxMails.id) == mail_id))).one_or_none()
        return None if row is None else state_of(row.state, row.last_answer)

    def open(self, sealed: bytes, *, mail_id: UUID, kind: str, to: str) -> Mapping[str, str]:
        """Return the parameters of a stored mail. Raise UnsealError where the row was altered or its key is gone."""
        parameters: dict[str, str] = json.loads(self._box.open(sealed, purpose=_purpose(mail_id, kind, to)))
        return parameters


def state_of(state: str, last_answer: str | None) -> State:
    """Return the state for people: a mail that waits after a failure is tried again."""
    match state:
        case "sent" | "failed" | "expired":
            return state
        case _:
            return "waiting" if last_answer is None else "trying again"


def recipient_key(address: str) -> str:
    """Return what all spellings of an address share as far as back-off is concerned."""
    return address.casefold()


def _check_address(address: str) -> None:
    local, at, domain = address.rpartition("@")
    is_plain = address.isprintable() and not any(character in ' ,;<>"' for character in address)
    if not (local and at and domain and is_plain) or len(address) > _LONGEST_ADDRESS:
        raise ValueError("a mail goes to one e-mail address")


def _purpose(mail_id: UUID, kind: str, to: str) -> str:
    return f"outbox|{mail_id}|{kind}|{to}"
