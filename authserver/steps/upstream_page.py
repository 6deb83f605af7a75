"""The page that says why nothing came of a sign-in through another provider, and leads back (UX §2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from authserver.language import N_
from authserver.oauth.errors import OAuthError, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call
    from authserver.web.answers import Answer

CONNECTIONS: Final = "/account/connections"
_PROBLEMS: Final[Mapping[Refusal, tuple[str, int]]] = {
    Refusal.UPSTREAM_PROVIDER_UNKNOWN: ("gone", 404),
    Refusal.UPSTREAM_STATE: ("over", 400),
    Refusal.UPSTREAM_ISSUER: ("refused", 400),
    Refusal.UPSTREAM_DENIED: ("denied", 403),
    Refusal.UPSTREAM_REFUSED: ("refused", 502),
    Refusal.UPSTREAM_UNAVAILABLE: ("unavailable", 502),
    Refusal.UPSTREAM_TOKEN: ("refused", 502),
    Refusal.UPSTREAM_PROFILE: ("refused", 502),
    Refusal.UPSTREAM_UNKNOWN: ("unknown", 403),
    Refusal.UPSTREAM_EMAIL_KNOWN: ("email_known", 403),
    Refusal.UPSTREAM_LINKED_ELSEWHERE: ("elsewhere", 409),
    Refusal.UPSTREAM_LINK_UNVERIFIED: ("unverified", 403),
    Refusal.USER_DISABLED: ("disabled", 403),
    Refusal.SESSION_ENDED: ("signed_out", 403),
    Refusal.THROTTLED: ("throttled", 429),
}


def render_failed(call: Call, why: OAuthError | str, *, slug: str, back: str) -> Answer:
    """Return the page for a refusal, or for what is wrong with a form (``stale``, ``cookies``); ``back`` is our own.

    A refusal without words here is raised again.
    """
    log: Mapping[str, str] = {}
    if isinstance(why, OAuthError):
        if why.refusal not in _PROBLEMS:
            raise why
        problem, status = _PROBLEMS[why.refusal]
        log = {"refusal": why.refusal.value, "cause": why.description}
    else:
        problem, status = why, 403 if why == "cookies" else 422
    provider = call.services.directory.find_provider(slug)
    page = call.services.pages.render(
        "upstream/failed.html",
        title=N_("Sign in through another provider"),
        status=status,
        problem=problem,
        provider=provider.label if provider is not None else slug,
        back=back,
        is_linking=back == CONNECTIONS,
        wait_seconds=why.retry_after if isinstance(why, OAuthError) else 0,
        request_id=call.facts.request_id,
    )
    headers = why.headers if isinstance(why, OAuthError) else ()
    return replace(page.with_headers(*headers), log=log)
