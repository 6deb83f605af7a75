"""The pages of a sign-in through another provider: the way there, the way back, and a newcomer's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.ids import parse_uuid
from authserver.language import N_
from authserver.oauth.errors import OAuthError
from authserver.oauth.second_factor_rules import PendingSignIn
from authserver.oauth.values import Prompt
from authserver.steps.account import answer_done
from authserver.steps.address_page import AddressPage, take_address
from authserver.steps.authorization import load_progress
from authserver.steps.browser_session import Started, find_browser_hash, find_signed_in, judge_visit
from authserver.steps.second_factor import SECOND_FACTOR
from authserver.steps.under_way import find_under_way
from authserver.steps.upstream import begin, claim, come_back, no_such_way
from authserver.steps.upstream_account import Linked, begin_proof, find_to_prove
from authserver.steps.upstream_page import CONNECTIONS, render_failed
from authserver.web.answers import Answer, redirect_answer

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.params import Params
    from authserver.oauth.upstream import UpstreamSignIn
    from authserver.steps.authorization import Progress
    from authserver.steps.upstream_account import Outcome

_FRESH: Final = frozenset({Prompt.LOGIN, Prompt.CREATE})


async def start(call: Call, params: Params) -> Answer:
    """Answer POST /upstream and /upstream/{transaction}: ``provider`` is where to go."""
    progress = await find_under_way(call)
    if isinstance(progress, Answer):
        return progress
    transaction_id = progress.transaction.id if progress is not None else None
    back, slug = _login(transaction_id), params.get("provider") or ""
    if problem := judge_visit(call, params):
        return render_failed(call, problem, slug=slug, back=back)
    try:
        away = await begin(call, slug, transaction_id=transaction_id, anew=await _wants_anew(call, progress))
    except OAuthError as error:
        return render_failed(call, error, slug=slug, back=back)
    return redirect_answer(away)


async def callback(call: Call, params: Params) -> Answer:
    """Answer GET /upstream/{provider}/callback (RFC 6749 §4.1.2, RFC 9207)."""
    slug = call.facts.path_parameter
    returned = await claim(call, slug, params)
    sign_in = returned.sign_in
    if sign_in is None or not returned.is_claimed:
        return render_failed(call, no_such_way(), slug=slug, back=_go_on(sign_in))
    try:
        outcome = await come_back(call, sign_in, params)
    except OAuthError as error:
        back = CONNECTIONS if sign_in.session_id is not None else _login(sign_in.transaction_id)
        return render_failed(call, error, slug=slug, back=back)
    return _answer(sign_in, outcome)


async def finish(call: Call, params: Params) -> Answer:
    """Answer GET and POST /upstream/{sign-in}/finish: a newcomer's address, which gets a code."""
    sign_in = await find_to_prove(call, parse_uuid(call.facts.path_parameter))
    if sign_in is None:
        return render_failed(call, no_such_way(), slug="", back="/login")
    asked = sign_in  # for the closure: it is one by now

    async def send(
        call: Call,
        email: str,
        *,
        browser_hash: bytes | None,  # noqa: ARG001 - the contract; it is the way's own
        transaction_id: UUID | None,  # noqa: ARG001 - the same
        app: str | None,
    ) -> MailedCode:
        return await begin_proof(call, asked, email, app=app)

    page = AddressPage(
        title=N_("Create an account"),
        explanation=N_("You have no account here yet. We send a code to your address to confirm it."),
        button=N_("Send the code"),
        begin=send,
        code_page="/verify",
    )
    progress = await _find_progress(call, sign_in)
    return await take_address(call, params, page, progress, suggested=sign_in.email or "")


def _answer(sign_in: UpstreamSignIn, outcome: Outcome) -> Answer:
    """Go on: to the app, to the second factor, to the account page, or to a newcomer's address."""
    if isinstance(outcome, Linked):
        return answer_done(CONNECTIONS, "linked", log={"user": outcome.user.sub})
    if isinstance(outcome, PendingSignIn):
        return redirect_answer(f"{SECOND_FACTOR}/{outcome.id}", log={"user": str(outcome.user_id)})
    if isinstance(outcome, Started):
        back = f"/authorize/{sign_in.transaction_id}" if sign_in.transaction_id is not None else "/"
        return redirect_answer(back, *outcome.headers, log={"user": str(outcome.session.user_id)})
    return redirect_answer(f"/upstream/{outcome.sign_in.id}/finish")


async def _wants_anew(call: Call, progress: Progress | None) -> bool:
    """Tell whether the provider is to ask for a fresh proof: an app wants one, or somebody is signed in already."""
    if progress is not None:
        request = progress.request
        return progress.signed_in is not None or request.max_age is not None or bool(_FRESH & set(request.prompt))
    async with call.services.engine.begin() as tx:
        return await find_signed_in(call, tx) is not None


async def _find_progress(call: Call, sign_in: UpstreamSignIn) -> Progress | None:
    """Return the app's sign-in that a newcomer came from; None where there is none, or it took too long."""
    if sign_in.transaction_id is None:
        return None
    try:
        return await load_progress(call, str(sign_in.transaction_id), find_browser_hash(call))
    except OAuthError:
        return None


def _go_on(sign_in: UpstreamSignIn | None) -> str:
    """Return where a return goes on that was used before: to what it led to, if it led anywhere."""
    if sign_in is None:
        return "/login"
    if sign_in.session_id is not None:
        return CONNECTIONS
    return f"/authorize/{sign_in.transaction_id}" if sign_in.transaction_id is not None else "/login"


def _login(transaction_id: UUID | None) -> str:
    return f"/login/{transaction_id}" if transaction_id is not None else "/login"
