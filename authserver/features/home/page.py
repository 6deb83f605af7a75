"""The front page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.steps.account import ACCOUNT, RESTORE, go_on_after_sign_in
from authserver.steps.browser_session import find_signed_in, form_token, open_browser
from authserver.web.answers import redirect_answer
from authserver.web.pages import Fact, Link

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer


async def home(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /: who is signed in here, and what developers look for."""
    services = call.services
    issuer = services.settings.issuer
    async with services.engine.begin() as tx:
        signed_in = await find_signed_in(call, tx)
    if signed_in is not None and (answer := go_on_after_sign_in(call)) is not None:
        return answer
    if signed_in is not None and signed_in.user.may_sign_in and signed_in.user.delete_at is not None:
        return redirect_answer(RESTORE)
    browser = open_browser(call)
    user = signed_in.user if signed_in is not None and signed_in.user.is_active else None
    links = [link for feature in services.features for link in feature.developer_links]
    page = services.pages.render(
        "home.html",
        title="Authorization server",
        user_name=(user.name or user.username) if user is not None else None,
        sign_in="/login",
        sign_out="/end_session",
        csrf=form_token(call, browser),
        account_links=[Link(text=services.pages.words("Your account"), href=ACCOUNT)] if user is not None else [],
        endpoints=[
            Link(text=services.pages.words("Issuer"), href=issuer),
            *(Link(text=services.pages.words(link.label), href=issuer + link.path) for link in links),
        ],
        demo=[Fact(name=line.name, value=line.value, href=line.href) for line in services.demo],
    )
    return page.with_headers(*browser.headers)
