"""/: what this server is and where to go; and whether it is alive and ready."""

from authserver.feature import Endpoint, Feature
from authserver.features.home.health import livez, readyz
from authserver.features.home.page import home

_GET = frozenset({"GET"})
FEATURE = Feature(
    name="home",
    endpoints=(
        Endpoint(path="/", methods=_GET, handler=home, errors="page"),
        Endpoint(path="/livez", methods=_GET, handler=livez),
        Endpoint(path="/readyz", methods=_GET, handler=readyz),
    ),
)
