"""/account/email: another address, which counts once a code sent to it has come back."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_email.page import confirm, email
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/email"
_METHODS = frozenset({"GET", "POST"})
FEATURE = Feature(
    name="account_email",
    endpoints=(
        Endpoint(path=PATH, methods=_METHODS, handler=account_page(email), errors="page"),
        # a code is its user's and its browser's, so the form need not say whose it is
        Endpoint(path=f"{PATH}/*", methods=_METHODS, handler=account_page(confirm, says_who=False), errors="page"),
    ),
    account_links=(Link(label=N_("E-mail address"), path=PATH),),
)
