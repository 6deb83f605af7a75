"""/account/apps: which apps have access, what each may do, and how to take it back."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_apps.page import apps
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/apps"
FEATURE = Feature(
    name="account_apps",
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET", "POST"}), handler=account_page(apps), errors="page"),),
    account_links=(Link(label=N_("Apps with access"), path=PATH),),
)
