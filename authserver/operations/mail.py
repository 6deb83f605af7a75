"""Mail in the outbox: hand it in, see what has become of it, try it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.mail.messages import check
from authserver.store.outbox import Outbox

if TYPE_CHECKING:
    from authserver.sealing.subkeys import Subkeys
    from authserver.store.outbox import Mail


def make_outbox(subkeys: Subkeys, *, issuer: str) -> Outbox:
    """Return the outbox of a process; it takes the kinds of mail that there are templates for."""

    def check_mail(mail: Mail) -> None:
        check(mail.kind, mail.parameters, expires=mail.expires_at is not None, issuer=issuer)

    return Outbox(subkeys, check=check_mail)
