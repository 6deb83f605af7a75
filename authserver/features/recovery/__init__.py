"""/forgot and /reset: a new password for whoever can read the account's mail."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.recovery.page import forgot, reset, reset_link
from authserver.language import N_

_METHODS = frozenset({"GET", "POST"})
FEATURE = Feature(
    name="recovery",
    endpoints=(
        Endpoint(path="/forgot", methods=_METHODS, handler=forgot, errors="page"),
        Endpoint(path="/forgot/*", methods=_METHODS, handler=forgot, errors="page"),
        Endpoint(path="/reset", methods=_METHODS, handler=reset_link, errors="page"),
        Endpoint(path="/reset/*", methods=_METHODS, handler=reset, errors="page"),
    ),
    login_links=(Link(label=N_("Forgot your password?"), path="/forgot", goes_on=True),),
)
