"""The account pages (`/account/…`): who is signed in here, whether they proved it lately, and what all pages show.

A page is declared as ``account_page(handler)`` and gets a :class:`Visit`. Before it runs, whoever is not signed in has
been sent to sign in, whoever is leaving to the page where that can be taken back, and a form of another site refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.steps.browser_session import find_signed_in, form_token, judge_own_form, open_browser
from authserver.store import sessions, users
from authserver.web.answers import redirect_answer
from authserver.web.cookies import NOTICE, RETURN, clear_cookie, set_cookie
from authserver.web.csrf import foreign_form
from authserver.web.pages import Link

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import tzinfo

    from authserver.feature import Call, EndpointHandler
    from authserver.oauth.params import Params
    from authserver.oauth.values import Session, User
    from authserver.store.engine import Tx
    from authserver.web.answers import Answer

PROOF_LIFETIME: Final = timedelta(
    minutes=5
)  # how old a sign-in may be when something that protects the account changes
_RETURN_LIFETIME: Final = timedelta(minutes=10)
_NOTICE_LIFETIME: Final = timedelta(seconds=60)
ACCOUNT: Final = "/account"
RESTORE: Final = "/account/restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of somebody who is signed in.

    ``is_recent``: they signed in a moment ago, so that what protects the account may be changed. ``is_stale``: the
    form is ours and was shown to this person, but not in the state the browser is in now; show it again.
    """

    user: User
    session: Session
    is_recent: bool
    is_post: bool
    is_stale: bool

    @property
    def zone(self) -> tzinfo:
        """The clock that times are shown by: the user's own, UTC where they named none."""
        return find_zone(self.user.zoneinfo) or UTC


def account_page(
    handler: Callable[[Call, Params, Visit], Awaitable[Answer]], *, leaving: bool = False, says_who: bool = True
) -> EndpointHandler:
    """Return the endpoint of an account page; ``leaving`` ones are for who asked to be deleted, and nobody else.

    ``says_who``: its forms send along whom they were shown to; those whose own address names what they change do not.
    """

    @wraps(handler)
    async def endpoint(call: Call, params: Params) -> Answer:
        is_post = call.facts.method == "POST"
        origin = judge_own_form(call, params) if is_post else "own"
        if origin == "foreign":
            raise foreign_form()
        async with call.services.engine.begin() as tx:
            signed_in = await find_signed_in(call, tx)
            now = await tx.now()
        if signed_in is None or not signed_in.user.may_sign_in:
            return send_to_sign_in(call.facts.path)
        user, session = signed_in.user, signed_in.session
        if leaving != (user.delete_at is not None):
            return redirect_answer(RESTORE if user.delete_at is not None else ACCOUNT)
        visit = Visit(
            user=user,
            session=session,
            is_recent=now - session.auth_time < PROOF_LIFETIME,
            is_post=is_post,
            # Another tab may have signed in somebody else, who has not seen this page (SECURITY row 101).
            is_stale=is_post and (origin == "stale" or (says_who and params.get("user") != user.sub)),
        )
        return await handler(call, params, visit)

    return endpoint


def render_account(
    call: Call,
    visit: Visit,
    template: str,
    *,
    title: str,
    status: int = 200,
    done: Mapping[str, str] | None = None,
    connects: bool = False,
    leads_away: bool = False,
    **values: object,
) -> Answer:
    """Return an account page: its own values, the list of all pages, and what its forms send along.

    ``done`` are the messages (``N_("…")``) of what :func:`answer_done` may have left to say, by its word.
    ``connects`` is that of :meth:`Pages.render`; ``leads_away``: a form of the page may end at another provider.
    """
    browser = open_browser(call)
    pages = call.services.pages
    word = call.facts.cookie(NOTICE) if not visit.is_post else None
    notice = (done or {}).get(word or "")
    links = (link for feature in call.services.features for link in feature.account_links)
    ground: dict[str, object] = {
        "csrf": form_token(call, browser),
        "user": visit.user.sub,
        "user_name": visit.user.name or visit.user.username,
        "action": call.facts.path,
        "navigation": [
            Link(text=pages.words(link.label), href=link.path) for link in links if link.is_offered(call.services)
        ],
        "done": pages.words(notice) if notice is not None else None,
        "problem": None,
    }
    page = pages.render(
        template, title=title, status=status, transaction=leads_away, connects=connects, **(ground | values)
    )
    headers = (*browser.headers, clear_cookie(NOTICE)) if word else browser.headers
    return page.with_headers(*headers)


def answer_done(path: str, word: str, *headers: tuple[str, str], log: Mapping[str, str] | None = None) -> Answer:
    """Return to a page after a change, which will say so once. The word travels in a cookie: no link can forge it."""
    return redirect_answer(path, set_cookie(NOTICE, word, _NOTICE_LIFETIME), *headers, log=log)


def ask_proof(call: Call, visit: Visit, *, title: str, what: str) -> Answer:
    """Return the page that asks to sign in again, instead of one that changes what protects the account (UX §3).

    ``what`` is the message that says what for.
    """
    return render_account(
        call,
        visit,
        "account/prove.html",
        title=title,
        status=403 if visit.is_post else 200,
        what=call.services.pages.words(what),
        back=call.facts.path,
    )


def send_to_sign_in(path: str, *, again: bool = False) -> Answer:
    """Send the browser to the sign-in page, from where it will come back to an account page.

    Where to is kept in a cookie, so that it holds whichever way somebody signs in.
    """
    cookie = set_cookie(RETURN, find_return_path(path), _RETURN_LIFETIME)
    return redirect_answer("/login?again=1" if again else "/login", cookie)


def go_on_after_sign_in(call: Call) -> Answer | None:
    """Return the way to the account page that somebody who has just signed in was on the way to, None where to none."""
    path = call.facts.cookie(RETURN)
    return redirect_answer(find_return_path(path), clear_cookie(RETURN)) if path is not None else None


def find_return_path(path: str | None) -> str:
    """Return a path where it is an account page's, else the overview's: nobody is sent elsewhere by what came in."""
    words = (path or "").split("/")
    plain = "".join(words).replace("-", "")
    return path if path and words[:2] == ["", "account"] and plain.isascii() and plain.isalnum() else ACCOUNT


async def hold_account(tx: Tx, visit: Visit) -> User:
    """Lock the account for a change and return it as it is now; refuse where it, or this session, has been cut off.

    First statement of the deciding transaction: whoever inserts a grant or a session waits, or is seen (DESIGN §3).
    """
    user = await users.lock(tx, visit.user.id)
    session = await sessions.get(tx, visit.session.id)
    if user is None or not user.may_sign_in or session is None or session.ended_at is not None:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "signed out meanwhile", Refusal.SESSION_ENDED, status=403)
    return user


def find_zone(name: str | None) -> ZoneInfo | None:
    """Return the time zone of a name of the IANA database, None where there is none such."""
    if not name or not name.isascii() or name.startswith(("/", ".")):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
