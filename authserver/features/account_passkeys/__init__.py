"""/account/passkeys: passkeys to sign in with."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_passkeys.page import passkeys
from authserver.language import N_
from authserver.passkeys import find_relying_party
from authserver.steps.account import account_page

PATH = "/account/passkeys"
FEATURE = Feature(
    name="account_passkeys",
    is_offered=lambda settings: find_relying_party(settings.issuer) is not None,
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET", "POST"}), handler=account_page(passkeys), errors="page"),),
    account_links=(Link(label=N_("Passkeys"), path=PATH),),
)
