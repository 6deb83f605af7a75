"""The pages of a change of address: ask for it, and type the code that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.mailed_code_rules import Purpose
from authserver.operations.errors import OperationError
from authserver.operations.user_rules import parse_email
from authserver.steps.account import answer_done, ask_proof, hold_account, render_account
from authserver.steps.browser_session import find_browser_hash
from authserver.steps.change_email import ask_again, ask_for_email, change_email
from authserver.steps.code_page import CodePage, render_code_page, render_refused
from authserver.steps.even_time import even_time
from authserver.steps.mailed_codes import find_code
from authserver.store.users import name_key
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.params import Params
    from authserver.steps.account import Visit
    from authserver.web.answers import Answer

PATH: Final = "/account/email"
_CODE_PAGE: Final = CodePage(
    title=N_("Check your mail"), button=N_("Confirm the address"), change=PATH, is_certain=False
)
_DONE: Final = {
    "email_changed": N_("Your e-mail address is changed."),
    "code_unknown": N_("That code is not there any more. Nothing was changed."),
    "address_taken": N_("That address cannot be used. Nothing was changed."),
}


_OVER: Final = {
    Refusal.ADDRESS_TAKEN: "address_taken",
    Refusal.MAILED_CODE_USED: "code_unknown",
    Refusal.MAILED_CODE_UNKNOWN: "code_unknown",
}


async def email(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/email: ``email`` is the new address."""
    if not visit.is_recent:
        return ask_proof(call, visit, title="E-mail address", what="To change your e-mail address, sign in again.")
    if not visit.is_post:
        return _page(call, visit, "")
    given = params.get("email") or ""
    new, problem = _parse(visit, given)
    if problem is not None:
        return _page(call, visit, given, problem=problem)
    async with even_time(), call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        code = await ask_for_email(
            call, tx, user, new, browser_hash=find_browser_hash(call), session_id=visit.session.id
        )
    return redirect_answer(f"{PATH}/{code.id}", log={"user": visit.user.sub})


async def confirm(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/email/{code}: one field; or another code in its place."""
    code = await _load(call, visit)
    if code is None:
        return answer_done(PATH, "code_unknown")
    if not visit.is_post:
        return await render_code_page(call, _CODE_PAGE, code)
    if visit.is_stale:
        return await render_code_page(call, _CODE_PAGE, code, problem="stale", status=422)
    try:
        return await _try(call, params, visit)
    except OAuthError as error:
        if error.refusal in _OVER:
            return answer_done(PATH, _OVER[error.refusal], log={"refusal": error.refusal.value})
        return await render_refused(call, _CODE_PAGE, await _load(call, visit) or code, error)


def _parse(visit: Visit, given: str) -> tuple[str, str | None]:
    """Return the address as it will be stored, and what is wrong with the form, in the page's word for it."""
    if visit.is_stale:
        return "", "stale"
    if not given:
        return "", "missing"
    try:
        new = parse_email(given)
    except OperationError:
        return "", "malformed"
    is_same = visit.user.email is not None and name_key(new) == name_key(visit.user.email)
    return new, "same" if is_same else None


async def _try(call: Call, params: Params, visit: Visit) -> Answer:
    code_id, browser_hash = call.facts.path_parameter, find_browser_hash(call)
    if params.get("action") == "resend":
        new = await ask_again(call, code_id, visit.user, browser_hash=browser_hash)
        return redirect_answer(f"{PATH}/{new.id}")
    text, session_id = params.get("code") or "", visit.session.id
    await change_email(call, code_id, text, visit.user, browser_hash=browser_hash, session_id=session_id)
    return answer_done(PATH, "email_changed", log={"user": visit.user.sub})


async def _load(call: Call, visit: Visit) -> MailedCode | None:
    """Return the code of the address, where it is this user's, this browser's, and has not been used."""
    async with call.services.engine.read() as tx:
        try:
            code = await find_code(tx, call.facts.path_parameter, Purpose.CHANGE_EMAIL, find_browser_hash(call))
        except OAuthError:
            return None
    return code if code.user_id == visit.user.id and code.used_at is None else None


def _page(call: Call, visit: Visit, given: str, *, problem: str | None = None) -> Answer:
    return render_account(
        call,
        visit,
        "account/email.html",
        title="E-mail address",
        status=422 if problem is not None else 200,
        problem=problem,
        done=_DONE,
        email=visit.user.email,
        email_verified=visit.user.email_verified,
        given=given,
    )
