"""The login page: one form for password and passkey, with or without a sign-in of an app under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.interaction import Login
from authserver.oauth.second_factor_rules import PendingSignIn
from authserver.phases import UnavailableError
from authserver.steps.browser_session import (
    find_signed_in,
    form_token,
    judge_visit,
    open_browser,
)
from authserver.steps.login import prove_by_password, sign_in
from authserver.steps.passkeys import ask_sign_in, sign_in_by_passkey, signal_unknown
from authserver.steps.provider_buttons import find_buttons
from authserver.steps.second_factor import SECOND_FACTOR
from authserver.steps.under_way import find_under_way, page_values
from authserver.web.answers import Answer, redirect_answer
from authserver.web.pages import Link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.authorization import Progress
    from authserver.steps.browser_session import Started

_PROBLEMS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.PASSWORD_WRONG: ("wrong", 422),
    Refusal.PARAMETER_TOO_LONG: ("too_long", 400),
    Refusal.THROTTLED: ("throttled", 429),
    Refusal.USER_DISABLED: ("disabled", 403),
    Refusal.PASSKEY_UNKNOWN: ("passkey_unknown", 422),
    Refusal.PASSKEY_CHALLENGE: ("stale", 422),
    Refusal.PASSKEY_OF_ANOTHER: ("passkey_refused", 422),
    Refusal.PASSKEY_ORIGIN: ("passkey_refused", 422),
    Refusal.PASSKEY_UNPROVEN: ("passkey_refused", 422),
    Refusal.PASSKEY_UNVERIFIED: ("passkey_refused", 422),
    Refusal.PASSKEY_COPIED: ("passkey_refused", 422),
    Refusal.PARAMETER_MALFORMED: ("passkey_refused", 422),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the page shows again after a problem; never the password."""

    username: str = ""
    shared_computer: bool = False
    is_signed_in: bool = False


async def login(call: Call, params: Params) -> Answer:
    """Answer GET and POST of /login and of /login/{transaction}."""
    progress = await find_under_way(call)
    if isinstance(progress, Answer):
        return progress
    if call.facts.method == "POST":
        form = Form(username=params.get("username") or "", shared_computer=params.get("shared_computer") is not None)
        return await _submit(call, params, form, progress)
    if progress is None:
        return _page(call, await _begin_again(call) if "again" in params else Form(), None)
    if not isinstance(progress.step, Login) and "switch" not in params:
        return _already_signed_in(call, progress)
    return _page(call, Form(username=progress.request.login_hint or ""), progress)


async def _begin_again(call: Call) -> Form:
    """Return the form for somebody who is signed in and is to prove it once more, before a change to the account."""
    async with call.services.engine.begin() as tx:
        signed_in = await find_signed_in(call, tx)
    if signed_in is None:
        return Form()
    return Form(username=signed_in.user.username, shared_computer=signed_in.session.shared_computer, is_signed_in=True)


async def _submit(call: Call, params: Params, form: Form, progress: Progress | None) -> Answer:
    """Check where the form comes from, then who fills it in; whatever is wrong shows the page again."""
    passkey, password = params.get("passkey"), params.get("password")
    gap = _find_gap(form.username, password) if passkey is None else None
    if problem := judge_visit(call, params) or gap:
        return _page(call, form, progress, problem=problem, status=403 if problem == "cookies" else 422)
    try:
        started = await _sign_in(call, form, progress, passkey=passkey, password=password or "")
    except OAuthError as error:
        if error.refusal not in _PROBLEMS:
            raise
        problem, status = _PROBLEMS[error.refusal]
        signal = signal_unknown(call, passkey) if error.refusal is Refusal.PASSKEY_UNKNOWN and passkey else None
        page = _page(
            call, form, progress, problem=problem, status=status, wait_seconds=error.retry_after, signal=signal
        )
        return page.with_refusal(error)
    except UnavailableError as error:
        page = _page(call, form, progress, problem="busy", status=503)
        return page.with_headers(("retry-after", str(error.retry_after)))
    if isinstance(started, PendingSignIn):
        return redirect_answer(f"{SECOND_FACTOR}/{started.id}", log={"user": str(started.user_id)})
    back = f"/authorize/{progress.transaction.id}" if progress is not None else "/"
    return redirect_answer(back, *started.headers, log={"user": str(started.session.user_id)})


async def _sign_in(
    call: Call, form: Form, progress: Progress | None, *, passkey: str | None, password: str
) -> Started | PendingSignIn:
    """Sign in by what the form brought: the passkey's answer where there is one, else the password."""
    transaction_id = progress.transaction.id if progress is not None else None
    if passkey is not None:
        return await sign_in_by_passkey(
            call, passkey, shared_computer=form.shared_computer, transaction_id=transaction_id
        )
    proven = await prove_by_password(call, form.username, password)
    return await sign_in(call, proven, shared_computer=form.shared_computer, transaction_id=transaction_id)


def _find_gap(username: str, password: str | None) -> str | None:
    """Return what keeps the form from being tried at all, in the page's word for it."""
    if not username:
        return "username_missing"
    return "password_missing" if not password else None


def _page(
    call: Call,
    form: Form,
    progress: Progress | None,
    *,
    problem: str | None = None,
    status: int = 200,
    wait_seconds: int = 0,
    signal: str | None = None,
) -> Answer:
    browser = open_browser(call)
    transaction_id = progress.transaction.id if progress is not None else None
    buttons = find_buttons(call, progress)
    page = call.services.pages.render(
        "login/login.html",
        title="Sign in",
        status=status,
        action=call.facts.path,
        csrf=form_token(call, browser),
        username=form.username,
        shared_computer=form.shared_computer,
        is_signed_in=form.is_signed_in,
        problem=problem,
        wait_seconds=wait_seconds,
        passkey=ask_sign_in(call, browser, transaction_id),
        signal=signal,
        links=[
            Link(
                text=call.services.pages.words(link.label),
                href=f"{link.path}/{transaction_id}" if transaction_id is not None and link.goes_on else link.path,
            )
            for feature in call.services.features
            for link in feature.login_links
            if link.is_offered(call.services)
        ],
        buttons=buttons,
        **page_values(progress, leads_away=bool(buttons.providers)),
    )
    return page.with_headers(*browser.headers)


def _already_signed_in(call: Call, progress: Progress) -> Answer:
    """Show that this browser has signed in since the page was asked for, in another tab (UX §2)."""
    user = progress.signed_in.user if progress.signed_in is not None else None
    client = progress.request.client
    return call.services.pages.render(
        "already_signed_in.html",
        title="You are signed in",
        user_name=(user.name or user.username) if user is not None else "",
        client_name=client.client_name,
        continue_url=f"/authorize/{progress.transaction.id}",
    )
