"""The consent page: shows what the stored request asks for, and stores what the user says to it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authserver.oauth.authorization_request import AuthorizationError
from authserver.oauth.interaction import AskConsent, consents_each_time
from authserver.oauth.scope import OIDC_SCOPES, join_scope
from authserver.steps.audit_trail import record
from authserver.steps.authorization import load_progress, respond_error
from authserver.steps.browser_session import find_browser_hash, form_token, judge_own_form, open_browser
from authserver.store import consents, transactions
from authserver.web.answers import redirect_answer
from authserver.web.csrf import foreign_form
from authserver.web.pages import ScopeLine

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import AuthorizationRequest
    from authserver.steps.authorization import Progress
    from authserver.web.answers import Answer


async def consent(call: Call, params: Params) -> Answer:
    """Answer GET and POST /consent/{transaction}."""
    try:
        progress = await load_progress(call, call.facts.path_parameter, find_browser_hash(call))
    except AuthorizationError as error:
        return respond_error(call, error.checked, error)
    back = f"/authorize/{progress.transaction.id}"
    if not isinstance(progress.step, AskConsent):
        return redirect_answer(back)  # signed out meanwhile, or allowed in another tab: ask what is next
    if call.facts.method != "POST":
        return _page(call, progress, progress.step)
    origin = judge_own_form(call, params)
    if origin == "foreign":
        raise foreign_form()
    decision = params.get("decision")
    # Another tab may have signed in somebody else, who has not seen this page (SECURITY row 101).
    was_shown_to = params.get("user") == progress.step.user.sub
    if origin == "stale" or not was_shown_to or decision not in {"allow", "deny", "switch"}:
        return _page(call, progress, progress.step, status=422)
    if decision == "switch":
        return redirect_answer(f"/login/{progress.transaction.id}?switch=1")
    await _store(call, progress, progress.step, allowed=decision == "allow")
    return redirect_answer(back, log={"client": progress.request.client.client_id, "decision": decision})


async def _store(call: Call, progress: Progress, step: AskConsent, *, allowed: bool) -> None:
    """Store the answer with the transaction, and for later requests where it may be remembered.

    What is stored is the checked request's scope, never a form's (SECURITY row 18).
    """
    request, transaction = progress.request, progress.transaction
    user_id, client_id = step.user.id, request.client.client_id
    async with call.services.engine.begin() as tx:
        if allowed:
            await transactions.consent(tx, transaction.id, user_id, request.scope, request.resources)
            if not consents_each_time(request.client, request.redirect_uri):
                await consents.merge(tx, user_id, client_id, request.scope, request.resources)
        else:
            await transactions.deny(tx, transaction.id)
        await record(
            call,
            tx,
            "consent_given" if allowed else "consent_denied",
            user_id=user_id,
            client_id=client_id,
            detail={"scope": join_scope(request.scope), "resources": " ".join(request.resources)},
        )


def _page(call: Call, progress: Progress, step: AskConsent, *, status: int = 200) -> Answer:
    request = progress.request
    client = request.client
    browser = open_browser(call)
    page = call.services.pages.render(
        "consent/consent.html",
        title="Allow access?",
        status=status,
        transaction=True,
        action=call.facts.path,
        csrf=form_token(call, browser),
        user=step.user.sub,
        user_name=step.user.name or step.user.username,
        client_name=client.client_name,
        client_host=urlsplit(request.redirect_uri).netloc or urlsplit(request.redirect_uri).scheme,
        client_verified=not client.self_registered,
        client_uri=client.client_uri,
        policy_uri=client.policy_uri,
        tos_uri=client.tos_uri,
        scopes=_lines(call, request),
        remembered=not consents_each_time(client, request.redirect_uri),
    )
    return page.with_headers(*browser.headers)


def _lines(call: Call, request: AuthorizationRequest) -> list[ScopeLine]:
    """Return what is asked, OpenID's scopes first, then each API's by its name."""
    lines = [ScopeLine(scope=scope) for scope in sorted(request.scope & OIDC_SCOPES)]
    for identifier in request.resources:
        resource = call.services.directory.find_resource(identifier)
        if resource is not None:
            lines += [ScopeLine(scope=scope, api=resource.name) for scope in sorted(request.scope & resource.scope)]
    return lines
