"""The page of linked accounts: which there are, one more, or one less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.steps.account import answer_done, ask_proof, render_account
from authserver.steps.linked_accounts import has_other_way, unlink
from authserver.steps.provider_buttons import Button
from authserver.steps.upstream import begin
from authserver.steps.upstream_page import render_failed
from authserver.store import upstream_identities
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.upstream import Identity
    from authserver.steps.account import Visit
    from authserver.web.answers import Answer

_TITLE: Final = N_("Linked accounts")
_DONE: Final = {
    "linked": N_("The account is linked. You can sign in with it from now on."),
    "unlinked": N_("The account is not linked any more. You are signed out everywhere else."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A linked account as the page shows it; times are in words, ``last_used`` is empty where it never was."""

    provider: str
    label: str
    subject: str
    account_name: str
    since: str
    last_used: str


async def connections(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/connections: decision = link | unlink (with ``subject``) of one ``provider``."""
    decision, provider = params.get("decision"), params.get("provider") or ""
    if not visit.is_post or visit.is_stale or decision not in {"link", "unlink"}:
        return await _page(call, visit)
    if not visit.is_recent:
        return ask_proof(call, visit, title=_TITLE, what=N_("To change your linked accounts, sign in again."))
    if decision == "unlink":
        return await _unlink(call, visit, provider, params.get("subject") or "")
    try:
        away = await begin(call, provider, session_id=visit.session.id, anew=True)
    except OAuthError as error:
        return render_failed(call, error, slug=provider, back=call.facts.path)
    return redirect_answer(away, log={"user": visit.user.sub})


async def _unlink(call: Call, visit: Visit, provider: str, subject: str) -> Answer:
    try:
        was_there = await unlink(call, visit, provider, subject, label=_label(call, provider))
    except OAuthError as error:
        if error.refusal is not Refusal.UPSTREAM_LAST_WAY:
            raise
        return await _page(call, visit, problem="last_way")
    return answer_done(call.facts.path, "unlinked" if was_there else "", log={"user": visit.user.sub})


async def _page(call: Call, visit: Visit, *, problem: str | None = None) -> Answer:
    async with call.services.engine.read() as tx:
        linked = await upstream_identities.list_of_user(tx, visit.user.id)
        may_unlink = await has_other_way(tx, visit.user, linked)
    taken = {identity.provider for identity in linked}
    return render_account(
        call,
        visit,
        "account/connections.html",
        title=_TITLE,
        status=422 if visit.is_post else 200,
        problem="stale" if visit.is_stale else problem,
        done=_DONE,
        leads_away=True,
        linked=[_show(call, visit, identity) for identity in linked],
        may_unlink=may_unlink,
        is_verified=visit.user.email is None or visit.user.email_verified,
        providers=[
            Button(slug=provider.slug, label=provider.label)
            for provider in call.services.directory.providers
            if provider.slug not in taken
        ],
    )


def _show(call: Call, visit: Visit, identity: Identity) -> Shown:
    pages = call.services.pages
    used = identity.last_used_at
    return Shown(
        provider=identity.provider,
        label=_label(call, identity.provider),
        subject=identity.subject,
        account_name=identity.account_name or identity.subject,
        since=pages.date(identity.created_at.astimezone(visit.zone).date()),
        last_used=pages.time(used, visit.zone) if used is not None else "",
    )


def _label(call: Call, slug: str) -> str:
    """Return what a provider is called; one that is turned off at present goes by its slug."""
    provider = call.services.directory.find_provider(slug)
    return provider.label if provider is not None else slug
