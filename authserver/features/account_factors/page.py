"""The second-factor page: what there is, a QR code and one code to confirm it, and ten recovery codes shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal
from authserver.oauth.second_factor_rules import ACR_TWO_FACTORS
from authserver.sealing.second_factor import describe_totp
from authserver.steps.account import answer_done, ask_proof, render_account
from authserver.steps.factor_setup import (
    begin_setup,
    find_factors,
    finish_setup,
    remove_factors,
    renew_recovery_codes,
)
from authserver.web.answers import redirect_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.steps.account import Visit
    from authserver.steps.factor_setup import Factors
    from authserver.web.answers import Answer

_TITLE: Final = N_("Second factor")
_DONE: Final = {
    "factor_removed": N_("The second factor is removed. You are signed out everywhere else."),
    "factor_over": N_("That took too long, or was done already. Please look at what is set here now."),
}
_PROBLEMS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.PARAMETER_MALFORMED: ("malformed", 422),
    Refusal.SECOND_FACTOR_WRONG: ("wrong", 422),
    Refusal.THROTTLED: ("throttled", 429),
}


async def factors(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/factors: decision = begin | confirm (with ``code``) | renew | remove.

    Who has a second factor changes it only in a session that has just begun with it.
    """
    found = await find_factors(call, visit.user)
    if not visit.is_recent or (found.is_set and visit.session.acr != ACR_TWO_FACTORS):
        return ask_proof(call, visit, title=_TITLE, what=N_("To see or change your second factor, sign in again."))
    decision = params.get("decision")
    if not visit.is_post or visit.is_stale or decision is None:
        return _page(call, visit, found, status=422 if visit.is_post else 200)
    try:
        return await _decide(call, visit, decision, params.get("code") or "")
    except OAuthError as error:
        if error.refusal is Refusal.SECOND_FACTOR_OVER:
            return answer_done(call.facts.path, "factor_over", log={"refusal": error.refusal.value})
        if error.refusal not in _PROBLEMS:
            raise
        problem, status = _PROBLEMS[error.refusal]
        page = _page(call, visit, found, problem=problem, status=status, wait_seconds=error.retry_after)
        return page.with_refusal(error)


async def _decide(call: Call, visit: Visit, decision: str, code: str) -> Answer:
    log = {"user": visit.user.sub}
    match decision:
        case "begin":
            await begin_setup(call, visit)
            return redirect_answer(call.facts.path, log=log)
        case "confirm":
            added = await finish_setup(call, visit, code)
            return _codes_page(call, visit, added.recovery_codes).with_headers(*added.started.headers)
        case "renew":
            return _codes_page(call, visit, await renew_recovery_codes(call, visit))
        case "remove":
            await remove_factors(call, visit)
            return answer_done(call.facts.path, "factor_removed", log=log)
        case _:
            return redirect_answer(call.facts.path)


def _page(
    call: Call,
    visit: Visit,
    found: Factors,
    *,
    problem: str | None = None,
    status: int = 200,
    wait_seconds: int = 0,
) -> Answer:
    secret = found.setup_secret
    return render_account(
        call,
        visit,
        "account/factors.html",
        title=_TITLE,
        status=status,
        done=_DONE,
        problem="stale" if visit.is_stale else problem,
        is_set=found.is_set,
        codes_left=found.recovery_codes,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)) if secret is not None else None,
        picture=_draw(call, visit, secret) if secret is not None else None,
        wait_seconds=wait_seconds,
    )


def _codes_page(call: Call, visit: Visit, codes: tuple[str, ...]) -> Answer:
    """Return the page that shows the codes, this once: nobody can read them again, here or in the database."""
    host = urlsplit(call.services.settings.issuer).netloc
    text = "\n".join((host, visit.user.username, "", *codes, ""))
    return render_account(
        call,
        visit,
        "account/recovery_codes.html",
        title=N_("Recovery codes"),
        codes=codes,
        text="\n".join(codes),
        download=f"data:text/plain;charset=utf-8,{quote(text)}",
    )


def _draw(call: Call, visit: Visit, secret: str) -> str:
    """Return the QR code as an SVG picture in a data: address."""
    import segno  # noqa: PLC0415 - only who adds an authenticator app needs it

    host = urlsplit(call.services.settings.issuer).netloc
    address = describe_totp(secret, account=visit.user.username, issuer=host)
    picture: str = segno.make(address, error="m").svg_data_uri(border=4, omitsize=True, light="#fff", dark="#000")
    return picture
