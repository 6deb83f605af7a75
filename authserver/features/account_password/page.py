"""The password page: the old one proves the person, so it asks for no other sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.phases import UnavailableError
from authserver.steps.account import answer_done, render_account
from authserver.steps.change_password import change_password
from authserver.steps.new_password import PasswordRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.passwords import PasswordFault
    from authserver.steps.account import Visit
    from authserver.web.answers import Answer

_DONE: Final = {"password_changed": N_("Your password is changed. You are signed out everywhere else.")}
_PROBLEMS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.PASSWORD_WRONG: ("wrong", 422),
    Refusal.PARAMETER_TOO_LONG: ("too_long", 400),
    Refusal.THROTTLED: ("throttled", 429),
}


async def password(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/password: ``password`` is the one there is, ``new-password`` the other."""
    if not visit.is_post:
        return _page(call, visit)
    current, new = params.get("password"), params.get("new-password")
    if visit.is_stale or current is None or new is None:
        problem = "stale" if visit.is_stale else "missing" if current is None else "new_missing"
        return _page(call, visit, problem=problem, status=422)
    return await _change(call, visit, current, new)


async def _change(call: Call, visit: Visit, current: str, new: str) -> Answer:
    try:
        await change_password(call, visit.user, current=current, new=new, keep_session=visit.session.id)
    except PasswordRefusedError as error:
        return _page(call, visit, problem="fault", status=422, fault=error.fault)
    except OAuthError as error:
        if error.refusal not in _PROBLEMS:
            raise
        problem, status = _PROBLEMS[error.refusal]
        page = _page(call, visit, problem=problem, status=status, wait_seconds=error.retry_after)
        return page.with_refusal(error)
    except UnavailableError as error:
        page = _page(call, visit, problem="busy", status=503)
        return page.with_headers(("retry-after", str(error.retry_after)))
    return answer_done(call.facts.path, "password_changed", log={"user": visit.user.sub})


def _page(
    call: Call,
    visit: Visit,
    *,
    problem: str | None = None,
    status: int = 200,
    fault: PasswordFault | None = None,
    wait_seconds: int = 0,
) -> Answer:
    return render_account(
        call,
        visit,
        "account/password.html",
        title="Password",
        status=status,
        problem=problem,
        done=_DONE,
        has_password=visit.user.password_hash is not None,
        username=visit.user.username,
        fault=fault.fault if fault is not None else None,
        hints=fault.hints if fault is not None else (),
        wait_seconds=wait_seconds,
    )
