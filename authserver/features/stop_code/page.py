"""The page behind "Not you?" in a mail with a code: GET shows a button and changes nothing, POST ends the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.steps.browser_session import form_token, judge_visit, open_browser
from authserver.steps.stop_code import can_stop, find_to_stop, stop_code

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.mailed_code_rules import MailedCode
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer

_TITLE: Final = N_("It was not you?")


async def stop(call: Call, params: Params) -> Answer:
    """Answer GET and POST of the address that a mail with a code names for this."""
    link = params.get("link") or ""
    code = await find_to_stop(call, link)
    is_form = call.facts.method == "POST"
    if code is None:
        return _over_page(call, "unknown", status=404)
    if not await can_stop(call, code):
        return _over_page(call, "used", status=422 if is_form else 200)
    if not is_form:
        return _ask(call, link, code)
    if problem := judge_visit(call, params):
        return _ask(call, link, code, problem=problem, status=403 if problem == "cookies" else 422)
    return _over_page(call, "stopped" if await stop_code(call, code) else "used")


def _ask(call: Call, link: str, code: MailedCode, *, problem: str | None = None, status: int = 200) -> Answer:
    browser = open_browser(call)
    page = call.services.pages.render(
        "stop_code/ask.html",
        title=_TITLE,
        status=status,
        csrf=form_token(call, browser),
        link=link,
        purpose=code.purpose.value,
        problem=problem,
    )
    return page.with_headers(*browser.headers)


def _over_page(call: Call, why: str, *, status: int = 200) -> Answer:
    problem = None if why == "stopped" else why
    return call.services.pages.render("stop_code/over.html", title=_TITLE, status=status, problem=problem, why=why)
