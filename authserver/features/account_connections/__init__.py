"""/account/connections: accounts at other providers by which one signs in here."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_connections.page import connections
from authserver.language import N_
from authserver.steps.account import account_page
from authserver.steps.upstream_page import CONNECTIONS

FEATURE = Feature(
    name="account_connections",
    endpoints=(
        Endpoint(
            path=CONNECTIONS, methods=frozenset({"GET", "POST"}), handler=account_page(connections), errors="page"
        ),
    ),
    account_links=(
        Link(
            label=N_("Linked accounts"),
            path=CONNECTIONS,
            is_offered=lambda services: bool(services.directory.providers),
        ),
    ),
)
