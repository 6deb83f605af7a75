"""A client's id and secrets: how they are made, how long they live, and how many there are at a time."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.oauth.values import AuthMethod, ClientSecret
from authserver.operations.errors import OperationError
from authserver.sealing.opaque import Prefix, hash_secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from authserver.oauth.values import Client

WITH_SECRET: Final = frozenset({AuthMethod.BASIC, AuthMethod.POST})
SECRET_LIFETIME: Final = timedelta(days=400)  # a yearly change, and a month to notice that it was forgotten
SECRET_OVERLAP: Final = timedelta(days=1)  # how long the old secret works beside the new one
MAX_LIVE_SECRETS: Final = 2
_ID_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that looks like something else
_ID_LENGTH: Final = 16
_CHOSEN_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def make_client_id() -> str:
    """Return 79 random bits that can be read out on the telephone and never look like a user's ``sub``, a UUID."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def check_client_id(client_id: str) -> None:
    """Refuse a chosen id that needs escaping somewhere, or that could be taken for a user's (RFC 9068 §5)."""
    if not _CHOSEN_ID.fullmatch(client_id) or _UUID.fullmatch(client_id):
        raise OperationError(
            "A client_id has up to 100 letters, digits, dots, hyphens and underscores, and is no UUID.",
            field="client_id",
        )


def make_secret() -> str:
    """Return 256 random bits as text."""
    return new_secret(Prefix.CLIENT_SECRET)


def record_secret(secret: str, now: datetime) -> ClientSecret:
    """Return what is stored of a secret."""
    return ClientSecret(secret_hash=hash_secret(secret), created_at=now, expires_at=now + SECRET_LIFETIME)


def fit_secrets(client: Client, now: datetime, chosen: str | None = None) -> tuple[Client, str | None]:
    """Return the client with a live secret if and only if it authenticates with one, and the secret where it is new."""
    if client.token_endpoint_auth_method not in WITH_SECRET:
        return replace(client, secrets=()), None
    if any(is_live(secret, now) for secret in client.secrets):
        return client, None
    secret = chosen or make_secret()
    return replace(client, secrets=(record_secret(secret, now),)), secret


def rotate(old: Iterable[ClientSecret], new: ClientSecret, *, overlap: timedelta) -> tuple[ClientSecret, ...]:
    """Return the secrets after a rotation: the new one, and of the old the youngest that lives, cut to the overlap.

    Older ones end at once, so that never more than ``MAX_LIVE_SECRETS`` live.
    """
    now = new.created_at
    living = sorted((secret for secret in old if is_live(secret, now)), key=lambda secret: secret.created_at)
    end = now + overlap
    kept = [
        replace(secret, expires_at=end if secret.expires_at is None else min(secret.expires_at, end))
        for secret in living[-(MAX_LIVE_SECRETS - 1) :]
        if overlap
    ]
    return (*kept, new)


def is_live(secret: ClientSecret, now: datetime) -> bool:
    """Tell whether a secret still proves its client."""
    return secret.expires_at is None or now < secret.expires_at
