"""Forms are accepted from our own pages only: a token bound to the browser, and the browser's word on the origin."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Literal, TypeAlias

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal

if TYPE_CHECKING:
    from authserver.oauth.params import Params
    from authserver.web.facts import Facts


FormOrigin: TypeAlias = Literal["own", "stale", "foreign"]


def csrf_token(key: bytes, binding: str) -> str:
    """Return the token of every form shown to the browser that holds ``binding`` (a cookie's value)."""
    return urlsafe_b64encode(hmac.digest(key, binding.encode(), hashlib.sha256)).rstrip(b"=").decode()


def judge_form(key: bytes, binding: str | None, facts: Facts, form: Params, issuer: str) -> FormOrigin:
    """Tell where a POST came from (RFC 9700 §4.7).

    ``own``: a page this server gave to this very browser. ``stale``: one of our pages by the browser's word, but its
    token is not this browser's any more (an old tab); show it again with its values. ``foreign``: anything else.
    A page whose Referrer-Policy is ``no-referrer`` sends ``Origin: null`` even to its own host; there
    ``Sec-Fetch-Site``, which no page can forge, decides.
    """
    site = facts.header(b"sec-fetch-site")
    origin = facts.header(b"origin")
    if site not in {None, "same-origin", "none"} or origin not in {None, "null", issuer}:
        return "foreign"
    if origin == "null" and site != "same-origin":
        return "foreign"
    given = form.get("csrf") or ""
    if binding is not None and hmac.compare_digest(given.encode(), csrf_token(key, binding).encode()):
        return "own"
    return "stale" if site == "same-origin" else "foreign"


def foreign_form() -> OAuthError:
    """Return the refusal of a form that is not ours."""
    return OAuthError(ErrorCode.INVALID_REQUEST, "this form was not sent from our own page", Refusal.CSRF, status=403)
