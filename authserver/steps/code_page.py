"""The page that asks for a code from the mail: one field, another code after a while, and what went wrong (UX §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import OAuthError, Refusal
from authserver.steps.browser_session import form_token, open_browser
from authserver.steps.mailed_codes import mail_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.web.answers import Answer

# What the page says for a refusal, in the word of the template, and the status it comes with.
PROBLEMS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.PARAMETER_MALFORMED: ("malformed", 422),
    Refusal.MAILED_CODE_WRONG: ("wrong", 422),
    Refusal.MAILED_CODE_EXPIRED: ("expired", 422),
    Refusal.MAILED_CODE_TRIED_TOO_OFTEN: ("tried_too_often", 422),
    Refusal.THROTTLED: ("throttled", 429),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePage:
    """What a feature's own code page is called and leads to. ``title`` and ``button`` are message ids.

    ``change`` is where another address can be given, ``is_certain`` whether the person is known to have this one: then
    the page says that the code was sent, and whether it arrived. ``by_invitation``: it says who gets one.
    ``asks_shared_computer`` is for codes that sign in.
    """

    title: str
    button: str
    change: str | None = None
    is_certain: bool = False
    by_invitation: bool = False
    asks_shared_computer: bool = False


async def render_code_page(
    call: Call,
    page: CodePage,
    code: MailedCode,
    *,
    problem: str | None = None,
    status: int = 200,
    tries_left: int = 0,
    wait_seconds: int = 0,
) -> Answer:
    """Return the page for a code. ``tries_left`` belongs to the problem *wrong*, ``wait_seconds`` to *throttled*."""
    async with call.services.engine.read() as tx:
        now = await tx.now()
        state = await mail_state(call, tx, code) if page.is_certain else None
    browser = open_browser(call)
    answer = call.services.pages.render(
        "code.html",
        title=page.title,
        status=status,
        transaction=code.transaction_id is not None,
        action=call.facts.path,
        csrf=form_token(call, browser),
        email=code.email,
        is_certain=page.is_certain,
        by_invitation=page.by_invitation,
        mail_state=state,
        button=call.services.pages.words(page.button),
        change=page.change,
        asks_shared_computer=page.asks_shared_computer,
        problem=problem,
        tries_left=tries_left,
        wait_seconds=wait_seconds,
        resend_seconds=code.wait_for_next(now),
    )
    return answer.with_headers(*browser.headers)


async def render_refused(call: Call, page: CodePage, code: MailedCode, error: OAuthError) -> Answer:
    """Return the page that says what was wrong with what was typed; raise the refusal again where no words fit it.

    ``code`` is the row as it was read after the try.
    """
    if error.refusal not in PROBLEMS:
        raise error
    problem, status = PROBLEMS[error.refusal]
    answer = await render_code_page(
        call, page, code, problem=problem, status=status, tries_left=code.tries_left, wait_seconds=error.retry_after
    )
    return answer.with_refusal(error)
