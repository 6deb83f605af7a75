"""/account/factors: an authenticator app and recovery codes, asked for at each sign-in."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_factors.page import factors
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/factors"
FEATURE = Feature(
    name="account_factors",
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET", "POST"}), handler=account_page(factors), errors="page"),),
    account_links=(Link(label=N_("Second factor"), path=PATH),),
)
