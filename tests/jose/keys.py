"""Keys and rings for these tests, made once: an RSA key costs a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from joserfc.jwk import ECKey, OKPKey, RSAKey

from authserver.jose.keyring import Keyring, generate
from authserver.sealing.box import Box

ISSUER = "https://issuer.example"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOX = Box({"k1": b"k" * 32}, current="k1")
MAX_AGE = timedelta(seconds=300)


@cache
def row(alg, generation=1):
    """A sealed key that signs since an hour ago."""
    return generate(
        alg,
        BOX,
        issuer=ISSUER,
        generation=generation,
        publish_at=NOW - timedelta(hours=1),
        sign_from=NOW - timedelta(hours=1),
    )


def ring(*rows, box=BOX, now=NOW, previous=None):
    return Keyring.load(rows, box, issuer=ISSUER, jwks_max_age=MAX_AGE, now=now, previous=previous)


@cache
def both():
    return ring(row("ES256"), row("RS256"))


@cache
def client_key(alg):
    """A private key of a client, with the kid ``k-<alg>``."""
    parameters = {"kid": f"k-{alg}", "alg": alg, "use": "sig"}
    if alg in {"Ed25519", "EdDSA"}:
        return OKPKey.generate_key("Ed25519", parameters)
    if alg.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg], parameters)
    return RSAKey.generate_key(2048, parameters)


def public(key, **changes):
    return key.as_dict(private=False) | changes
