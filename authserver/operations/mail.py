"""Mail in the outbox: hand it in, see what has become of it, try it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.mail.messages import Envelope, check
from authserver.operations.errors import OperationError, Problem
from authserver.operations.ids import parse_id
from authserver.operations.user_rules import parse_email
from authserver.sealing.box import UnsealError
from authserver.store import audit, outbox_queue
from authserver.store.outbox import Mail, Outbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from authserver.operations.operator import Operator
    from authserver.sealing.subkeys import Subkeys
    from authserver.store.outbox import State
    from authserver.store.outbox_queue import QueuedMail


def make_outbox(subkeys: Subkeys, *, issuer: str) -> Outbox:
    """Return the outbox of a process; it takes the kinds of mail that there are templates for."""

    def check_mail(mail: Mail) -> None:
        check(mail.kind, mail.parameters, expires=mail.expires_at is not None, issuer=issuer)

    return Outbox(subkeys, check=check_mail)


def open_mail(outbox: Outbox, mail: QueuedMail) -> Envelope:
    """Return what a stored mail says. Raise UnsealError where it was blanked or altered, or its key is gone."""
    if mail.sealed is None:
        raise UnsealError("it was blanked when it was sent, or when it expired")
    return Envelope(
        id=mail.id,
        kind=mail.kind,
        to=mail.recipient,
        locale=mail.locale,
        parameters=outbox.open(mail.sealed, mail_id=mail.id, kind=mail.kind, to=mail.recipient),
        created_at=mail.created_at,
        expires_at=mail.expires_at,
    )


async def find_all(
    operator: Operator, *, state: State | None = None, user_id: UUID | None = None, limit: int = 1000
) -> Sequence[QueuedMail]:
    """Return mails, the youngest first; of one state or one user where these are named. What they say is sealed."""
    async with operator.engine.read() as tx:
        return await outbox_queue.list_all(tx, state=state, user_id=user_id, limit=limit)


async def retry(operator: Operator, mail_id: str) -> QueuedMail:
    """Have one mail tried now: one that failed, or one that waits for its next try."""
    async with operator.begin() as tx:
        mail = await outbox_queue.get(tx, parse_id(mail_id, "mail"))
        if mail is None:
            raise OperationError(
                f"There is no mail {mail_id}.", problem=Problem.NOT_FOUND, fix="See: authserver mail list"
            )
        if not (await outbox_queue.retry(tx, mail.id) or await outbox_queue.hurry(tx, mail.id)):
            raise OperationError(_why_not(mail), problem=Problem.CONFLICT)
        detail = {"mail": str(mail.id), "kind": mail.kind}
        await audit.add(tx, "mail_retried", actor=operator.actor, user_id=mail.user_id, detail=detail)
        return await outbox_queue.get(tx, mail.id) or mail


async def retry_all_failed(operator: Operator) -> int:
    """Have every mail that failed tried again, and return how many; those whose codes have expired stay as they are."""
    async with operator.begin() as tx:
        count = await outbox_queue.retry(tx, None)
        if count:
            await audit.add(tx, "mail_retried", actor=operator.actor, detail={"count": count})
    return count


async def send_test(operator: Operator, address: str) -> QueuedMail:
    """Hand in a mail that says that mail works; a running server sends it."""
    to = parse_email(address)
    async with operator.begin() as tx:
        mail_id = await operator.mail(tx, Mail(kind="test", to=to, locale=None, parameters={}))
        await audit.add(tx, "mail_tested", actor=operator.actor, detail={"mail": str(mail_id)})
        mail = await outbox_queue.get(tx, mail_id)
    if mail is None:
        raise RuntimeError("a mail that was added is not there")
    return mail


def _why_not(mail: QueuedMail) -> str:
    match mail.state:
        case "sent":
            return "That mail has been sent."
        case "waiting":
            return "That mail is being sent at this moment."
        case _:
            return "That mail held a code or an invitation that has expired: it would be of no use."
