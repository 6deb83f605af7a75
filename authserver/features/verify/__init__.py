"""/verify: the code from the mail that proves an address, of a new account or of one that stands (DESIGN §2)."""

from authserver.feature import Endpoint, Feature
from authserver.features.verify.page import verify, verify_code

_METHODS = frozenset({"GET", "POST"})
FEATURE = Feature(
    name="verify",
    endpoints=(
        Endpoint(path="/verify", methods=_METHODS, handler=verify, errors="page"),
        Endpoint(path="/verify/*", methods=_METHODS, handler=verify_code, errors="page"),
    ),
)
