"""The pages of a code that proves an address: ask for one, type it, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.mailed_code_rules import Purpose
from authserver.steps.browser_session import (
    NO_BROWSER,
    find_browser_hash,
    find_signed_in,
    form_token,
    judge_visit,
    open_browser,
)
from authserver.steps.code_page import CodePage, render_code_page, render_refused
from authserver.steps.mailed_codes import find_code
from authserver.steps.verify_email import begin_verification, finish_verification, send_another
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.params import Params
    from authserver.oauth.values import User
    from authserver.steps.verify_email import Verified
    from authserver.web.answers import Answer

_TITLE: Final = N_("Check your mail")
_BUTTON: Final = N_("Confirm the address")
_OVER: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.ADDRESS_TAKEN: ("taken", 409),
    Refusal.INVITATION_OVER: ("uninvited", 403),
    Refusal.MAILED_CODE_UNKNOWN: ("used", 422),
    Refusal.MAILED_CODE_USED: ("used", 422),
}


async def verify(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /verify: whoever is signed in asks for a code to the account's own address."""
    async with call.services.engine.begin() as tx:
        signed_in = await find_signed_in(call, tx)
    user = signed_in.user if signed_in is not None and signed_in.user.is_active else None
    if call.facts.method != "POST" or user is None or user.email is None or user.email_verified:
        return _start_page(call, user)
    if problem := judge_visit(call, params):
        return _start_page(call, user, problem=problem, status=422)
    try:
        code = await begin_verification(call, user, browser_hash=find_browser_hash(call))
    except OAuthError as error:
        if error.refusal is not Refusal.THROTTLED:
            raise
        page = _start_page(call, user, problem="throttled", status=429, wait_seconds=error.retry_after)
        return page.with_refusal(error)
    return redirect_answer(f"/verify/{code.id}", log={"user": str(user.id)})


async def verify_code(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /verify/{code}: one field; or another code in its place."""
    is_form = call.facts.method == "POST"
    try:
        code = await _load(call)
    except OAuthError as error:
        if error.refusal is not Refusal.MAILED_CODE_UNKNOWN:
            raise
        return _over_page(call, "unknown", status=404)
    if code.used_at is not None:
        return _over_page(call, "used", status=422 if is_form else 200)
    if not is_form:
        return await render_code_page(call, _code_page(call, code), code)
    return await _take(call, params, code)


async def _take(call: Call, params: Params, code: MailedCode) -> Answer:
    """Take the form: a code, or the wish for another one."""
    if problem := judge_visit(call, params):
        return await render_code_page(call, _code_page(call, code), code, problem=problem, status=422)
    code_id, browser_hash = str(code.id), find_browser_hash(call)
    try:
        if params.get("action") == "resend":
            new = await send_another(call, code_id, browser_hash=browser_hash)
            return redirect_answer(f"/verify/{new.id}")
        verified = await finish_verification(call, code_id, params.get("code") or "", browser_hash=browser_hash)
    except OAuthError as error:
        if error.refusal in _OVER:
            why, status = _OVER[error.refusal]
            return _over_page(call, why, status=status).with_refusal(error)
        return await render_refused(call, _code_page(call, code), await _load(call), error)
    return _go_on(verified)


async def _load(call: Call) -> MailedCode:
    async with call.services.engine.read() as tx:
        return await find_code(
            tx, call.facts.path_parameter, Purpose.VERIFY_EMAIL, find_browser_hash(call) or NO_BROWSER
        )


def _go_on(verified: Verified) -> Answer:
    """Return to the app's sign-in, or to the front page."""
    headers = verified.started.headers if verified.started is not None else ()
    log = {"user": str(verified.user_id)}
    if verified.transaction_id is not None:
        return redirect_answer(f"/authorize/{verified.transaction_id}", *headers, log=log)
    if verified.started is None:
        return redirect_answer("/verify", log=log)
    return redirect_answer("/", *headers, log=log)


def _code_page(call: Call, code: MailedCode) -> CodePage:
    is_sign_up = code.user_id is None
    is_upstream = code.upstream_id is not None
    change = f"/signup/{code.transaction_id}" if code.transaction_id is not None else "/signup"
    if is_upstream:
        change = f"/upstream/{code.upstream_id}/finish"
    return CodePage(
        title=_TITLE,
        button=_BUTTON,
        change=change if is_sign_up else None,
        is_certain=not is_sign_up,
        by_invitation=is_sign_up and not is_upstream and call.services.settings.needs_invitation,
    )


def _start_page(
    call: Call, user: User | None, *, problem: str | None = None, status: int = 200, wait_seconds: int = 0
) -> Answer:
    browser = open_browser(call)
    page = call.services.pages.render(
        "verify/start.html",
        title=N_("Confirm your e-mail address"),
        status=status,
        csrf=form_token(call, browser),
        is_signed_in=user is not None,
        email=user.email if user is not None else None,
        is_verified=user is not None and user.email_verified,
        problem=problem,
        wait_seconds=wait_seconds,
    )
    return page.with_headers(*browser.headers)


def _over_page(call: Call, why: str, *, status: int) -> Answer:
    return call.services.pages.render(
        "verify/over.html",
        title=_TITLE,
        status=status,
        problem=why if status >= 400 else None,  # noqa: PLR2004 - refusals only
        why=why,
        may_sign_up=any(feature.name == "signup" for feature in call.services.features),
    )
