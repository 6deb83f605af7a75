"""The page of what is kept about a person: download it, or have it deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from authserver.features.account_data.export import build_export
from authserver.language import N_
from authserver.steps.account import ask_proof, hold_account, render_account
from authserver.steps.audit_trail import record
from authserver.steps.leave import GRACE, leave
from authserver.store import audit, consents, grants, passkeys, second_factors, sessions, upstream_identities
from authserver.web.answers import NO_STORE, Answer
from authserver.web.cookies import SESSION, clear_cookie

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.account import Visit


async def data(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/data: decision = download | delete (with ``sure``)."""
    if not visit.is_recent:
        return ask_proof(
            call,
            visit,
            title="Data and deletion",
            what="To download your data or to delete your account, sign in again.",
        )
    decision = params.get("decision") if visit.is_post and not visit.is_stale else None
    if decision == "download":
        return await _download(call, visit)
    is_sure = params.get("sure") is not None
    if decision == "delete" and is_sure:
        return await _delete(call, visit)
    problem = "stale" if visit.is_stale else "unsure"
    return _page(call, visit, problem=problem if visit.is_stale or decision == "delete" else None)


async def _download(call: Call, visit: Visit) -> Answer:
    """Return everything that is kept about the person as one JSON file."""
    user_id = visit.user.id
    async with call.services.engine.begin() as tx:
        await hold_account(tx, visit)
        await record(call, tx, "data_exported", user_id=user_id, session_id=visit.session.id, detail={})
        document = build_export(
            visit.user,
            issuer=call.services.settings.issuer,
            made_at=await tx.now(),
            has_second_factor=await second_factors.has_second_factor(tx, user_id),
            passkeys=await passkeys.list_of_user(tx, user_id),
            linked=await upstream_identities.list_of_user(tx, user_id),
            browsers=await sessions.list_browsers(tx, user_id),
            given=await consents.list_of_user(tx, user_id),
            held=await grants.list_all(tx, user_id=user_id),
            events=await audit.list_all(tx, user_id=user_id, limit=10_000),
        )
    return Answer(
        headers=(
            ("content-type", "application/json"),
            ("content-disposition", 'attachment; filename="account.json"'),
            ("x-content-type-options", "nosniff"),
            *NO_STORE,
        ),
        body=json.dumps(document, indent=1, ensure_ascii=False).encode(),
        log={"user": visit.user.sub},
    )


async def _delete(call: Call, visit: Visit) -> Answer:
    async with call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        delete_at = await leave(call, tx, user)
    page = call.services.pages.render(
        "account/leaving.html",
        title="Your account will be deleted",
        delete_on=call.services.pages.date(delete_at.astimezone(visit.zone).date()),
    )
    return page.with_headers(clear_cookie(SESSION))


def _page(call: Call, visit: Visit, *, problem: str | None = None) -> Answer:
    return render_account(
        call,
        visit,
        "account/data.html",
        title=N_("Data and deletion"),
        status=422 if visit.is_post else 200,
        problem=problem,
        days=GRACE.days,
    )
