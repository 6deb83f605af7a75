"""/account/password: another password, by whoever knows the one there is."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_password.page import password
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/password"
FEATURE = Feature(
    name="account_password",
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET", "POST"}), handler=account_page(password), errors="page"),),
    account_links=(Link(label=N_("Password"), path=PATH),),
)
