"""The devices page: one entry for each browser, with its last use and the apps signed in through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.ids import parse_uuid
from authserver.language import N_
from authserver.oauth.interaction import is_live
from authserver.steps.account import answer_done, hold_account, render_account
from authserver.steps.sign_out import REASON, end_all, end_browser
from authserver.store import grants, sessions
from authserver.web.answers import redirect_answer
from authserver.web.cookies import SESSION, clear_cookie
from authserver.web.user_agent import find_browser

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Grant
    from authserver.steps.account import Visit
    from authserver.store.sessions import Browser
    from authserver.web.answers import Answer

_DONE: Final = {
    "device_signed_out": N_("That device is signed out."),
    "others_signed_out": N_("You are signed out everywhere else."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A browser as the page shows it; times are in words."""

    session: str
    browser: str
    address: str
    first_used: str
    last_used: str
    is_this: bool
    apps: tuple[str, ...]


async def devices(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/devices: decision = sign_out (of one ``session``) | sign_out_others."""
    if visit.is_post and not visit.is_stale:
        decision = params.get("decision")
        if decision == "sign_out_others":
            return await _sign_out_others(call, visit)
        session_id = parse_uuid(params.get("session"))
        if decision == "sign_out" and session_id is not None:
            return await _sign_out(call, visit, session_id)
    async with call.services.engine.begin() as tx:
        now = await tx.now()
        browsers = await sessions.list_browsers(tx, visit.user.id)
        held = await grants.list_all(tx, user_id=visit.user.id)
    idle = call.services.settings.session_idle_lifetime
    shown = [_show(call, visit, browser, held) for browser in browsers if is_live(browser.session, idle, now)]
    return render_account(
        call,
        visit,
        "account/devices.html",
        title="Devices",
        status=422 if visit.is_post else 200,
        problem="stale" if visit.is_stale else None,
        done=_DONE,
        devices=sorted(shown, key=lambda device: not device.is_this),
    )


def _show(call: Call, visit: Visit, browser: Browser, held: tuple[Grant, ...]) -> Device:
    pages, directory = call.services.pages, call.services.directory
    session = browser.session
    apps = {grant.client_id for grant in held if grant.session_id == session.id}
    clients = (directory.find_client(client_id) for client_id in apps)
    return Device(
        session=str(session.id),
        browser=_name(call, browser.user_agent),
        address=browser.address,
        first_used=pages.time(session.created_at, visit.zone),
        last_used=pages.time(session.last_seen_at, visit.zone),
        is_this=session.id == visit.session.id,
        apps=tuple(sorted(client.client_name for client in clients if client is not None)),
    )


def _name(call: Call, user_agent: str) -> str:
    pages = call.services.pages
    browser, system = find_browser(user_agent)
    if browser and system:
        return pages.words("%(browser)s on %(system)s", browser=browser, system=system)
    return browser or system or pages.words("Unknown browser")


async def _sign_out(call: Call, visit: Visit, session_id: UUID) -> Answer:
    """End one of this user's sessions; anybody else's is as if it did not exist."""
    async with call.services.engine.begin() as tx:
        await hold_account(tx, visit)
        await end_browser(call, tx, visit.user.id, session_id)
    if session_id == visit.session.id:
        return redirect_answer("/", clear_cookie(SESSION), log={"user": visit.user.sub})
    return answer_done(call.facts.path, "device_signed_out", log={"user": visit.user.sub})


async def _sign_out_others(call: Call, visit: Visit) -> Answer:
    """End every other session, and what apps hold through them, those that would outlive a logout too (DESIGN §5)."""
    async with call.services.engine.begin() as tx:
        await hold_account(tx, visit)
        await end_all(call, tx, visit.user.id, "other_sessions_ended", reason=REASON, keep_session=visit.session.id)
    return answer_done(call.facts.path, "others_signed_out", log={"user": visit.user.sub})
