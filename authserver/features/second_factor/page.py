"""The page that asks for the second factor: one field or a passkey, whose it is, and a way out (UX §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.steps.browser_session import form_token, judge_visit, open_browser
from authserver.steps.passkeys import ask_second_factor, finish_by_passkey
from authserver.steps.second_factor import cancel, find_begun, finish_sign_in
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.second_factor import Found
    from authserver.web.answers import Answer

_TITLE: Final = N_("Second factor")
_PROBLEMS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.PARAMETER_MALFORMED: ("malformed", 422),
    Refusal.SECOND_FACTOR_WRONG: ("wrong", 422),
    Refusal.THROTTLED: ("throttled", 429),
}
_PASSKEY_PROBLEMS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.PASSKEY_UNKNOWN: ("passkey_unknown", 422),
    Refusal.PASSKEY_CHALLENGE: ("stale", 422),
    Refusal.PASSKEY_OF_ANOTHER: ("passkey_refused", 422),
    Refusal.PASSKEY_ORIGIN: ("passkey_refused", 422),
    Refusal.PASSKEY_UNPROVEN: ("passkey_refused", 422),
    Refusal.PASSKEY_COPIED: ("passkey_refused", 422),
    Refusal.PARAMETER_MALFORMED: ("passkey_refused", 422),
}
_OVER: Final = frozenset({Refusal.SECOND_FACTOR_OVER, Refusal.USER_DISABLED})


async def check(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /second-factor/{sign-in}; ``with=recovery`` asks for a recovery code."""
    found = await find_begun(call, call.facts.path_parameter)
    if found is None or found.is_over:
        return _over_page(call, found, status=422 if call.facts.method == "POST" else 404)
    is_recovery = params.get("with") == "recovery"
    if call.facts.method != "POST":
        return _page(call, found, is_recovery=is_recovery)
    if problem := judge_visit(call, params):
        return _page(call, found, is_recovery=is_recovery, problem=problem, status=422)
    if params.get("action") == "cancel":
        await cancel(call, found.pending)
        transaction_id = found.pending.transaction_id
        return redirect_answer("/login" if transaction_id is None else f"/login/{transaction_id}?switch=1")
    return await _take(call, found, params, is_recovery=is_recovery)


async def _take(call: Call, found: Found, params: Params, *, is_recovery: bool) -> Answer:
    """Take the passkey's answer where there is one, else the code."""
    pending_id, passkey = call.facts.path_parameter, params.get("passkey")
    try:
        if passkey is not None:
            started, pending = await finish_by_passkey(call, pending_id, passkey)
        else:
            started, pending = await finish_sign_in(call, pending_id, params.get("code") or "")
    except OAuthError as error:
        if error.refusal in _OVER:
            return _over_page(call, found, status=422)
        problems = _PASSKEY_PROBLEMS if passkey is not None else _PROBLEMS
        if error.refusal not in problems:
            raise
        problem, status = problems[error.refusal]
        page = _page(
            call, found, is_recovery=is_recovery, problem=problem, status=status, wait_seconds=error.retry_after
        )
        return page.with_refusal(error)
    return redirect_answer(_way_back(found), *started.headers, log={"user": str(pending.user_id)})


def _way_back(found: Found | None) -> str:
    transaction_id = found.pending.transaction_id if found is not None else None
    return f"/authorize/{transaction_id}" if transaction_id is not None else "/"


def _page(
    call: Call,
    found: Found,
    *,
    is_recovery: bool,
    problem: str | None = None,
    status: int = 200,
    wait_seconds: int = 0,
) -> Answer:
    browser = open_browser(call)
    user = found.user
    page = call.services.pages.render(
        "second_factor/ask.html",
        title=_TITLE,
        status=status,
        transaction=found.pending.transaction_id is not None,
        action=call.facts.path,
        csrf=form_token(call, browser),
        user_name=user.name or user.username,
        has_app=found.has_app,
        passkey=ask_second_factor(call, browser, found) if not is_recovery else None,
        is_recovery=is_recovery,
        problem=problem,
        wait_seconds=wait_seconds,
    )
    return page.with_headers(*browser.headers)


def _over_page(call: Call, found: Found | None, *, status: int) -> Answer:
    back = _way_back(found) if found is not None and found.pending.transaction_id is not None else "/login"
    return call.services.pages.render(
        "second_factor/over.html", title=_TITLE, status=status, problem="over", sign_in=back
    )
