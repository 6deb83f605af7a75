"""The signing keys of this issuer, opened once: what signs now, what /jwks says, what verifies our own tokens.

A keyring never changes: when the version row moves, the next one is loaded and takes over the keys already parsed
(an RSA key costs 29 ms). Which key signs follows from its times, so all nodes change over at the same moment.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey

from authserver.jose.compact import encode_base64url
from authserver.jose.schedule import LISTED, next_change_at, state_of
from authserver.sealing.records import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from authserver.sealing.box import Box

ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type (RFC 9068 §2.1)
RSA_BITS: Final = 2048
_SHORTEST_MAX_AGE: Final = 10  # seconds
_PUBLIC_MEMBERS: Final = {"ES256": ("kty", "crv", "x", "y"), "RS256": ("kty", "n", "e")}


class NoSigningKeyError(Exception):
    """No key signs with this algorithm now; the text says what to do."""


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A signing key, opened and parsed. ``private`` serves our signer, ``key`` is joserfc's view of the same key."""

    row: SigningKey
    key: ECKey | RSAKey
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    access_token_header: str  # the encoded protected header of RFC 9068 §2.1, made once

    @property
    def kid(self) -> str:
        """The key id, an RFC 7638 thumbprint."""
        return self.row.kid

    @property
    def alg(self) -> str:
        """The one algorithm the key is for."""
        return self.row.alg


@dataclass(frozen=True, slots=True)
class Jwks:
    """The answer of /jwks. ``max_age`` is in whole seconds."""

    body: bytes
    etag: str
    max_age: int


class Keyring:
    """The keys of the issuer at one version of the database."""

    __slots__ = ("_by_alg", "_by_kid", "_jwks", "_max_age", "issuer")

    def __init__(self, keys: Iterable[LoadedKey], *, issuer: str, jwks_max_age: timedelta) -> None:
        """Take opened keys; use :meth:`load` to open them."""
        self.issuer = issuer
        self._by_kid = {key.kid: key for key in keys}
        self._max_age = int(jwks_max_age.total_seconds())
        self._by_alg: dict[str, tuple[LoadedKey, ...]] = {}
        for key in sorted(self._by_kid.values(), key=lambda key: key.row.sign_from, reverse=True):
            self._by_alg[key.alg] = (*self._by_alg.get(key.alg, ()), key)
        self._jwks: tuple[datetime | None, Jwks] | None = None

    @classmethod
    def load(
        cls,
        rows: Iterable[SigningKey],
        box: Box,
        *,
        issuer: str,
        jwks_max_age: timedelta,
        now: datetime,
        previous: Keyring | None = None,
    ) -> Keyring:
        """Open the rows that are not dropped or revoked; raise ``UnsealError`` for one that does not open.

        Keys that ``previous`` has opened are not opened again, so a process goes on when the key file is gone.
        """
        known = previous._by_kid if previous is not None else {}  # noqa: SLF001 - its own class
        keys = []
        for row in rows:
            if state_of(row, now) not in LISTED:
                continue
            before = known.get(row.kid)
            if before is not None and before.row.sealed_private == row.sealed_private:
                keys.append(LoadedKey(row, before.key, before.private, before.access_token_header))
            else:
                keys.append(_open(row, box, issuer))
        return cls(keys, issuer=issuer, jwks_max_age=jwks_max_age)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that there are keys for, in alphabetical order."""
        return tuple(sorted(self._by_alg))

    def signing_key(self, alg: str, now: datetime) -> LoadedKey:
        """Return the key that signs now; raise :class:`NoSigningKeyError` where there is none."""
        for key in self._by_alg.get(alg, ()):  # the newest first; that one may still be waiting for its turn
            if key.row.sign_from <= now:
                return key
        message = f"no {alg} key signs at {now:%Y-%m-%d %H:%M:%S}Z. See: authserver keys list"
        raise NoSigningKeyError(message)

    def find(self, kid: str, now: datetime) -> LoadedKey | None:
        """Return a key that a token of ours may be signed with: published, signing or retired."""
        key = self._by_kid.get(kid)
        return key if key is not None and state_of(key.row, now) in LISTED else None

    def jwks(self, now: datetime) -> Jwks:
        """Return the JWK set (RFC 7517 §5): the same bytes until the next change, and a shorter max-age close to it."""
        if self._jwks is None or (self._jwks[0] is not None and self._jwks[0] <= now):
            rows = [key.row for key in self._by_kid.values() if state_of(key.row, now) in LISTED]
            body = public_jwks(rows)
            etag = f'"{encode_base64url(hashlib.sha256(body).digest()[:16])}"'
            self._jwks = (next_change_at(rows, now), Jwks(body, etag, self._max_age))
        change_at, jwks = self._jwks
        if change_at is None:
            return jwks
        until_change = max(int((change_at - now).total_seconds()), min(_SHORTEST_MAX_AGE, self._max_age))
        return jwks if until_change >= self._max_age else Jwks(jwks.body, jwks.etag, until_change)


def generate(
    alg: str, box: Box, *, issuer: str, generation: int, publish_at: datetime, sign_from: datetime
) -> SigningKey:
    """Return a new sealed key; ``alg`` is ES256 or RS256. Takes up to a second for RSA: not inside a transaction."""
    private = (
        ec.generate_private_key(ec.SECP256R1())
        if alg == "ES256"
        else rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    )
    key = _jose_key(alg, private)
    kid = key.thumbprint()  # RFC 7638
    public = {name: str(key.dict_value[name]) for name in _PUBLIC_MEMBERS[alg]}
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey(
        kid=kid,
        alg=alg,
        generation=generation,
        public_jwk=public | {"kid": kid, "alg": alg, "use": "sig"},
        sealed_private=box.seal(der, purpose=_purpose(issuer, kid, alg)),
        publish_at=publish_at,
        sign_from=sign_from,
    )


def public_jwks(rows: Iterable[SigningKey]) -> bytes:
    """Return the JWK set of these keys: public members only, in an order that every process gives alike."""
    ordered = sorted(rows, key=lambda row: (row.alg, row.generation))
    return json.dumps({"keys": [dict(row.public_jwk) for row in ordered]}, separators=(",", ":")).encode()


def public_pem(row: SigningKey) -> str:
    """Return the public key as PEM (SubjectPublicKeyInfo), for tools that read no JWK."""
    kind = ECKey if row.alg == "ES256" else RSAKey
    return kind.import_key(dict(row.public_jwk)).as_pem(private=False).decode("ascii")


def _open(row: SigningKey, box: Box, issuer: str) -> LoadedKey:
    der = box.open(row.sealed_private, purpose=_purpose(issuer, row.kid, row.alg))
    # sealed and authenticated by ourselves: checking the primes of an RSA key again costs 29 ms
    private = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        message = f"signing key {row.kid} is neither EC nor RSA"
        raise TypeError(message)
    header = {"alg": row.alg, "typ": ACCESS_TOKEN_TYPE, "kid": row.kid}
    encoded = encode_base64url(json.dumps(header, separators=(",", ":")).encode())
    return LoadedKey(row, _jose_key(row.alg, private), private, encoded)


def _jose_key(alg: str, private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> ECKey | RSAKey:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return ECKey(private, private, {"alg": alg, "use": "sig"})
    return RSAKey(private, private, {"alg": alg, "use": "sig"})


def _purpose(issuer: str, kid: str, alg: str) -> str:
    return f"{issuer}|{kid}|{alg}|sig"
