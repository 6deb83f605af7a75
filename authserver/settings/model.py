"""Every setting with its meaning, its default and what it may be. pydantic checks and converts the values."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - pydantic reads the annotations
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import AwareDatetime, ValidationInfo, field_validator
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

from authserver.settings.mail import INBOX, Sender, Smtp, parse_sender, parse_smtp_url
from authserver.settings.types import (
    AndroidOrigins,
    Destinations,
    LogLevel,
    Networks,
    Seconds,
    is_loopback_host,
    seconds,
    setting,
)

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource


class ClientRegistration(StrEnum):
    """Who may register a client at /register."""

    OFF = "off"
    TOKEN = "token"  # noqa: S105 - not a secret: whoever has an initial access token
    OPEN = "open"


class SignUp(StrEnum):
    """Who may make an account at /signup."""

    OFF = "off"
    INVITE = "invite"  # whoever owns an address that an operator has invited
    OPEN = "open"


class Settings(BaseSettings):
    """The settings of one server. Frozen; made by :func:`load_settings`, or in tests by naming the values."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=False)

    issuer: str = setting(
        PydanticUndefined,
        "The issuer identifier: the only source of every URL the server says (RFC 8414 §2).",
        "an https:// URL, or http:// on loopback; lower-case host, no path, no slash at the end, no query or fragment",
    )
    database_url: str = setting(
        "sqlite:///var/authserver.sqlite3",
        "Where the data lives: one SQLite file, or PostgreSQL (several hosts allowed, as libpq reads them).",
        "sqlite:///relative/path, sqlite:////absolute/path, or postgresql://user:password@host/name",
        repr=False,
    )
    sealing_key_file: Path = setting(
        Path("keys/sealing.key"),
        "The keys that seal what the database may not read; made by `authserver init`.",
        "a path",
    )
    sealing_key: str | None = setting(
        None,
        "The sealing keys themselves, in place of the file: its lines, or the same with commas between.",
        "id:base64 of 32 bytes, one or several",
        repr=False,
    )
    sealing_key_plugin: str | None = setting(
        None,
        "The plug-in that wraps the sealing keys that `init` and `keys rewrap --add` make.",
        "the name of an installed entry point of authserver.sealing_key",
    )
    epoch_file: Path | None = setting(
        None,
        "Where the highest epoch served is kept, and beside it the tombstones of revoked keys; "
        "by default beside the sealing key file.",
        "a path in a folder that the server may write to and that outlives it",
    )
    smtp_url: str = setting(
        "",
        "The mail server that takes our mail. Without one mail waits in the outbox.",
        "smtp://user:password@host:587 (with ?starttls=required, offered or off, &rate=messages a second), "
        "smtps://user:password@host:465, or nothing; a password goes to another machine encrypted only",
        repr=False,
    )
    mail_from: str = setting(
        "",
        "Whom mail comes from; where not set, no-reply@ and the issuer's host.",
        "an address, or Name <address>; the address in ASCII",
    )
    trusted_proxies: Networks = setting(
        (), "The proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.", "networks, comma-separated"
    )
    client_registration: ClientRegistration = setting(
        ClientRegistration.OFF, "Who may register clients at /register (RFC 7591).", "off, token or open"
    )
    sign_up: SignUp = setting(
        SignUp.OFF,
        "Who may make an account for themselves at /signup; with `invite`, whom `authserver invitations` names.",
        "off, invite or open",
    )
    passkey_origins: AndroidOrigins = setting(
        (),
        "The organisation's Android apps whose passkeys /api takes; pages and iOS apps need no setting.",
        "android:apk-key-hash: and the SHA-256 of the app's certificate in base64url (43 characters), comma-separated",
    )
    breached_passwords_url: str | None = setting(
        None,
        "Where new passwords are looked up among leaked ones, five digits of a SHA-1 at a time; empty: nowhere.",
        "an https:// URL that the five digits are added to, as https://api.pwnedpasswords.com/range/",
    )
    legacy_jwt_until: AwareDatetime | None = setting(
        None,
        "Until when /api/refresh takes refresh tokens of the Django project that people come from.",
        "a time with its zone, as 2026-12-31T00:00:00Z",
    )
    legacy_jwt_key: str | None = setting(
        None,
        "That project's SIGNING_KEY (simplejwt, HS256 to HS512); its users were imported with --keep-ids.",
        "the key, of 16 characters or more, together with LEGACY_JWT_UNTIL",
        repr=False,
        min_length=16,
    )
    outbound_allow: Destinations = setting(
        (),
        "What outbound requests may reach although its address is private; plain http to these too.",
        "networks and host:port, comma-separated",
    )
    outbound_ca_file: Path | None = setting(
        None, "One more CA for outbound https and the mail server, as PEM.", "a file that can be read"
    )
    address_limit_scale: float = setting(
        1.0,
        "Multiplies every limit per address, for users behind one NAT and for load tests.",
        "a number above 0, at most 1000000",
        gt=0,
        le=1_000_000,
        allow_inf_nan=False,
    )
    max_stale: Seconds = seconds(10, "After this long without word from the database, no token is issued.", at_most=300)
    drain_seconds: Seconds = seconds(
        5, "How long /readyz says no before a server that was told to stop closes its door.", at_least=0, at_most=600
    )
    log_level: LogLevel = setting("INFO", "The least important line that is logged.", "DEBUG, INFO, WARNING or ERROR")
    jwks_max_age: Seconds = seconds(
        300,
        "How long resource servers may keep /jwks; a new key is published longer than this.",
        at_least=5,
        at_most=3600,
    )
    access_token_lifetime: Seconds = seconds(300, "How long an access token is valid.", at_most=86_400)
    id_token_lifetime: Seconds = seconds(300, "How long an ID token is valid.", at_most=86_400)
    authorization_code_lifetime: Seconds = seconds(60, "How long an authorization code can be redeemed.", at_most=600)
    refresh_token_absolute_lifetime: Seconds = seconds(
        2_592_000, "After this long a grant ends, however often it was refreshed.", at_most=315_360_000
    )
    refresh_token_idle_lifetime: Seconds = seconds(
        86_400, "After this long without a refresh a grant ends.", at_most=315_360_000
    )
    refresh_token_grace: Seconds = seconds(
        10, "How long after a rotation the token before it gets the same successor again.", at_least=0, at_most=60
    )
    session_absolute_lifetime: Seconds = seconds(
        2_592_000, "After this long a browser has to sign in again.", at_most=315_360_000
    )
    session_idle_lifetime: Seconds = seconds(
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

    @property
    def smtp(self) -> Smtp | None:
        """The mail server; None where mail waits, or stays in the inbox page."""
        return parse_smtp_url(self.smtp_url) if self.smtp_url not in {"", INBOX} else None

    @property
    def keeps_mail(self) -> bool:
        """Tell whether mail stays in the inbox page, as in development."""
        return self.smtp_url == INBOX

    @property
    def needs_invitation(self) -> bool:
        """Tell whether an account is made at /signup only by who was invited."""
        return self.sign_up is SignUp.INVITE

    @property
    def sender(self) -> Sender:
        """Whom mail comes from."""
        if self.mail_from:
            return parse_sender(self.mail_from)
        return Sender(name="", address=f"no-reply@{urlsplit(self.issuer).hostname}")

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

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp_url(cls, value: str, info: ValidationInfo) -> str:
        if value == INBOX:
            if not is_loopback_host(urlsplit(str(info.data.get("issuer", ""))).hostname or ""):
                raise ValueError
        elif value:
            parse_smtp_url(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _check_mail_from(cls, value: str) -> str:
        if value:
            parse_sender(value)
        return value

    @field_validator("breached_passwords_url")
    @classmethod
    def _check_breached_passwords_url(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not value.startswith(("https://", "http://")) or not value.endswith("/") or not _is_plain(value):
            raise ValueError
        return value

    @field_validator("legacy_jwt_key")
    @classmethod
    def _check_legacy_key(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("legacy_jwt_until") is None:
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


PREFIX: Final = "AUTHSERVER_"
# never shown; each may come from the file that <NAME>_FILE names
SECRETS: Final = frozenset({"database_url", "legacy_jwt_key", "smtp_url"})
HIDDEN: Final = SECRETS | {"sealing_key"}  # its _FILE is a setting of its own, which `sealing` reads
NAMES: Final = tuple(Settings.model_fields)
