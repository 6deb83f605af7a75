"""What a browser calls itself, in the words of the person who looks at it: "Firefox on Linux"."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 300  # characters that are looked at

# The first that fits wins: everybody claims to be Mozilla, and most others to be Chrome and Safari too.
_BROWSERS: Final = (
    (re.compile(r"\bEdgA?/|\bEdgiOS/"), "Edge"),
    (re.compile(r"\bOPR/|\bOpera"), "Opera"),
    (re.compile(r"\bSamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"\bVivaldi/"), "Vivaldi"),
    (re.compile(r"\bFirefox/|\bFxiOS/"), "Firefox"),
    (re.compile(r"\bChrome/|\bCriOS/|\bChromium/"), "Chrome"),
    (re.compile(r"\bSafari/"), "Safari"),
    (re.compile(r"^curl/"), "curl"),
)
_SYSTEMS: Final = (
    (re.compile(r"\biPhone|\biPod"), "iPhone"),
    (re.compile(r"\biPad"), "iPad"),
    (re.compile(r"\bAndroid"), "Android"),
    (re.compile(r"\bWindows"), "Windows"),
    (re.compile(r"\bMac OS X|\bMacintosh"), "macOS"),
    (re.compile(r"\bCrOS"), "ChromeOS"),
    (re.compile(r"\bLinux|\bX11"), "Linux"),
)


def describe_browser(user_agent: str | None) -> str:
    """Return the browser and the system; a part that nobody can tell is left out, so the result may be empty.

    The words come from the lists above, never from the request, so they can stand in a mail.

    >>> describe_browser("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
    'Firefox on Linux'
    """
    browser, system = find_browser(user_agent)
    return f"{browser} on {system}" if browser and system else browser or system


def find_browser(user_agent: str | None) -> tuple[str, str]:
    """Return the names of the browser and the system, each '' where nobody can tell."""
    text = (user_agent or "")[:_LONGEST]
    browser = next((name for pattern, name in _BROWSERS if pattern.search(text)), "")
    return browser, next((name for pattern, name in _SYSTEMS if pattern.search(text)), "")
