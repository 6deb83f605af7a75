"""/account/devices: where a person is signed in, and how to end that."""

from authserver.feature import Endpoint, Feature, Link
from authserver.features.account_devices.page import devices
from authserver.language import N_
from authserver.steps.account import account_page

PATH = "/account/devices"
FEATURE = Feature(
    name="account_devices",
    endpoints=(Endpoint(path=PATH, methods=frozenset({"GET", "POST"}), handler=account_page(devices), errors="page"),),
    account_links=(Link(label=N_("Devices"), path=PATH),),
)
