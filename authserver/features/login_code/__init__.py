"""/login-code and /code: sign in with a code by mail."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.login_code.page import ask, check
from authserver.language import N_

_METHODS = frozenset({"GET", "POST"})
FEATURE = Feature(
    name="login_code",
    endpoints=(
        Endpoint(path="/login-code", methods=_METHODS, handler=ask, errors="page"),
        Endpoint(path="/login-code/*", methods=_METHODS, handler=ask, errors="page"),
        Endpoint(path="/code/*", methods=_METHODS, handler=check, errors="page"),
    ),
    login_links=(Link(label=N_("E-mail me a code"), path="/login-code", goes_on=True),),
)
