"""What an operator sets: environment ``AUTHSERVER_*`` over ``authserver.toml`` over defaults.

All of them are checked at the start, and every fault is named at once.
"""

from authserver.settings.description import Description, describe
from authserver.settings.mail import INBOX, Sender, Smtp
from authserver.settings.model import ClientRegistration, Settings, SignUp
from authserver.settings.reading import CONFIG_FILE, CONFIG_NAME, SettingsError, load_settings
from authserver.settings.types import Destination, IpNetwork

__all__ = [
    "CONFIG_FILE",
    "CONFIG_NAME",
    "INBOX",
    "ClientRegistration",
    "Description",
    "Destination",
    "IpNetwork",
    "Sender",
    "Settings",
    "SettingsError",
    "SignUp",
    "Smtp",
    "describe",
    "load_settings",
]
