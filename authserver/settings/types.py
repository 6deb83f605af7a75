"""How single settings are written and declared: seconds, networks, destinations."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_ANDROID_ORIGIN: Final = re.compile(r"android:apk-key-hash:([A-Za-z0-9_-]{43})")
_HOST_AND_PORT: Final = re.compile(r"(?:\[([0-9a-f:]+)\]|([a-z0-9.-]+)):([1-9][0-9]{0,4})")


@dataclass(frozen=True, slots=True)
class Destination:
    """A host and port that outbound requests may reach although its address is private."""

    host: str
    port: int


IpNetwork = IPv4Network | IPv6Network


def is_loopback_host(host: str) -> bool:
    """Tell whether a URL's host means this machine: ``localhost`` or a loopback address (RFC 8252 §8.3)."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_seconds(value: object) -> object:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return timedelta(seconds=int(value))
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return timedelta(seconds=value)
    if not isinstance(value, timedelta):
        raise ValueError  # noqa: TRY004 - pydantic turns this into a fault of the setting
    return value


def _parse_list(value: object) -> object:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


def _parse_network(value: object) -> object:
    return ip_network(value) if isinstance(value, str) else value


def _parse_destination(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _HOST_AND_PORT.fullmatch(value)
    return Destination(match[1] or match[2], int(match[3])) if match else ip_network(value)


def _check_android_origin(value: str) -> str:
    """Take the base64url of a SHA-256 in its one spelling: what an app says is compared with it to the letter."""
    match = _ANDROID_ORIGIN.fullmatch(value)
    if match is None or urlsafe_b64encode(urlsafe_b64decode(match[1] + "=")).decode() != match[1] + "=":
        raise ValueError
    return value


def _in_capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_in_capitals)]
Seconds = Annotated[timedelta, BeforeValidator(_parse_seconds)]
Networks = Annotated[tuple[Annotated[IpNetwork, BeforeValidator(_parse_network)], ...], BeforeValidator(_parse_list)]
AndroidOrigins = Annotated[
    tuple[Annotated[str, AfterValidator(_check_android_origin)], ...], BeforeValidator(_parse_list)
]
Destinations = Annotated[
    tuple[Annotated[IpNetwork | Destination, BeforeValidator(_parse_destination)], ...], BeforeValidator(_parse_list)
]


def seconds(default: int, meaning: str, *, at_least: int = 1, at_most: int) -> Any:  # noqa: ANN401 - as pydantic's Field
    """Declare a lifetime or a wait: written as whole seconds, ``at_least`` to ``at_most``."""
    return Field(
        timedelta(seconds=default),
        ge=timedelta(seconds=at_least),
        le=timedelta(seconds=at_most),
        description=meaning,
        json_schema_extra={"allowed": f"whole seconds, {at_least} to {at_most}", "unit": "seconds"},
    )


def setting(default: object, meaning: str, allowed: str, *, unit: str = "", **checks: Any) -> Any:  # noqa: ANN401 - the same
    """Declare any other setting: what it means, and what the message of a fault says is allowed."""
    return Field(default, description=meaning, json_schema_extra={"allowed": allowed, "unit": unit}, **checks)
