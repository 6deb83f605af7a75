"""/signup: make an account for oneself (DESIGN §2). /register sends browsers here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature, Link
from authserver.features.signup.page import send_on, sign_up
from authserver.language import N_
from authserver.settings import ClientRegistration, SignUp

if TYPE_CHECKING:
    from authserver.settings import Settings


def _is_offered(settings: Settings) -> bool:
    return settings.sign_up is not SignUp.OFF


def _is_alone(settings: Settings) -> bool:
    return _is_offered(settings) and settings.client_registration is ClientRegistration.OFF


_METHODS = frozenset({"GET", "POST"})
FEATURE = Feature(
    name="signup",
    is_offered=_is_offered,
    endpoints=(
        Endpoint(path="/signup", methods=_METHODS, handler=sign_up, errors="page"),
        Endpoint(path="/signup/*", methods=_METHODS, handler=sign_up, errors="page"),
    ),
    login_links=(
        Link(
            label=N_("Create an account"),
            path="/signup",
            goes_on=True,
            is_offered=lambda services: not services.settings.needs_invitation,
        ),
        Link(
            label=N_("You were invited? Create an account"),
            path="/signup",
            goes_on=True,
            is_offered=lambda services: services.settings.needs_invitation,
        ),
    ),
)
# Where clients cannot register, nobody else answers there.
REGISTER = Feature(
    name="register",
    is_offered=_is_alone,
    endpoints=(Endpoint(path="/register", methods=frozenset({"GET"}), handler=send_on, errors="page"),),
)
