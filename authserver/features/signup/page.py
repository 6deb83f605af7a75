"""The sign-up page: address, password, name; the code page comes next, whatever is known of the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.phases import UnavailableError
from authserver.steps.browser_session import find_browser_hash, form_token, judge_visit, open_browser
from authserver.steps.provider_buttons import find_buttons
from authserver.steps.sign_up import NewAccount, begin_sign_up, find_faults
from authserver.steps.under_way import find_before_login, page_values, where_from
from authserver.web.answers import Answer, redirect_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.authorization import Progress
    from authserver.steps.sign_up import Fault


async def sign_up(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /signup and of /signup/{transaction}."""
    progress = await find_before_login(call)
    if isinstance(progress, Answer):
        return progress
    if call.facts.method != "POST":
        return _page(call, NewAccount(email=_hint(params, progress), password=""), progress)
    account = NewAccount(
        email=params.get("email") or "", password=params.get("new-password") or "", name=params.get("name") or ""
    )
    if problem := judge_visit(call, params):
        return _page(call, account, progress, problem=problem, status=403 if problem == "cookies" else 422)
    return await _submit(call, account, progress)


async def send_on(call: Call, params: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /register: that is where people look for it who know other servers."""
    return redirect_answer("/signup")


async def _submit(call: Call, account: NewAccount, progress: Progress | None) -> Answer:
    """Check all fields at once, then begin; the answer is the same for every address."""
    faults = await find_faults(call, account)
    if faults:
        return _page(call, account, progress, problem="fields", faults=faults, status=422)
    try:
        code = await begin_sign_up(call, account, browser_hash=find_browser_hash(call), **where_from(progress))
    except OAuthError as error:
        if error.refusal is not Refusal.THROTTLED:
            raise
        page = _page(call, account, progress, problem="throttled", status=429, wait_seconds=error.retry_after)
        return page.with_refusal(error)
    except UnavailableError as error:
        page = _page(call, account, progress, problem="busy", status=503)
        return page.with_headers(("retry-after", str(error.retry_after)))
    return redirect_answer(f"/verify/{code.id}")


def _hint(params: Params, progress: Progress | None) -> str:
    """Return the address to begin with: the app's hint, or the one in the link of an invitation. It proves nothing."""
    hint = progress.request.login_hint if progress is not None else params.get("email")
    return hint if hint and "@" in hint else ""


def _page(
    call: Call,
    account: NewAccount,
    progress: Progress | None,
    *,
    problem: str | None = None,
    faults: Mapping[str, Fault] | None = None,
    status: int = 200,
    wait_seconds: int = 0,
) -> Answer:
    browser = open_browser(call)
    buttons = find_buttons(call, progress, sign_up=True)
    page = call.services.pages.render(
        "signup/signup.html",
        title=N_("Create an account"),
        status=status,
        action=call.facts.path,
        csrf=form_token(call, browser),
        email=account.email,
        name=account.name,
        problem=problem,
        faults=faults or {},
        wait_seconds=wait_seconds,
        by_invitation=call.services.settings.needs_invitation,
        buttons=buttons,
        **page_values(progress, leads_away=bool(buttons.providers)),
    )
    return page.with_headers(*browser.headers)
