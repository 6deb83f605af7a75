"""/account/profile: what a person says of themselves (OIDC Core §5.1)."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_profile.page import profile
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/profile"
FEATURE = Feature(
    name="account_profile",
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET", "POST"}), handler=account_page(profile), errors="page"),),
    account_links=(Link(label=N_("Profile"), path=PATH),),
)
