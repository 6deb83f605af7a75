"""Where an organisation's own apps ask for this issuer's passkeys: pages of other origins, and apps without a page.

What a passkey signs names the ``origin`` that asked. Browsers and phones let an app use another host's passkeys only
after they have asked that host: a page by WebAuthn Level 3 §5.11, an app by the files that its system knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from authserver.oauth.redirect_uri import NATIVE, web_origins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from authserver.oauth.values import Client


def app_origins(client: Client, rp_id: str, android: Iterable[str]) -> tuple[str, ...]:
    """Return what ``origin`` may be in what a passkey signs for this app: its own pages, where it has redirect URIs.

    A native app has no page. iOS says the host whose passkey it is, Android the app's certificate (``android``).
    """
    native = (f"https://{rp_id}", *android) if client.application_type == NATIVE else ()
    return (*sorted(web_origins(client)), *native)


def related_origins(origins: Iterable[str], rp_id: str) -> tuple[str, ...]:
    """Return those that browsers ask this host about: neither of the host itself nor below it, which need no word.

    They look at the first few names only (§5.11.1), so nothing else may stand there.

    >>> related_origins({"https://app.example", "https://a.id.example", "http://localhost:9003"}, "id.example")
    ('https://app.example',)
    """
    return tuple(sorted(origin for origin in origins if _is_related(origin, rp_id)))


def _is_related(origin: str, rp_id: str) -> bool:
    part = urlsplit(origin)
    host = part.hostname or ""
    return part.scheme == "https" and host != rp_id and not host.endswith(f".{rp_id}")
