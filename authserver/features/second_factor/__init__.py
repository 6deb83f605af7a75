"""/second-factor: the code of an authenticator app, or a recovery code, after the first factor."""

from authserver.feature import Endpoint, Feature
from authserver.features.second_factor.page import check
from authserver.steps.second_factor import SECOND_FACTOR

FEATURE = Feature(
    name="second_factor",
    endpoints=(Endpoint(path=f"{SECOND_FACTOR}/*", methods=frozenset({"GET", "POST"}), handler=check, errors="page"),),
)
