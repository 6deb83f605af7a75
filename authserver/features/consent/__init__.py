"""/consent: what a user lets an app have (RFC 6749 §4.1.1 step B, OIDC Core §3.1.2.4)."""

from authserver.feature import Endpoint, Feature
from authserver.features.consent.page import consent

FEATURE = Feature(
    name="consent",
    endpoints=(Endpoint(path="/consent/*", methods=frozenset({"GET", "POST"}), handler=consent, errors="page"),),
)
