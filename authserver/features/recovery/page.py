"""The pages of a forgotten password: the address, the code or the link from the mail, the new password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.mailed_code_rules import MailedCode, Purpose
from authserver.phases import UnavailableError
from authserver.steps.address_page import AddressPage, answer_address_page
from authserver.steps.browser_session import NO_BROWSER, find_browser_hash, form_token, judge_visit, open_browser
from authserver.steps.code_page import CodePage, render_code_page, render_refused
from authserver.steps.mailed_codes import find_code
from authserver.steps.new_password import PasswordRefusedError
from authserver.steps.reset_password import (
    begin_reset,
    find_link,
    finish_reset,
    prove_by_code,
    prove_by_link,
    send_another,
)
from authserver.store import transactions
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.passwords import PasswordFault
    from authserver.web.answers import Answer

_ADDRESS_PAGE: Final = AddressPage(
    title=N_("Forgot your password?"),
    explanation=N_("We send a mail with a code and a link to the address of your account."),
    button=N_("Send the mail"),
    begin=begin_reset,
    code_page="/reset",
)
_CODE_PAGE: Final = CodePage(title=N_("Check your mail"), button=N_("Continue"), change="/forgot")
_TITLE: Final = N_("Set a new password")


async def forgot(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /forgot and of /forgot/{transaction}."""
    return await answer_address_page(call, params, _ADDRESS_PAGE)


async def reset_link(call: Call, params: Params) -> Answer:
    """Answer /reset?link=…: GET shows a page with a button and uses nothing up, POST takes the link."""
    link = params.get("link") or ""
    if not link:
        return redirect_answer("/forgot")
    code = await find_link(call, link)
    if call.facts.method != "POST":
        return _link_page(call, link, code) if code is not None else _over_page(call, "expired", status=404)
    if problem := judge_visit(call, params):
        if code is None:
            return _over_page(call, "expired", status=422)
        return _link_page(call, link, code, problem=problem, status=403 if problem == "cookies" else 422)
    try:
        proven = await prove_by_link(call, link, browser_hash=open_browser(call).secret_hash)
    except OAuthError as error:
        return _over_page(call, "used" if error.refusal is Refusal.MAILED_CODE_USED else "expired", status=422)
    return redirect_answer(f"/reset/{proven.id}")


async def reset(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /reset/{code}: the code first, then the new password, then that it is done."""
    try:
        code = await _load(call)
    except OAuthError:
        return _over_page(call, "expired", status=404)
    is_form = call.facts.method == "POST"
    if code.used_at is not None:
        return await _finished_page(call, code, is_form=is_form)
    if not is_form:
        return await _show(call, code)
    if problem := judge_visit(call, params):
        return await _show(call, code, problem=problem, status=422)
    if code.proven_at is not None or "new-password" in params:
        return await _choose(call, params, code)
    return await _prove(call, params, code)


async def _prove(call: Call, params: Params, code: MailedCode) -> Answer:
    browser_hash = find_browser_hash(call)
    try:
        if params.get("action") == "resend":
            new = await send_another(call, str(code.id), browser_hash=browser_hash)
            return redirect_answer(f"/reset/{new.id}")
        await prove_by_code(call, str(code.id), params.get("code") or "", browser_hash=browser_hash)
    except OAuthError as error:
        if error.refusal in {Refusal.MAILED_CODE_USED, Refusal.MAILED_CODE_UNKNOWN}:
            return redirect_answer(call.facts.path)  # a second click: the page tells how far it is
        return await render_refused(call, _CODE_PAGE, await _load(call), error)
    return redirect_answer(call.facts.path)


async def _choose(call: Call, params: Params, code: MailedCode) -> Answer:
    """Store the new password; whoever has not given the code is shown the page for that, and nothing changes."""
    password = params.get("new-password") or ""
    try:
        await finish_reset(call, str(code.id), password, browser_hash=find_browser_hash(call))
    except PasswordRefusedError as error:
        return _password_page(call, code, problem="fault", fault=error.fault, status=422)
    except OAuthError as error:
        if error.refusal is Refusal.MAILED_CODE_UNPROVEN:
            return await render_code_page(call, _CODE_PAGE, code, problem="missing", status=422)
        if error.refusal in {Refusal.MAILED_CODE_USED, Refusal.MAILED_CODE_EXPIRED}:
            return _over_page(call, "used" if error.refusal is Refusal.MAILED_CODE_USED else "expired", status=422)
        raise
    except UnavailableError as error:
        page = _password_page(call, code, problem="busy", status=503)
        return page.with_headers(("retry-after", str(error.retry_after)))
    return redirect_answer(call.facts.path, log={"user": str(code.user_id)})


async def _load(call: Call) -> MailedCode:
    async with call.services.engine.read() as tx:
        return await find_code(
            tx, call.facts.path_parameter, Purpose.RESET_PASSWORD, find_browser_hash(call) or NO_BROWSER
        )


async def _show(call: Call, code: MailedCode, *, problem: str | None = None, status: int = 200) -> Answer:
    """Return the page that is next for a code, proven or not."""
    if code.proven_at is None:
        return await render_code_page(call, _CODE_PAGE, code, problem=problem, status=status)
    async with call.services.engine.read() as tx:
        is_over = await tx.now() >= code.expires_at
    if is_over:
        return _over_page(call, "expired", status=404)
    return _password_page(call, code, problem=problem, status=status)


def _link_page(call: Call, link: str, code: MailedCode, *, problem: str | None = None, status: int = 200) -> Answer:
    browser = open_browser(call)
    page = call.services.pages.render(
        "recovery/link.html",
        title=_TITLE,
        status=status,
        csrf=form_token(call, browser),
        link=link,
        email=code.email,
        problem=problem,
    )
    return page.with_headers(*browser.headers)


def _password_page(
    call: Call,
    code: MailedCode,
    *,
    problem: str | None = None,
    fault: PasswordFault | None = None,
    status: int = 200,
) -> Answer:
    browser = open_browser(call)
    page = call.services.pages.render(
        "recovery/new_password.html",
        title=_TITLE,
        status=status,
        action=call.facts.path,
        csrf=form_token(call, browser),
        email=code.email,
        problem=problem,
        fault=fault,
    )
    return page.with_headers(*browser.headers)


async def _finished_page(call: Call, code: MailedCode, *, is_form: bool) -> Answer:
    """Return the page after the change; a sign-in of an app goes on where it began in this very browser."""
    if code.proven_at is None:
        return _over_page(call, "replaced", status=422 if is_form else 404)
    if is_form:
        return _over_page(call, "used", status=422)
    sign_in = "/login"
    browser_hash = find_browser_hash(call)
    if code.transaction_id is not None and browser_hash is not None:
        async with call.services.engine.read() as tx:
            transaction = await transactions.find(tx, code.transaction_id, browser_hash)
            now = await tx.now()
        if transaction is not None and now < transaction.expires_at:
            sign_in = f"/login/{transaction.id}"
    return call.services.pages.render("recovery/done.html", title=N_("Your password is changed"), sign_in=sign_in)


def _over_page(call: Call, why: str, *, status: int) -> Answer:
    return call.services.pages.render("recovery/over.html", title=_TITLE, status=status, problem=why, why=why)
