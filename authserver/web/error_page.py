"""What a person reads when a request is refused, and what the developer finds under the closed details (UX §1, §2).

It shows only what the requester sent or what discovery publishes: never a client's list of addresses, nor a secret.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.web.answers import Answer
    from authserver.web.pages import Link, Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The page of one kind of refusal, in gettext's form; ``%(app)s`` is the app's name or "this app"."""

    title: str = N_("%(app)s cannot sign you in yet")
    what: str
    advice: str = N_("Tell the people who run %(app)s.")
    fix: str | None = None  # a command for the operator, with {client_id} and {received} quoted for a shell


_OTHERWISE: Final = _Words(what=N_("It asked us in a way that we cannot answer, so nothing was sent to it."))
_OURS: Final = _Words(
    title=N_("Something went wrong on our side"),
    what=N_("Your sign-in could not be finished."),
    advice=N_("Please try again. If it happens again, tell the people who run this server the id below."),
)
_BUSY: Final = _Words(
    title=N_("We cannot answer right now"),
    what=N_("Too much is asked of this server at the moment, or its database is away."),
    advice=N_("Please try again in a few seconds."),
)
_START_AGAIN: Final = _Words(
    title=N_("Please start again"),
    what=N_("This sign-in took too long, or began in another browser."),
    advice=N_("Go back to %(app)s and start again."),
)

_OR_HERE: Final = N_("Nothing is lost: start again here, or go back to %(app)s.")

_WORDS: Final[Mapping[Refusal, _Words]] = {
    Refusal.REDIRECT_URI_NOT_REGISTERED: _Words(
        what=N_("The address it asked us to return to is not on its list, so nothing was sent there."),
        fix="authserver clients update {client_id} --add-redirect-uri {received}",
    ),
    Refusal.REDIRECT_URI_MISSING: _Words(
        what=N_("It did not say which of its addresses we should return to."),
        fix="authserver clients show {client_id}",
    ),
    Refusal.CLIENT_UNKNOWN: _Words(
        what=N_("It is not known here. Its address may be mistyped, or it was removed."),
        fix="authserver clients list",
    ),
    Refusal.CLIENT_NOT_IDENTIFIED: _Words(what=N_("It did not say which app it is."), fix="authserver clients list"),
    Refusal.CLIENT_DISABLED: _Words(
        what=N_("It is turned off here."),
        fix="authserver clients show {client_id}",
    ),
    Refusal.PATH_UNKNOWN: _Words(
        title=N_("There is nothing here"),
        what=N_("The address may be mistyped, or what was here is gone."),
        advice=N_("Begin at the front page."),
    ),
    Refusal.CSRF: _Words(
        title=N_("Please check and send again"),
        what=N_("This page was open for a long time, or the form came from somewhere else."),
        advice=N_("Go back, load the page again and send it once more."),
    ),
    Refusal.THROTTLED: _Words(
        title=N_("Too many tries"),
        what=N_("There were too many tries in a short time."),
        advice=N_("Wait a minute, then try again."),
    ),
    Refusal.TRANSACTION_UNKNOWN: _START_AGAIN,
    Refusal.TRANSACTION_EXPIRED: _Words(
        title=N_("Please start again"),
        what=N_("This sign-in took too long."),
        advice=N_("Go back to %(app)s and start again."),
    ),
    Refusal.BUG: _OURS,
    Refusal.SERVER_STALE: _BUSY,
    Refusal.SERVER_BUSY: _BUSY,
    Refusal.STORAGE_UNAVAILABLE: _BUSY,
}


def error_page(
    pages: Pages,
    refusal: Refusal,
    *,
    status: int,
    request_id: str,
    client_name: str | None = None,
    client_id: str | None = None,
    received: str | None = None,
    back: Link | None = None,
) -> Answer:
    """Return the page for a refusal.

    ``client_name`` is given only where the client was found; ``back`` is our own address at which what this ended can
    begin anew; ``client_id`` and
    ``received`` are the requester's own words.
    """
    words = _WORDS.get(refusal, _OTHERWISE)
    app = client_name if client_name is not None else pages.words("this app")
    title = pages.words(words.title, app=app)
    has_all_for_fix = words.fix is not None and not (
        ("{client_id}" in words.fix and client_id is None) or ("{received}" in words.fix and received is None)
    )
    return pages.render(
        "error.html",
        title=title[:1].upper() + title[1:],
        status=status,
        problem=refusal,
        what=words.what,
        advice=words.advice if back is None else _OR_HERE,
        app=app,
        request_id=request_id,
        back=back,
        refusal=refusal,
        meaning=refusal.meaning,
        source=refusal.source,
        received=received,
        fix=_command(words.fix, client_id or "", received or "") if words.fix and has_all_for_fix else None,
    )


def _command(template: str, client_id: str, received: str) -> str:
    """Fill a command in, quoted so that pasting it into a shell runs nothing that the requester wrote."""
    parts = {"{client_id}": shlex.quote(client_id), "{received}": shlex.quote(received)}
    return " ".join(parts.get(word, word) for word in template.split())
