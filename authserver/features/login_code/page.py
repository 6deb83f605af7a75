"""The pages of a sign-in by mail: the address, then the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from authserver.email_address import AddressError
from authserver.language import N_
from authserver.oauth.authorization_request import AuthorizationError
from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.interaction import Login
from authserver.oauth.mailed_code_rules import MailedCode, Purpose
from authserver.oauth.second_factor_rules import PendingSignIn
from authserver.steps.authorization import load_progress, respond_error
from authserver.steps.browser_session import NO_BROWSER, find_browser_hash, form_token, judge_visit, open_browser
from authserver.steps.code_page import CodePage, render_code_page, render_refused
from authserver.steps.login_code import begin_login_code, send_another, sign_in_by_code
from authserver.steps.mailed_codes import find_code
from authserver.steps.second_factor import SECOND_FACTOR
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.authorization import Progress
    from authserver.web.answers import Answer

_CODE_PAGE: Final = CodePage(
    title=N_("Check your mail"), button=N_("Sign in"), change="/login-code", asks_shared_computer=True
)


async def ask(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /login-code and of /login-code/{transaction}."""
    progress = None
    if call.facts.path_parameter:
        try:
            progress = await load_progress(call, call.facts.path_parameter, find_browser_hash(call))
        except AuthorizationError as error:
            return respond_error(call, error.checked, error)
    if progress is not None and not isinstance(progress.step, Login):
        return redirect_answer(f"/authorize/{progress.transaction.id}")  # signed in meanwhile, in another tab
    email = params.get("email") or ""
    if call.facts.method != "POST":
        return _ask_page(call, "", progress)
    if problem := judge_visit(call, params):
        return _ask_page(call, email, progress, problem=problem, status=403 if problem == "cookies" else 422)
    return await _send(call, email, progress)


async def _send(call: Call, email: str, progress: Progress | None) -> Answer:
    try:
        code = await begin_login_code(
            call,
            email,
            browser_hash=find_browser_hash(call),
            transaction_id=progress.transaction.id if progress is not None else None,
            app=progress.request.client.client_name if progress is not None else None,
        )
    except AddressError:
        return _ask_page(call, email, progress, problem="malformed" if email.strip() else "missing", status=422)
    except OAuthError as error:
        if error.refusal is not Refusal.THROTTLED:
            raise
        wait = next((int(value) for name, value in error.headers if name == "retry-after"), 0)
        page = _ask_page(call, email, progress, problem="throttled", status=429, wait_seconds=wait)
        return page.with_headers(*error.headers)
    return redirect_answer(f"/code/{code.id}")


async def check(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /code/{code}."""
    try:
        code = await _load(call)
    except OAuthError:
        return _over_page(call, status=404)
    if code.used_at is not None:
        return _over_page(call, status=422 if call.facts.method == "POST" else 404)
    if call.facts.method != "POST":
        return await render_code_page(call, _CODE_PAGE, code)
    return await _take(call, params, code)


async def _take(call: Call, params: Params, code: MailedCode) -> Answer:
    if problem := judge_visit(call, params):
        return await render_code_page(call, _CODE_PAGE, code, problem=problem, status=422)
    code_id, browser_hash = str(code.id), find_browser_hash(call)
    try:
        if params.get("action") == "resend":
            new = await send_another(call, code_id, browser_hash=browser_hash)
            return redirect_answer(f"/code/{new.id}")
        started = await sign_in_by_code(
            call,
            code_id,
            params.get("code") or "",
            browser_hash=browser_hash,
            shared_computer=params.get("shared_computer") is not None,
        )
    except OAuthError as error:
        if error.refusal in {Refusal.MAILED_CODE_USED, Refusal.MAILED_CODE_UNKNOWN, Refusal.USER_DISABLED}:
            return _over_page(call, status=422)
        return await render_refused(call, _CODE_PAGE, await _load(call), error)
    if isinstance(started, PendingSignIn):
        return redirect_answer(f"{SECOND_FACTOR}/{started.id}", log={"user": str(started.user_id)})
    back = f"/authorize/{code.transaction_id}" if code.transaction_id is not None else "/"
    return redirect_answer(back, *started.headers, log={"user": str(started.session.user_id)})


async def _load(call: Call) -> MailedCode:
    async with call.services.engine.read() as tx:
        return await find_code(tx, call.facts.path_parameter, Purpose.LOGIN, find_browser_hash(call) or NO_BROWSER)


def _ask_page(
    call: Call,
    email: str,
    progress: Progress | None,
    *,
    problem: str | None = None,
    status: int = 200,
    wait_seconds: int = 0,
) -> Answer:
    browser = open_browser(call)
    client = progress.request.client if progress is not None else None
    page = call.services.pages.render(
        "login_code/ask.html",
        title=N_("Sign in with a code"),
        status=status,
        transaction=client is not None,
        action=call.facts.path,
        csrf=form_token(call, browser),
        email=email,
        client_name=client.client_name if client else None,
        client_host=urlsplit(progress.request.redirect_uri).netloc if progress else None,
        problem=problem,
        wait_seconds=wait_seconds,
        sign_in=f"/login/{progress.transaction.id}" if progress is not None else "/login",
    )
    return page.with_headers(*browser.headers)


def _over_page(call: Call, *, status: int) -> Answer:
    return call.services.pages.render(
        "login_code/over.html", title=N_("Sign in with a code"), status=status, problem="over"
    )
