"""Who is signed in in the browser that sent this request, and how that begins and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlencode

from authserver.ids import uuid7
from authserver.oauth.interaction import SignedIn, is_live
from authserver.oauth.values import Session
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.sealing.subkeys import Label
from authserver.steps.audit_trail import record
from authserver.steps.new_device import tell_of_new_device
from authserver.store import sessions
from authserver.web.answers import redirect_answer
from authserver.web.cookies import BROWSER, DEVICE, LONGEST, SESSION, set_cookie
from authserver.web.csrf import csrf_token, foreign_form, judge_form
from authserver.web.edge import URL_LIMIT
from authserver.web.page_language import prefer_account

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import User
    from authserver.store.engine import Tx
    from authserver.web.answers import Answer
    from authserver.web.csrf import FormOrigin

NO_BROWSER: Final = b""  # of one without our cookie: it has asked for no code, and what apps asked for is not its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Browser:
    """The cookie that ties transactions and forms to one browser; ``headers`` sets it where it is new."""

    secret: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def secret_hash(self) -> bytes:
        """What is stored of it."""
        return hash_secret(self.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A session that has just begun, and the cookies that say so."""

    session: Session
    headers: tuple[tuple[str, str], ...]


async def find_signed_in(call: Call, tx: Tx) -> SignedIn | None:
    """Return who is signed in here: the session is neither ended, idle for too long, nor past its end.

    A user who was turned off is returned too: what that means is for the rules to say.
    """
    cookie_hash = find_session_hash(call)
    found = await sessions.find_by_cookie(tx, cookie_hash) if cookie_hash is not None else None
    if found is None:
        return None
    session, user = found
    if not is_live(session, call.services.settings.session_idle_lifetime, await tx.now()):
        return None
    await sessions.touch(tx, session)
    prefer_account(user.locale)
    return SignedIn(session=session, user=user)


def find_session_hash(call: Call) -> bytes | None:
    """Return what is stored of this browser's session cookie, None where it has none."""
    secret = call.facts.cookie(SESSION)
    return hash_secret(secret) if secret is not None else None


def find_browser_hash(call: Call) -> bytes | None:
    """Return what is stored of this browser's binding, None where the browser has none."""
    secret = call.facts.cookie(BROWSER)
    return hash_secret(secret) if secret is not None else None


def open_browser(call: Call) -> Browser:
    """Return this browser's binding, made now where it has none."""
    secret = call.facts.cookie(BROWSER)
    if secret is not None:
        return Browser(secret=secret)
    secret = new_secret(Prefix.BROWSER)
    return Browser(secret=secret, headers=(set_cookie(BROWSER, secret),))


def ask_by_get(call: Call, form: Params) -> Answer | None:
    """Return the redirect that lets an app's POST bring the browser's cookies; None where it need not, or is too long.

    A browser keeps SameSite=Lax cookies back from a form of another site and sends them when it goes somewhere by GET.
    Answered as it came, such a POST would be one of a browser that was never here: nobody would seem signed in, and the
    cookies set or cleared in the answer would undo what the browser does have (SECURITY row 94).
    """
    if call.facts.method != "POST" or call.facts.cookie(BROWSER) or call.facts.cookie(SESSION):
        return None
    location = f"{call.facts.path}?{urlencode(list(form))}"
    return redirect_answer(location) if len(location) <= URL_LIMIT else None


def form_token(call: Call, browser: Browser) -> str:
    """Return the hidden ``csrf`` field of every form shown to this browser."""
    return csrf_token(call.services.subkeys.current(Label.CSRF), browser.secret)


def judge_own_form(call: Call, form: Params) -> FormOrigin:
    """Tell whether a POST came from our own page in this browser."""
    key = call.services.subkeys.current(Label.CSRF)
    return judge_form(key, call.facts.cookie(BROWSER), call.facts, form, call.services.settings.issuer)


def judge_visit(call: Call, form: Params) -> Literal["stale", "cookies"] | None:
    """Return why a form of ours has to be shown again before it can be taken, None where it can be.

    ``stale``: the page was open for a long time. ``cookies``: the browser did not keep the one that the page came
    with. Raise the refusal of a form that is not ours.
    """
    origin = judge_own_form(call, form)
    if origin == "own":
        return None
    is_cross_site = call.facts.header(b"sec-fetch-site") in {"cross-site", "same-site"}
    if find_browser_hash(call) is None and not is_cross_site:  # else it may well have ours, which was not sent along
        return "cookies"
    if origin == "foreign":
        raise foreign_form()
    return "stale"


async def start_session(
    call: Call,
    tx: Tx,
    user: User,
    *,
    acr: str,
    amr: tuple[str, ...],
    shared_computer: bool,
    auth_time: datetime | None = None,
) -> Started:
    """Sign the user in, in the caller's transaction, which holds the user's row.

    The cookie is always new, so one planted before the login is worth nothing (SECURITY row 98). The same user signing
    in again keeps the session, and with it what apps have; another user's session in this browser ends. The owner of
    the account hears of a browser that is new. ``auth_time`` is when the first factor was given; None: just now.
    """
    now = await tx.now()
    secret = new_secret(Prefix.SESSION)
    signed_in = await find_signed_in(call, tx)
    before = signed_in.session if signed_in is not None else None
    if before is not None and before.user_id != user.id:
        await end_session(tx, before.id, now, "another_user_signed_in")
        before = None
    settings = call.services.settings
    session = Session(
        id=before.id if before else uuid7(call.now),
        user_id=user.id,
        auth_time=auth_time or now,
        acr=acr,
        amr=amr,
        created_at=before.created_at if before else now,
        last_seen_at=now,
        expires_at=now + settings.session_absolute_lifetime,
        shared_computer=shared_computer,
    )
    agent = (call.facts.header(b"user-agent") or "")[:300]
    if before:
        await sessions.renew(tx, session, hash_secret(secret))
    else:
        await sessions.add(tx, session, hash_secret(secret), user_agent=agent, address=call.facts.address)
    lifetime = None if shared_computer else settings.session_absolute_lifetime
    headers = [set_cookie(SESSION, secret, lifetime)]
    if not await is_known_device(call, tx, user):  # one row a device, not one a login
        if before is None:
            await tell_of_new_device(call, tx, user)
        if not shared_computer:
            device = new_secret(Prefix.DEVICE)
            await sessions.remember_device(tx, hash_secret(device), user.id)
            headers.append(set_cookie(DEVICE, device, LONGEST))
    return Started(session=session, headers=tuple(headers))


async def begin_session(
    call: Call,
    tx: Tx,
    user: User,
    *,
    acr: str,
    amr: tuple[str, ...],
    shared_computer: bool,
    auth_time: datetime | None = None,
    **more: str,
) -> Started:
    """Sign the user in as :func:`start_session` does, and write that down; ``more`` is for the audit."""
    started = await start_session(
        call, tx, user, acr=acr, amr=amr, shared_computer=shared_computer, auth_time=auth_time
    )
    detail = {"amr": " ".join(amr), **more}
    await record(call, tx, "user_signed_in", user_id=user.id, session_id=started.session.id, detail=detail)
    return started


async def is_known_device(call: Call, tx: Tx, user: User) -> bool:
    """Tell whether this user signed in in this browser before."""
    device = call.facts.cookie(DEVICE)
    return device is not None and await sessions.is_known_device(tx, hash_secret(device), user.id)


async def end_session(tx: Tx, session_id: UUID, now: datetime, reason: str) -> bool:
    """End a session and what apps hold through it; return False where it had been ended before."""
    return (await sessions.end_with_grants(tx, session_id, now, reason)).was_live
