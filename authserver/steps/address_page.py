"""The page that asks for an address to send a code to: one field, and the same answer for every address (UX §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from authserver.email_address import AddressError
from authserver.oauth.errors import OAuthError, Refusal
from authserver.steps.browser_session import find_browser_hash, form_token, judge_visit, open_browser
from authserver.steps.under_way import find_before_login, page_values, where_from
from authserver.web.answers import Answer, redirect_answer

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.params import Params
    from authserver.steps.authorization import Progress


class Begin(Protocol):
    """Sends the code; raises ``AddressError`` and ``THROTTLED``."""

    async def __call__(
        self, call: Call, email: str, *, browser_hash: bytes | None, transaction_id: UUID | None, app: str | None
    ) -> MailedCode:
        """Return the code, whether or not a mail left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPage:
    """What a feature's own page says and does. ``title``, ``explanation`` and ``button`` are message ids.

    ``code_page`` is the path in front of the id of a code.
    """

    title: str
    explanation: str
    button: str
    begin: Begin
    code_page: str


async def answer_address_page(call: Call, params: Params, page: AddressPage) -> Answer:
    """Answer GET and POST, with or without a sign-in of an app under way."""
    progress = await find_before_login(call)
    if isinstance(progress, Answer):
        return progress
    return await take_address(call, params, page, progress)


async def take_address(
    call: Call, params: Params, page: AddressPage, progress: Progress | None, *, suggested: str = ""
) -> Answer:
    """Answer GET and POST where it is known which sign-in of an app is under way; ``suggested`` is filled in."""
    email = params.get("email") or ""
    if call.facts.method != "POST":
        return _render(call, page, suggested, progress)
    if problem := judge_visit(call, params):
        return _render(call, page, email, progress, problem=problem, status=403 if problem == "cookies" else 422)
    try:
        code = await page.begin(call, email, browser_hash=find_browser_hash(call), **where_from(progress))
    except AddressError:
        return _render(call, page, email, progress, problem="malformed" if email.strip() else "missing", status=422)
    except OAuthError as error:
        if error.refusal is not Refusal.THROTTLED:
            raise
        answer = _render(
            call, page, email, progress, problem="throttled", status=error.status, wait_seconds=error.retry_after
        )
        return answer.with_refusal(error)
    return redirect_answer(f"{page.code_page}/{code.id}")


def _render(
    call: Call,
    page: AddressPage,
    email: str,
    progress: Progress | None,
    *,
    problem: str | None = None,
    status: int = 200,
    wait_seconds: int = 0,
) -> Answer:
    browser = open_browser(call)
    words = call.services.pages.words
    answer = call.services.pages.render(
        "address.html",
        title=page.title,
        status=status,
        action=call.facts.path,
        csrf=form_token(call, browser),
        email=email,
        explanation=words(page.explanation),
        button=words(page.button),
        problem=problem,
        wait_seconds=wait_seconds,
        **page_values(progress),
    )
    return answer.with_headers(*browser.headers)
