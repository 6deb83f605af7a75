"""/register: apps register themselves, and look after what they registered (RFC 7591, RFC 7592)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.registration.endpoint import register
from authserver.features.registration.management import manage
from authserver.settings import ClientRegistration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _is_offered(settings: Settings) -> bool:
    return settings.client_registration is not ClientRegistration.OFF


def _metadata(settings: Settings) -> Mapping[str, object]:
    return {"registration_endpoint": f"{settings.issuer}/register"}


FEATURE = Feature(
    name="registration",
    is_offered=_is_offered,
    endpoints=(
        Endpoint(path="/register", methods=frozenset({"GET", "POST"}), handler=register, body="json"),
        Endpoint(path="/register/*", methods=frozenset({"GET", "PUT", "DELETE"}), handler=manage, body="json"),
    ),
    metadata=_metadata,
)
