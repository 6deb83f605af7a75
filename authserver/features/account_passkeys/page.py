"""The passkeys page: one entry for each, with its last use and whether it is synced; add, rename, remove."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.ids import parse_uuid
from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.passkey_rules import MAX_NAME, MAX_PASSKEYS, Passkey, parse_name
from authserver.oauth.second_factor_rules import ACR_TWO_FACTORS
from authserver.passkeys import spell
from authserver.steps.account import answer_done, ask_proof, render_account
from authserver.steps.passkey_setup import add_passkey, ask_passkey, remove_passkey, rename_passkey
from authserver.steps.passkeys import get_relying_party
from authserver.store import passkeys as stored_passkeys
from authserver.store import second_factors
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.account import Visit
    from authserver.web.answers import Answer

_TITLE: Final = N_("Passkeys")
_DONE: Final = {
    "passkey_added": N_("The passkey is added. You can sign in with it from now on."),
    "passkey_renamed": N_("The passkey has its new name."),
    "passkey_removed": N_("The passkey is removed. You are signed out everywhere else."),
}
_PROBLEMS: Final[Mapping[Refusal, str]] = {
    Refusal.PARAMETER_MALFORMED: "refused",
    Refusal.PASSKEY_CHALLENGE: "stale",
    Refusal.PASSKEY_ORIGIN: "refused",
    Refusal.PASSKEY_UNPROVEN: "refused",
    Refusal.PASSKEY_UNVERIFIED: "unverified",
    Refusal.PASSKEY_KNOWN: "known",
    Refusal.PASSKEYS_TOO_MANY: "too_many",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A passkey as the page shows it; times are in words, ``last_used`` None: never."""

    id: str
    name: str
    added: str
    last_used: str | None
    is_synced: bool


async def passkeys(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/passkeys: a new ``passkey``, or decision = rename | remove of a ``passkey_id``.

    Who has an authenticator app changes passkeys only in a session that began with a second factor.
    """
    async with call.services.engine.read() as tx:
        has_app = await second_factors.has_second_factor(tx, visit.user.id)
    if not visit.is_recent or (has_app and visit.session.acr != ACR_TWO_FACTORS):
        return ask_proof(call, visit, title=_TITLE, what=N_("To see or change your passkeys, sign in again."))
    if not visit.is_post or visit.is_stale:
        return await _page(call, visit, problem="stale" if visit.is_stale else None)
    passkey = params.get("passkey")
    if passkey is not None:
        return await _add(call, visit, passkey)
    passkey_id = parse_uuid(params.get("passkey_id"))
    match params.get("decision"):
        case "rename" if passkey_id is not None:
            return await _rename(call, visit, passkey_id, params.get("name") or "")
        case "remove" if passkey_id is not None:
            is_removed = await remove_passkey(call, visit, passkey_id)
            return _answer(call, visit, "passkey_removed" if is_removed else None)
        case _:
            return redirect_answer(call.facts.path)


async def _add(call: Call, visit: Visit, text: str) -> Answer:
    try:
        await add_passkey(call, visit, text)
    except OAuthError as error:
        if error.refusal not in _PROBLEMS:
            raise
        return (await _page(call, visit, problem=_PROBLEMS[error.refusal])).with_refusal(error)
    return _answer(call, visit, "passkey_added")


async def _rename(call: Call, visit: Visit, passkey_id: UUID, text: str) -> Answer:
    name = parse_name(text)
    if name is None:
        return await _page(call, visit, problem="name", wrong=str(passkey_id))
    is_renamed = await rename_passkey(call, visit, passkey_id, name)
    return _answer(call, visit, "passkey_renamed" if is_renamed else None)


def _answer(call: Call, visit: Visit, word: str | None) -> Answer:
    log = {"user": visit.user.sub}
    return answer_done(call.facts.path, word, log=log) if word is not None else redirect_answer(call.facts.path)


async def _page(call: Call, visit: Visit, *, problem: str | None = None, wrong: str | None = None) -> Answer:
    async with call.services.engine.read() as tx:
        known = await stored_passkeys.list_of_user(tx, visit.user.id)
    return render_account(
        call,
        visit,
        "account/passkeys.html",
        title=_TITLE,
        status=422 if visit.is_post else 200,
        done=_DONE,
        problem=problem,
        passkeys=[_show(call, visit, passkey) for passkey in known],
        wrong=wrong,
        longest_name=MAX_NAME,
        most=MAX_PASSKEYS,
        passkey=ask_passkey(call, visit, known),
        signal=_signal_accepted(call, visit, known),
    )


def _show(call: Call, visit: Visit, passkey: Passkey) -> Line:
    pages, used = call.services.pages, passkey.last_used_at
    return Line(
        id=str(passkey.id),
        name=passkey.name,
        added=pages.time(passkey.created_at, visit.zone),
        last_used=pages.time(used, visit.zone) if used is not None else None,
        is_synced=passkey.backed_up,
    )


def _signal_accepted(call: Call, visit: Visit, known: Sequence[Passkey]) -> str:
    """Return what tells the browser which passkeys there are, as JSON (WebAuthn Level 3 §5.1.10.2)."""
    about = {
        "rpId": get_relying_party(call).rp_id,
        "userId": spell(visit.user.id.bytes),
        "allAcceptedCredentialIds": [spell(passkey.credential_id) for passkey in known],
    }
    return json.dumps({"method": "signalAllAcceptedCredentials", "about": about})
