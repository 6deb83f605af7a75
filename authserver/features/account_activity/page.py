"""The activity page: the audit's events about a person, in their words, the latest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.features.account_activity.words import EVENTS, SIGN_IN_WAYS
from authserver.sealing.cursor import open_cursor, seal_cursor
from authserver.steps.account import render_account
from authserver.store import audit

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.account import Visit
    from authserver.store.audit import AuditEvent
    from authserver.web.answers import Answer

PER_PAGE: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event as the page shows it; ``app`` and ``address`` may be empty."""

    what: str
    app: str
    at: str
    address: str
    is_by_operator: bool


async def activity(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET /account/activity; ``from`` is the cursor of a page before."""
    cursor = params.get("from")
    reader = f"activity|{visit.user.sub}"
    before = open_cursor(call.services.subkeys, cursor, of=reader) if cursor is not None else None
    async with call.services.engine.read() as tx:
        events = await audit.list_of_user(tx, visit.user.id, events=EVENTS.keys(), before=before, limit=PER_PAGE + 1)
    shown, has_more = events[:PER_PAGE], len(events) > PER_PAGE
    return render_account(
        call,
        visit,
        "account/activity.html",
        title="Activity",
        lines=[_line(call, visit, event) for event in shown],
        is_first=before is None,
        older=seal_cursor(call.services.subkeys, shown[-1].id, of=reader) if has_more else None,
    )


def _line(call: Call, visit: Visit, event: AuditEvent) -> Line:
    pages = call.services.pages
    client = call.services.directory.find_client(event.client_id) if event.client_id is not None else None
    words = EVENTS[event.event]
    if event.event == "user_signed_in":
        way = str(event.detail.get("amr", "")).split()
        words = next((said for word, said in SIGN_IN_WAYS.items() if word in way), words)
    return Line(
        what=pages.words(words),
        app=client.client_name if client is not None else "",
        at=pages.time(event.at, visit.zone),
        address=event.address or "",
        is_by_operator=event.actor is not None,
    )
