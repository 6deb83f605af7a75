"""GET and POST /end_session: sign out at once for a proven request, ask first for any other (§2, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.end_session import (
    Confirm,
    EndNow,
    RefuseRedirect,
    choose_client_id,
    decide_end_session,
    parse_end_session_request,
)
from authserver.steps import browser_session
from authserver.steps.audit_trail import record
from authserver.steps.browser_session import ask_by_get, find_signed_in, form_token, judge_own_form, open_browser
from authserver.steps.id_token_hint import verify_hint
from authserver.store import grants, logout_notices
from authserver.web.answers import redirect_answer
from authserver.web.cookies import SESSION, clear_cookie
from authserver.web.csrf import foreign_form
from authserver.web.pages import Link

if TYPE_CHECKING:
    from collections.abc import Iterable

    from authserver.feature import Call
    from authserver.oauth.end_session import EndSessionDecision, EndSessionRequest
    from authserver.oauth.interaction import SignedIn
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer

REASON: Final = "signed_out"
_CARRIED: Final = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """The clients that hear of a session's end, and those that held something and named no address."""

    told: frozenset[str] = frozenset()
    not_told: frozenset[str] = frozenset()


async def end_session(call: Call, params: Params) -> Answer:
    """Answer GET and POST /end_session. The app's request comes by either; our own form carries ``decision`` too."""
    request = parse_end_session_request(params)
    by_get = ask_by_get(call, params)
    if by_get is not None:
        return by_get
    async with call.services.engine.begin() as tx:
        signed_in = await find_signed_in(call, tx)
    decision = _decide(call, request, signed_in)
    if isinstance(decision, RefuseRedirect):
        raise decision.error
    if isinstance(decision, EndNow):
        return await _end(call, decision, signed_in)
    answer = params.get("decision") if call.facts.method == "POST" else None
    if answer is None or signed_in is None:
        return await _confirm(call, params, decision, signed_in)
    origin = judge_own_form(call, params)
    if origin == "foreign":
        raise foreign_form()
    if origin == "stale" or answer not in {"sign_out", "stay"}:
        return await _confirm(call, params, decision, signed_in)
    if answer == "stay":
        return redirect_answer("/")
    end_now = EndNow(session_id=decision.session.id, client=decision.client, location=decision.location)
    return await _end(call, end_now, signed_in)


def _decide(call: Call, request: EndSessionRequest, signed_in: SignedIn | None) -> EndSessionDecision:
    hint = verify_hint(call, request.id_token_hint) if request.id_token_hint is not None else None
    client_id = choose_client_id(request, hint)
    client = call.services.directory.find_client(client_id) if client_id is not None else None
    return decide_end_session(
        request,
        hint=hint,
        client=client if client is not None and client.is_active else None,
        session=signed_in.session if signed_in is not None else None,
    )


async def _end(call: Call, decision: EndNow, signed_in: SignedIn | None) -> Answer:
    """End the session, forget the cookie, and go where the decision says, or say which apps hear of it."""
    client = decision.client
    ended = await _end_session(call, decision, signed_in)
    log = {"client": client.client_id} if client is not None else {}
    if decision.location is not None:
        return redirect_answer(decision.location, clear_cookie(SESSION), log=log)
    home = client.client_uri if client is not None else None
    page = call.services.pages.render(
        "end_session/signed_out.html",
        title="You are signed out",
        told=_names(call, ended.told),
        not_told=_names(call, ended.not_told),
        back=Link(text=client.client_name, href=home) if client is not None and home is not None else None,
        sign_in="/login",
    )
    return page.with_headers(clear_cookie(SESSION))


async def _end_session(call: Call, decision: EndNow, signed_in: SignedIn | None) -> _Ended:
    """End the session and its grants in one transaction, which also writes down whom to tell."""
    session_id = decision.session_id
    if session_id is None:
        return _Ended()
    client_id = decision.client.client_id if decision.client is not None else None
    async with call.services.engine.begin() as tx:
        held = await grants.client_ids_of_session(tx, session_id)
        if await browser_session.end_session(tx, session_id, await tx.now(), REASON):
            await record(
                call,
                tx,
                "session_ended",
                user_id=signed_in.user.id if signed_in is not None else None,
                client_id=client_id,
                session_id=session_id,
                detail={"reason": REASON},
            )
        told = await logout_notices.client_ids_of_session(tx, session_id)
    if signed_in is None:  # whoever has but an ID token, such as an app, does not learn of the user's other apps
        return _Ended()
    return _Ended(told=told, not_told=frozenset(held) - told - {client_id})


def _names(call: Call, client_ids: Iterable[str]) -> list[str]:
    found = map(call.services.directory.find_client, client_ids)
    return sorted(client.client_name for client in found if client is not None)


async def _confirm(call: Call, params: Params, decision: Confirm, signed_in: SignedIn | None) -> Answer:
    if signed_in is None:  # only a session is ever confirmed
        raise RuntimeError("nobody is signed in, and a confirmation is asked for")
    client = decision.client
    async with call.services.engine.read() as tx:
        apps = await grants.client_ids_of_session(tx, decision.session.id)
    browser = open_browser(call)
    page = call.services.pages.render(
        "end_session/confirm.html",
        title="Sign out?",
        transaction=decision.location is not None,
        action="/end_session",
        csrf=form_token(call, browser),
        user_name=signed_in.user.name or signed_in.user.username,
        client_name=client.client_name if client is not None else None,
        other_apps=len(set(apps) - {client.client_id} if client is not None else apps),
        hidden=[(name, value) for name, value in params if name in _CARRIED],
    )
    return page.with_headers(*browser.headers)
