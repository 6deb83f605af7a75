"""The sign-in of an app that a page before the login belongs to, where there is one: /login, /signup, /forgot."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from authserver.oauth.authorization_request import AuthorizationError
from authserver.oauth.interaction import Login
from authserver.steps.authorization import Progress, load_progress, respond_error
from authserver.steps.browser_session import find_browser_hash
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.web.answers import Answer


class WhereFrom(TypedDict):
    """What a code by mail keeps of the sign-in it was asked for in: None for both where no app asked."""

    transaction_id: UUID | None
    app: str | None


class PageValues(TypedDict):
    """What a template shows of the app, and where its way back to the login leads."""

    transaction: bool
    client_name: str | None
    client_host: str | None
    sign_in: str


async def find_under_way(call: Call) -> Progress | Answer | None:
    """Return where the sign-in named in the path stands, None where none is, or the answer that is due to its app."""
    if not call.facts.path_parameter:
        return None
    try:
        return await load_progress(call, call.facts.path_parameter, find_browser_hash(call))
    except AuthorizationError as error:
        return respond_error(call, error.checked, error)


async def find_before_login(call: Call) -> Progress | Answer | None:
    """As :func:`find_under_way`, for a page that is of no use to whoever has signed in meanwhile, in another tab."""
    found = await find_under_way(call)
    if not isinstance(found, Progress) or isinstance(found.step, Login):
        return found
    return redirect_answer(f"/authorize/{found.transaction.id}")


def where_from(progress: Progress | None) -> WhereFrom:
    """Return what a code asked for here is to remember."""
    if progress is None:
        return WhereFrom(transaction_id=None, app=None)
    return WhereFrom(transaction_id=progress.transaction.id, app=progress.request.client.client_name)


def page_values(progress: Progress | None, *, leads_away: bool = False) -> PageValues:
    """Return what the templates of these pages are told; ``leads_away``: a form of theirs may end at a provider."""
    if progress is None:
        return PageValues(transaction=leads_away, client_name=None, client_host=None, sign_in="/login")
    return PageValues(
        transaction=True,
        client_name=progress.request.client.client_name,
        client_host=urlsplit(progress.request.redirect_uri).netloc,
        sign_in=f"/login/{progress.transaction.id}",
    )
