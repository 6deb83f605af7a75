"""The profile page: one form; all that is wrong with it is said at once, beside its field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import LANGUAGES, N_
from authserver.operations.profile_rules import CLAIMS, ProfileError, parse_profile
from authserver.steps.account import answer_done, hold_account, render_account
from authserver.steps.profile import change_profile
from authserver.web.cookies import LANGUAGE, clear_cookie

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import User
    from authserver.steps.account import Visit
    from authserver.web.answers import Answer

_DONE: Final = {"profile_saved": N_("Your profile is saved.")}


async def profile(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/profile; a form has every claim, an empty one takes it away."""
    if not visit.is_post:
        return _page(call, visit, _spell(visit.user), {})
    values = {claim: params.get(claim) or "" for claim in CLAIMS}
    if visit.is_stale:
        return _page(call, visit, values, {}, problem="stale")
    try:
        changes = parse_profile(values, call.now.date())
    except ProfileError as error:
        return _page(call, visit, values, error.problems, problem="fields")
    async with call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        await change_profile(call, tx, user, changes, session_id=visit.session.id)
    # the account's language is the newest word on it, so it holds in this browser too
    headers = [clear_cookie(LANGUAGE)] if changes["locale"] != visit.user.locale else []
    return answer_done(call.facts.path, "profile_saved", *headers, log={"user": visit.user.sub})


def _page(
    call: Call, visit: Visit, values: Mapping[str, str], problems: Mapping[str, str], *, problem: str | None = None
) -> Answer:
    others = {values["locale"]: values["locale"]} if values["locale"] and values["locale"] not in LANGUAGES else {}
    return render_account(
        call,
        visit,
        "account/profile.html",
        title="Profile",
        status=422 if problem is not None else 200,
        problem=problem,
        done=_DONE,
        values=values,
        problems=problems,
        spoken={tag: language.name for tag, language in LANGUAGES.items()} | others,
    )


def _spell(user: User) -> Mapping[str, str]:
    """Return the claims as the form's fields have them."""
    known = {claim: getattr(user, claim) for claim in CLAIMS}
    return {claim: "" if value is None else str(value) for claim, value in known.items()}
