"""/login: sign in with a password or a passkey, for an app's sign-in under way or just so (OIDC Core §3.1.2.3)."""

from authserver.feature import Endpoint, Feature
from authserver.features.login.page import login

_METHODS = frozenset({"GET", "POST"})
FEATURE = Feature(
    name="login",
    endpoints=(
        Endpoint(path="/login", methods=_METHODS, handler=login, errors="page"),
        Endpoint(path="/login/*", methods=_METHODS, handler=login, errors="page"),
    ),
)
