"""What an operator sets: environment ``AUTHSERVER_*`` over ``authserver.toml`` over defaults, checked whole at start.

pydantic checks and converts the values. Reading them is done here, because each error must say where its value came
from, and because a misspelt name has to stop the start; pydantic-settings overlooks unknown names in the environment.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_settings import PydanticBaseSettingsSource

PREFIX: Final = "AUTHSERVER_"
CONFIG_FILE: Final = "authserver.toml"
CONFIG_NAME: Final = "AUTHSERVER_CONFIG"
_MAX_SHOWN: Final = 80
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_HOST_AND_PORT: Final = re.compile(r"(?:\[([0-9a-f:]+)\]|([a-z0-9.-]+)):([1-9][0-9]{0,4})")


class SettingsError(Exception):
    """The settings cannot be used; the text has one line for each wrong setting."""


class ClientRegistration(StrEnum):
    """Who may register a client at /register."""

    OFF = "off"
    TOKEN = "token"  # noqa: S105 - not a secret: whoever has an initial access token
    OPEN = "open"


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


def _in_capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_in_capitals)]
Seconds = Annotated[timedelta, BeforeValidator(_parse_seconds)]
Networks = Annotated[tuple[Annotated[IpNetwork, BeforeValidator(_parse_network)], ...], BeforeValidator(_parse_list)]
Destinations = Annotated[
    tuple[Annotated[IpNetwork | Destination, BeforeValidator(_parse_destination)], ...], BeforeValidator(_parse_list)
]


def _seconds(default: int, meaning: str, *, at_least: int = 1, at_most: int) -> Any:  # noqa: ANN401 - as pydantic's Field
    return Field(
        timedelta(seconds=default),
        ge=timedelta(seconds=at_least),
        le=timedelta(seconds=at_most),
        description=meaning,
        json_schema_extra={"allowed": f"whole seconds, {at_least} to {at_most}", "unit": "seconds"},
    )


def _field(default: object, meaning: str, allowed: str, *, unit: str = "", **checks: Any) -> Any:  # noqa: ANN401 - the same
    return Field(default, description=meaning, json_schema_extra={"allowed": allowed, "unit": unit}, **checks)


class Settings(BaseSettings):
    """The settings of one server. Frozen; made by :func:`load_settings`, or in tests by naming the values."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=False)

    issuer: str = _field(
        PydanticUndefined,
        "The issuer identifier: the only source of every URL the server says (RFC 8414 §2).",
        "an https:// URL, or http:// on loopback; lower-case host, no path, no slash at the end, no query or fragment",
    )
    database_url: str = _field(
        "sqlite:///var/authserver.sqlite3",
        "Where the data lives: one SQLite file, or PostgreSQL (several hosts allowed, as libpq reads them).",
        "sqlite:///relative/path, sqlite:////absolute/path, or postgresql://user:password@host/name",
        repr=False,
    )
    sealing_key_file: Path = _field(
        Path("keys/sealing.key"),
        "The key that seals what the database may not read; made by `authserver init`.",
        "a path",
    )
    trusted_proxies: Networks = _field(
        (), "The proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.", "networks, comma-separated"
    )
    client_registration: ClientRegistration = _field(
        ClientRegistration.OFF, "Who may register clients at /register (RFC 7591).", "off, token or open"
    )
    outbound_allow: Destinations = _field(
        (),
        "What outbound requests may reach although its address is private; plain http to these too.",
        "networks and host:port, comma-separated",
    )
    outbound_ca_file: Path | None = _field(None, "One more CA for outbound https, as PEM.", "a file that can be read")
    address_limit_scale: float = _field(
        1.0,
        "Multiplies every limit per address, for users behind one NAT and for load tests.",
        "a number above 0, at most 1000000",
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
    )
    max_stale: Seconds = _seconds(
        10, "After this long without word from the database, no token is issued.", at_most=300
    )
    drain_seconds: Seconds = _seconds(
        5, "How long /readyz says no before a server that was told to stop closes its door.", at_least=0, at_most=600
    )
    log_level: LogLevel = _field("INFO", "The least important line that is logged.", "DEBUG, INFO, WARNING or ERROR")
    jwks_max_age: Seconds = _seconds(
        300,
        "How long resource servers may keep /jwks; a new key is published longer than this.",
        at_least=5,
        at_most=3600,
    )
    access_token_lifetime: Seconds = _seconds(300, "How long an access token is valid.", at_most=86_400)
    id_token_lifetime: Seconds = _seconds(300, "How long an ID token is valid.", at_most=86_400)
    authorization_code_lifetime: Seconds = _seconds(60, "How long an authorization code can be redeemed.", at_most=600)
    refresh_token_absolute_lifetime: Seconds = _seconds(
        2_592_000, "After this long a grant ends, however often it was refreshed.", at_most=315_360_000
    )
    refresh_token_idle_lifetime: Seconds = _seconds(
        86_400, "After this long without a refresh a grant ends.", at_most=315_360_000
    )
    refresh_token_grace: Seconds = _seconds(
        10, "How long after a rotation the token before it gets the same successor again.", at_least=0, at_most=60
    )
    session_absolute_lifetime: Seconds = _seconds(
        2_592_000, "After this long a browser has to sign in again.", at_most=315_360_000
    )
    session_idle_lifetime: Seconds = _seconds(
        43_200, "After this long without a request a browser has to sign in again.", at_most=315_360_000
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the values that are given and nothing else: :func:`load_settings` reads, and knows where from."""
        return (init_settings,)

    @property
    def is_on_loopback(self) -> bool:
        """Tell whether the issuer is this machine only, as in development."""
        return is_loopback_host(urlsplit(self.issuer).hostname or "")

    @field_validator("issuer")
    @classmethod
    def _check_issuer(cls, value: str) -> str:
        split = urlsplit(value)
        host = split.hostname or ""
        port = f":{split.port}" if split.port is not None else ""
        canonical = f"{split.scheme}://[{host}]{port}" if ":" in host else f"{split.scheme}://{host}{port}"
        is_default_port = split.port == {"https": 443, "http": 80}.get(split.scheme)
        is_allowed = split.scheme == "https" or (split.scheme == "http" and is_loopback_host(host))
        if not host or not is_allowed or is_default_port or value != canonical or not _is_plain(value):
            raise ValueError
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str) -> str:
        if not value.startswith(("postgresql://", "sqlite:///")) or value == "sqlite:///":
            raise ValueError
        return value

    @field_validator("outbound_ca_file")
    @classmethod
    def _check_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError
        return value

    @field_validator("refresh_token_idle_lifetime", "session_idle_lifetime")
    @classmethod
    def _check_idle(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        absolute = info.data.get(str(info.field_name).replace("_idle_", "_absolute_"))
        if absolute is not None and value > absolute:
            raise ValueError
        return value


def _is_plain(url: str) -> bool:
    return url.isascii() and all("!" <= character <= "~" for character in url) and not set(url) & set("%\\@;,'\"")


SECRETS: Final = frozenset({"database_url"})  # never shown; each may come from the file that <NAME>_FILE names
NAMES: Final = tuple(Settings.model_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One setting, for the manual and the console."""

    name: str  # of the environment variable; in authserver.toml the same in small letters without AUTHSERVER_
    default: str | None  # None: there is none, it must be set
    meaning: str
    allowed: str
    unit: str
    is_secret: bool


def describe() -> tuple[Description, ...]:
    """Return every setting in the order the manual lists them."""
    return tuple(
        Description(
            name=PREFIX + name.upper(),
            default=None if field.is_required() else _spell(field.default),
            meaning=field.description or "",
            allowed=_extra(field, "allowed"),
            unit=_extra(field, "unit"),
            is_secret=name in SECRETS,
        )
        for name, field in Settings.model_fields.items()
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """What was written for one setting, and where."""

    value: object
    origin: str


def load_settings(environ: Mapping[str, str], cwd: Path, *, defaults: Mapping[str, object] | None = None) -> Settings:
    """Read and check all settings; raise :class:`SettingsError` that names everything wrong at once.

    ``defaults`` stand in for the built-in ones (``authserver dev`` has its own). An empty environment variable counts
    as not set. Relative paths are the process's working directory's.
    """
    errors: list[str] = []
    values = {name: _Value(value, "default") for name, value in (defaults or {}).items()}
    values |= _read_file(environ, cwd, errors)
    values |= _read_environment(environ, errors)
    _read_secret_files(values, cwd, errors)
    try:
        settings = Settings(**{name: found.value for name, found in values.items() if name in NAMES})  # type: ignore[arg-type]  # pydantic checks
    except ValidationError as error:
        errors += _explain(error, values)
    else:
        if not errors:
            return settings
    raise SettingsError("\n".join(errors))


def _read_environment(environ: Mapping[str, str], errors: list[str]) -> dict[str, _Value]:
    known = {PREFIX + name.upper(): name for name in _writable_names()}
    found = {}
    for variable, value in environ.items():
        if variable in known:
            if value:
                found[known[variable]] = _Value(value, "environment")
        elif variable.upper().startswith(PREFIX) and variable != CONFIG_NAME:
            errors.append(_unknown(variable, (*known, CONFIG_NAME)))
    return found


def _read_file(environ: Mapping[str, str], cwd: Path, errors: list[str]) -> dict[str, _Value]:
    named = environ.get(CONFIG_NAME)
    path = cwd / (named or CONFIG_FILE)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            errors.append(f"{CONFIG_NAME}: there is no file {path}")
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        errors.append(f"{path}: cannot be read as TOML: {error}")
        return {}
    names = _writable_names()
    errors += [f"{path.name}: {_unknown(name, names)}" for name in table if name not in names]
    return {name: _Value(value, path.name) for name, value in table.items() if name in names}


def _read_secret_files(values: dict[str, _Value], cwd: Path, errors: list[str]) -> None:
    for secret in SECRETS:
        pointer = values.pop(f"{secret}_file", None)
        if pointer is None:
            continue
        variable = f"{PREFIX}{secret.upper()}_FILE"
        direct = values.get(secret)
        if direct is not None and direct.origin == pointer.origin:
            errors.append(f"{variable}: {PREFIX}{secret.upper()} is set too ({pointer.origin}); set one of them")
            continue
        try:
            text = (cwd / str(pointer.value)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            errors.append(
                f"{variable}: {_show(pointer.value)} ({pointer.origin}) cannot be read; allowed: a file with the value"
            )
            continue
        values[secret] = _Value(text, f"the file {pointer.value}")


def _writable_names() -> tuple[str, ...]:
    return (*NAMES, *(f"{secret}_file" for secret in sorted(SECRETS)))


def _unknown(name: str, known: Iterable[str]) -> str:
    by_capitals = {candidate.upper().removeprefix(PREFIX): candidate for candidate in known}
    nearest = difflib.get_close_matches(name.upper().removeprefix(PREFIX), by_capitals, n=1)
    return f"{name}: unknown" + (f"; did you mean {by_capitals[nearest[0]]}?" if nearest else "")


def _explain(error: ValidationError, values: Mapping[str, _Value]) -> list[str]:
    lines = {}
    for fault in error.errors(include_input=False, include_context=False, include_url=False):
        name = str(fault["loc"][0])
        allowed = _extra(Settings.model_fields[name], "allowed")
        if name.endswith("_idle_lifetime"):
            allowed += f", and not above {PREFIX}{name.replace('_idle_', '_absolute_').upper()}"
        found = values.get(name)
        if found is None:
            seen = "is not set"
        else:
            seen = f"{'the value' if name in SECRETS else _show(found.value)} ({found.origin}) is refused"
        lines[name] = f"{PREFIX}{name.upper()}: {seen}; allowed: {allowed}"
    return list(lines.values())


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _spell(value: object) -> str:
    if isinstance(value, timedelta):
        return str(int(value.total_seconds()))
    return "" if value is None or value == () else str(value)


def _extra(field: FieldInfo, key: str) -> str:
    extra = field.json_schema_extra
    return str(extra[key]) if isinstance(extra, dict) else ""
