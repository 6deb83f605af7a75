"""/account: a person's own account at a glance, the way to its pages, and back for who wanted to leave."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account.overview import change_password, choose_look, overview, prove
from authserver.features.account.restore import restore
from authserver.language import N_
from authserver.steps.account import ACCOUNT, RESTORE, account_page

_GET = frozenset({"GET"})
FEATURE = Feature(
    name="account",
    endpoints=(
        Endpoint(path=ACCOUNT, methods=_GET, handler=account_page(overview), errors="page"),
        Endpoint(path="/account/proof", methods=frozenset({"POST"}), handler=account_page(prove), errors="page"),
        Endpoint(path="/account/look", methods=frozenset({"POST"}), handler=account_page(choose_look), errors="page"),
        Endpoint(
            path=RESTORE,
            methods=frozenset({"GET", "POST"}),
            handler=account_page(restore, leaving=True),
            errors="page",
        ),
        Endpoint(path="/.well-known/change-password", methods=_GET, handler=change_password, errors="page"),
    ),
    account_links=(Link(label=N_("Overview"), path=ACCOUNT),),
)
