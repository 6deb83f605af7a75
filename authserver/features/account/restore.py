"""/account/restore: who asked to be deleted and signs in before that day can stay after all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.ids import parse_uuid
from authserver.steps.account import ACCOUNT, answer_done, hold_account, render_account
from authserver.steps.audit_trail import record
from authserver.steps.sign_out import end_browser
from authserver.store import users
from authserver.web.answers import redirect_answer
from authserver.web.cookies import SESSION, clear_cookie

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.account import Visit
    from authserver.web.answers import Answer


async def restore(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/restore: decision = stay | leave."""
    decision = params.get("decision") if visit.is_post and not visit.is_stale else None
    transaction = parse_uuid(params.get("transaction"))  # the app's sign-in that is under way
    if decision == "stay":
        async with call.services.engine.begin() as tx:
            await hold_account(tx, visit)
            await users.set_delete_at(tx, visit.user.id, None)
            await record(call, tx, "account_kept", user_id=visit.user.id, session_id=visit.session.id, detail={})
        log = {"user": visit.user.sub}
        if transaction is not None:
            return redirect_answer(f"/authorize/{transaction}", log=log)
        return answer_done(ACCOUNT, "account_kept", log=log)
    if decision == "leave":
        async with call.services.engine.begin() as tx:
            await end_browser(call, tx, visit.user.id, visit.session.id)
        return redirect_answer("/", clear_cookie(SESSION))
    if visit.user.delete_at is None:  # account_page lets nobody else in
        raise RuntimeError("nobody is leaving, and is asked whether to stay")
    return render_account(
        call,
        visit,
        "account/restore.html",
        title="Keep your account?",
        status=422 if visit.is_post else 200,
        problem="stale" if visit.is_stale else None,
        sign_in=transaction,
        delete_on=call.services.pages.date(visit.user.delete_at.astimezone(visit.zone).date()),
    )
