"""The overview, the way to sign in again, and the address at which password managers look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth.interaction import is_live
from authserver.steps.account import ACCOUNT, find_return_path, render_account, send_to_sign_in
from authserver.store import consents, grants, sessions
from authserver.web.answers import redirect_answer
from authserver.web.cookies import LONGEST, THEME, clear_cookie, set_cookie
from authserver.web.page_language import THEMES

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.account import Visit
    from authserver.web.answers import Answer


async def overview(call: Call, params: Params, visit: Visit) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /account."""
    async with call.services.engine.begin() as tx:
        now = await tx.now()
        browsers = await sessions.list_browsers(tx, visit.user.id)
        given = await consents.list_of_user(tx, visit.user.id)
        held = await grants.list_all(tx, user_id=visit.user.id)
    idle = call.services.settings.session_idle_lifetime
    apps = {each.consent.client_id for each in given} | {grant.client_id for grant in held}
    return render_account(
        call,
        visit,
        "account/overview.html",
        title="Your account",
        username=visit.user.username,
        name=visit.user.name,
        email=visit.user.email,
        email_verified=visit.user.email_verified,
        signed_in_at=call.services.pages.time(visit.session.auth_time, visit.zone),
        devices=sum(is_live(browser.session, idle, now) for browser in browsers),
        apps=sum(call.services.directory.find_client(client_id) is not None for client_id in apps),
    )


async def choose_look(call: Call, params: Params, visit: Visit) -> Answer:  # noqa: ARG001 - the contract
    """Answer POST /account/look: ``theme`` = light | dark in this browser; anything else is as the system says."""
    theme = params.get("theme") or ""
    if visit.is_stale:
        return redirect_answer(ACCOUNT)
    cookie = set_cookie(THEME, theme, LONGEST) if theme in THEMES else clear_cookie(THEME)
    return redirect_answer(ACCOUNT, cookie)


async def prove(call: Call, params: Params, visit: Visit) -> Answer:  # noqa: ARG001 - the contract
    """Answer POST /account/proof: to the sign-in page, and from there back to the page that asked for it."""
    return send_to_sign_in(find_return_path(params.get("back")), again=True)


async def change_password(call: Call, params: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /.well-known/change-password with the page (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect_answer("/account/password")
