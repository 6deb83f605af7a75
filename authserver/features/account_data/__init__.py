"""/account/data: take one's data along, and have the account deleted."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_data.page import data
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/data"
FEATURE = Feature(
    name="account_data",
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET", "POST"}), handler=account_page(data), errors="page"),),
    account_links=(Link(label=N_("Data and deletion"), path=PATH),),
)
