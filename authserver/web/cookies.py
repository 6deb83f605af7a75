"""The issuer's cookies: ``__Host-`` names, so that no sibling host and no plain-http page can plant one (RFC 6265bis).

Browsers treat ``http://localhost`` as trustworthy and keep ``Secure`` cookies there, which is what development needs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

LONGEST: Final = timedelta(days=400)  # a browser keeps no cookie longer (RFC 6265bis §5.5)
SESSION: Final = "__Host-session"
BROWSER: Final = "__Host-browser"  # binds a sign-in under way to the browser that began it
DEVICE: Final = "__Host-device"  # a browser in which the user has signed in before
RETURN: Final = "__Host-return"  # the account page to show after signing in
NOTICE: Final = "__Host-notice"  # a word for what has just been done, to be said once
THEME: Final = "__Host-theme"  # light or dark, where somebody would not leave it to the system
LANGUAGE: Final = "__Host-language"  # chosen on one of our pages; no secret

_ATTRIBUTES: Final = "; Path=/; Secure; HttpOnly; SameSite=Lax"


def set_cookie(name: str, value: str, lifetime: timedelta | None = None) -> tuple[str, str]:
    """Return the header that sets a cookie; without a lifetime it ends with the browser."""
    age = f"; Max-Age={int(lifetime.total_seconds())}" if lifetime is not None else ""
    return "set-cookie", f"{name}={value}{_ATTRIBUTES}{age}"


def clear_cookie(name: str) -> tuple[str, str]:
    """Return the header that makes the browser forget a cookie."""
    return "set-cookie", f"{name}={_ATTRIBUTES}; Max-Age=0"
