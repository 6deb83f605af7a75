"""/account/activity: what happened in and to a person's account."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_activity.page import activity
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/activity"
FEATURE = Feature(
    name="account_activity",
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET"}), handler=account_page(activity), errors="page"),),
    account_links=(Link(label=N_("Activity"), path=PATH),),
)
