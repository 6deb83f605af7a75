"""/dev/inbox: the mail of development mode, which never leaves this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.inbox.page import inbox, message, message_html

if TYPE_CHECKING:
    from authserver.settings import Settings


def _is_offered(settings: Settings) -> bool:
    return settings.keeps_mail


_GET = frozenset({"GET"})
FEATURE = Feature(
    name="inbox",
    is_offered=_is_offered,
    endpoints=(
        Endpoint(path="/dev/inbox", methods=_GET, handler=inbox, errors="page"),
        Endpoint(path="/dev/inbox/*", methods=_GET, handler=message, errors="page"),
        Endpoint(path="/dev/inbox/html/*", methods=_GET, handler=message_html, errors="page"),
    ),
    dev_lines=lambda issuer: (("Inbox", f"{issuer}/dev/inbox"),),
)
