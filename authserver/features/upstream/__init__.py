"""/upstream: sign in through another provider, and come back (RFC 6749 §4.1, OIDC Core §3.1)."""

from authserver.feature import Endpoint, Feature
from authserver.features.upstream.page import callback, finish, start
from authserver.steps.provider_buttons import UPSTREAM

_POST = frozenset({"POST"})
FEATURE = Feature(
    name="upstream",
    endpoints=(
        Endpoint(path=UPSTREAM, methods=_POST, handler=start, errors="page"),
        Endpoint(path=f"{UPSTREAM}/*", methods=_POST, handler=start, errors="page"),
        Endpoint(path=f"{UPSTREAM}/*/callback", methods=frozenset({"GET"}), handler=callback, errors="page"),
        Endpoint(path=f"{UPSTREAM}/*/finish", methods=frozenset({"GET", "POST"}), handler=finish, errors="page"),
    ),
)
