"""Mail in the outbox: hand it in, see what has become of it, try it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.mail.messages import Envelope, check
from authserver.sealing.box import UnsealError
from authserver.store.outbox import Outbox

if TYPE_CHECKING:
    from authserver.sealing.subkeys import Subkeys
    from authserver.store.outbox import Mail
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
