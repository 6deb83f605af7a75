"""/stop: whoever gets a code that they did not ask for ends it."""

from authserver.feature import Endpoint, Feature
from authserver.features.stop_code.page import stop

FEATURE = Feature(
    name="stop_code",
    endpoints=(Endpoint(path="/stop", methods=frozenset({"GET", "POST"}), handler=stop, errors="page"),),
)
