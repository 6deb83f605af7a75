"""GET and POST /authorize, and /authorize/{id}, where every step of a sign-in comes back to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from authserver.features.authorize.code import issue_at_once, issue_code
from authserver.ids import uuid7
from authserver.oauth.authorization_request import AuthorizationError, Checked
from authserver.oauth.errors import OAuthError
from authserver.oauth.interaction import AskConsent, AskSecondFactor, Issue, Login, LoginReason, Refuse
from authserver.oauth.values import Transaction
from authserver.settings import SignUp
from authserver.steps.account import RESTORE
from authserver.steps.authorization import (
    TRANSACTION_LIFETIME,
    check_request,
    judge,
    load_progress,
    respond,
    respond_error,
)
from authserver.steps.browser_session import ask_by_get, find_browser_hash, open_browser
from authserver.steps.id_token_hint import read_hint
from authserver.steps.second_factor import SECOND_FACTOR, begin_step_up
from authserver.store import transactions
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.authorization import Progress
    from authserver.web.answers import Answer

FINISHED_AGAIN: Final = timedelta(seconds=10)  # a double click on the last step gets its answer too


async def authorize(call: Call, form: Params) -> Answer:
    """Answer GET or POST /authorize (RFC 6749 §4.1.1, OIDC Core §3.1.2.1)."""
    try:
        request = await check_request(call, form)
        hint_subject = read_hint(call, request)
    except AuthorizationError as error:
        return respond_error(call, error.checked, error)
    by_get = ask_by_get(call, form)
    if by_get is not None:
        return by_get
    browser = open_browser(call)
    issued = await issue_at_once(call, request, hint_subject)
    if issued is not None:
        return _finish(call, *issued).with_headers(*browser.headers)
    async with call.services.engine.begin() as tx:
        now = await tx.now()
        transaction = Transaction(
            id=uuid7(call.now),
            browser_hash=browser.secret_hash,
            client_id=request.client.client_id,
            parameters=urlencode(list(form)),
            created_at=now,
            expires_at=now + TRANSACTION_LIFETIME,
        )
        progress = await judge(call, tx, request, transaction, hint_subject)
        if isinstance(progress.step, Login | AskSecondFactor | AskConsent):
            await transactions.add(tx, transaction)
    return (await _answer(call, progress)).with_headers(*browser.headers)


async def resume(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /authorize/{id}: go on with a sign-in after one of its steps."""
    try:
        progress = await load_progress(call, call.facts.path_parameter, find_browser_hash(call))
    except AuthorizationError as error:
        return respond_error(call, error.checked, error)
    user = progress.signed_in.user if progress.signed_in is not None else None
    if user is not None and user.may_sign_in and user.delete_at is not None:
        return redirect_answer(f"{RESTORE}?transaction={progress.transaction.id}")  # it leads back here
    finished_at = progress.transaction.finished_at
    if finished_at is not None and progress.now >= finished_at + FINISHED_AGAIN:
        return _already_signed_in(call, progress)
    return await _answer(call, progress)


async def _answer(call: Call, progress: Progress) -> Answer:
    """Send the browser to the step that is next, or back to the client."""
    step, transaction = progress.step, progress.transaction
    if isinstance(step, Login):
        wants_account = step.reason is LoginReason.NEW_ACCOUNT and call.services.settings.sign_up is not SignUp.OFF
        page = "signup" if wants_account else "login"
        return redirect_answer(f"/{page}/{transaction.id}", log={"client": transaction.client_id})
    if isinstance(step, AskSecondFactor):
        pending = await begin_step_up(call, step.session, transaction)
        return redirect_answer(f"{SECOND_FACTOR}/{pending.id}", log={"client": transaction.client_id})
    if isinstance(step, AskConsent):
        return redirect_answer(f"/consent/{transaction.id}", log={"client": transaction.client_id})
    code = ""
    if isinstance(step, Issue):
        try:
            code = await issue_code(call, progress, step)
        except OAuthError as error:  # cut off since the step was judged: under the locks, the client hears it
            return respond_error(call, Checked.of(progress.request), error)
    return _finish(call, progress, code)


def _finish(call: Call, progress: Progress, code: str) -> Answer:
    """Send the browser back to the client: with a refusal, or with the code that has been stored."""
    step, checked = progress.step, Checked.of(progress.request)
    if isinstance(step, Refuse):
        return respond_error(call, checked, step.error)
    if not isinstance(step, Issue):
        raise TypeError("a sign-in that is not over was to be finished")
    response = checked.build_success(code, call.services.settings.issuer)
    return respond(call, progress.request.client, response, user=str(step.user.id))


def _already_signed_in(call: Call, progress: Progress) -> Answer:
    """Show that another tab has finished this sign-in (UX §2)."""
    client = progress.request.client
    user = progress.signed_in.user if progress.signed_in else None
    if user is None:
        return call.services.pages.render(
            "transaction_expired.html",
            title="Please start again",
            client_name=client.client_name,
            client_uri=client.client_uri,
        )
    return call.services.pages.render(
        "already_signed_in.html",
        title="You are signed in",
        user_name=user.name or user.username,
        client_name=client.client_name,
        continue_url=client.client_uri,
    )
