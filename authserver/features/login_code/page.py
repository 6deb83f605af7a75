"""The pages of a sign-in by mail: the address, then the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.mailed_code_rules import MailedCode, Purpose
from authserver.oauth.second_factor_rules import PendingSignIn
from authserver.steps.address_page import AddressPage, answer_address_page
from authserver.steps.browser_session import NO_BROWSER, find_browser_hash, judge_visit
from authserver.steps.code_page import CodePage, render_code_page, render_refused
from authserver.steps.login_code import begin_login_code, send_another, sign_in_by_code
from authserver.steps.mailed_codes import find_code
from authserver.steps.second_factor import SECOND_FACTOR
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer

_ADDRESS_PAGE: Final = AddressPage(
    title=N_("Sign in with a code"),
    explanation=N_("We send a code to the address of your account. You need no password then."),
    button=N_("Send the code"),
    begin=begin_login_code,
    code_page="/code",
)
_CODE_PAGE: Final = CodePage(
    title=N_("Check your mail"), button=N_("Sign in"), change="/login-code", asks_shared_computer=True
)


async def ask(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /login-code and of /login-code/{transaction}."""
    return await answer_address_page(call, params, _ADDRESS_PAGE)


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


def _over_page(call: Call, *, status: int) -> Answer:
    return call.services.pages.render(
        "login_code/over.html", title=N_("Sign in with a code"), status=status, problem="over"
    )
