"""POST /language: the form in every page's footer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from authserver.language import is_offered
from authserver.steps.browser_session import judge_own_form
from authserver.web.answers import redirect_answer
from authserver.web.cookies import LANGUAGE, LONGEST, set_cookie
from authserver.web.csrf import foreign_form

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer

_OWN_ADDRESS: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")  # printable, and no other host's in any browser


async def choose(call: Call, params: Params) -> Answer:
    """Remember the language in a cookie and show the page again. An unknown language, or address, changes nothing.

    The form carries no token: it stands on pages that know no browser yet, and all a stranger's form could do is to
    change the words. One that says it comes from another site is refused all the same.
    """
    if judge_own_form(call, params) == "foreign" and call.facts.header(b"sec-fetch-site") is not None:
        raise foreign_form()
    language, back = params.get("language") or "", params.get("back") or ""
    cookies = [set_cookie(LANGUAGE, language, LONGEST)] if is_offered(language) else []
    return redirect_answer(back if _OWN_ADDRESS.fullmatch(back) else "/", *cookies)
