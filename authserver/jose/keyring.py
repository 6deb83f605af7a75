"""The signing keys of this issuer, opened once: what signs now, what /jwks says, what verifies our own tokens.

A keyring never changes: when the version row moves, the next one is loaded and takes over the keys already parsed
(an RSA key costs 29 ms). Which key signs follows from its times, so all nodes change over at the same moment.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final, TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey

from authserver.jose.compact import encode_base64url
from authserver.jose.schedule import ALGORITHMS, LISTED, SKEW, next_change_at, state_of
from authserver.sealing.box import UnsealError
from authserver.sealing.records import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from joserfc.jwk import KeyParameters

    from authserver.sealing.box import Box

ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type (RFC 9068 §2.1)
RSA_BITS: Final = 2048
_SHORTEST_MAX_AGE: Final = 10  # seconds
_FRESH_ENOUGH: Final = 2.0  # seconds without word from the database that are not taken off max-age
_PUBLIC_MEMBERS: Final = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e"), "OKP": ("kty", "crv", "x")}

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
JoseKey: TypeAlias = ECKey | RSAKey | OKPKey


class NoSigningKeyError(Exception):
    """No key signs with this algorithm now; the text says what to do."""


@dataclass(frozen=True, slots=True)
class LoadedKey:
    """A signing key, opened and parsed. ``private`` serves our signer, ``key`` is joserfc's view of the same key.

    ``private`` is None, and ``key`` the public half, where this process could not open it: it is said in /jwks and
    verifies, and signs nothing here.
    """

    row: SigningKey
    key: JoseKey
    private: PrivateKey | None
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

    __slots__ = ("_by_kid", "_foreign", "_jwks", "_max_age", "_signers", "algorithms", "issuer", "sealed")

    def __init__(
        self,
        keys: Iterable[LoadedKey],
        *,
        issuer: str,
        jwks_max_age: timedelta,
        now: datetime,
        foreign: Iterable[SigningKey] = (),
    ) -> None:
        """Take opened keys; use :meth:`load` to open them. ``algorithms`` are those that a key signs with ``now``.

        ``foreign`` rows are for algorithms of a newer version than this: they are said in /jwks, for others sign with
        them, and are good for nothing here. ``sealed`` holds their kids and those of keys that could not be opened.
        """
        self.issuer = issuer
        self._foreign = tuple(foreign)
        self._by_kid = {key.kid: key for key in keys}
        self._max_age = int(jwks_max_age.total_seconds())
        self._signers: dict[str, tuple[LoadedKey, ...]] = {}
        for key in sorted(self._by_kid.values(), key=lambda key: key.row.sign_from, reverse=True):
            if key.private is not None:
                self._signers[key.alg] = (*self._signers.get(key.alg, ()), key)
        closed = [key.row for key in self._by_kid.values() if key.private is None]
        self.sealed = frozenset(row.kid for row in (*closed, *self._foreign))
        self.algorithms = tuple(alg for alg in sorted(self._signers) if self._find_signing(alg, now) is not None)
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

        Keys that ``previous`` has opened are not opened again: a kid is the thumbprint of one key, however it is sealed
        by now. So a process goes on when its key file is gone or others seal with a key that it has not got; a new key
        that it cannot open is then only published and verified with.
        """
        known = previous._by_kid if previous is not None else {}  # noqa: SLF001 - its own class
        keys, foreign = [], []
        for row in rows:
            if state_of(row, now) not in LISTED:
                continue
            if row.alg not in ALGORITHMS:
                foreign.append(row)
                continue
            before = known.get(row.kid)
            if before is not None and before.private is not None:
                keys.append(LoadedKey(row, before.key, before.private, before.access_token_header))
                continue
            try:
                keys.append(_open(row, box, issuer))
            except UnsealError:
                if previous is None:
                    raise
                keys.append(LoadedKey(row, _import_public(row), None, ""))
        return cls(keys, issuer=issuer, jwks_max_age=jwks_max_age, now=now, foreign=foreign)

    def signing_key(self, alg: str, now: datetime) -> LoadedKey:
        """Return the key that signs now; raise :class:`NoSigningKeyError` where there is none."""
        key = self._find_signing(alg, now)
        if key is None:
            message = f"no {alg} key signs at {now:%Y-%m-%d %H:%M:%S}Z. See: authserver keys list"
            raise NoSigningKeyError(message)
        return key

    def _find_signing(self, alg: str, now: datetime) -> LoadedKey | None:
        """Return the newest key whose turn it is: a retired one too, where this process has not heard of a newer one.

        Where the only one left takes its turn within the difference that clocks may have, it signs: after an emergency,
        and after ``init``, the database's clock has set its turn to now, and ours may be behind.
        """
        signers = self._signers.get(alg, ())
        for key in signers:  # the newest first; that one may still be waiting for its turn
            if key.row.sign_from <= now:
                return key if state_of(key.row, now) in LISTED else None
        return signers[-1] if signers and signers[-1].row.sign_from <= now + SKEW else None

    def find(self, kid: str, now: datetime) -> LoadedKey | None:
        """Return a key that a token of ours may be signed with: published, signing or retired."""
        key = self._by_kid.get(kid)
        return key if key is not None and state_of(key.row, now) in LISTED else None

    def jwks(self, now: datetime, *, age: float = 0.0) -> Jwks:
        """Return the JWK set (RFC 7517 §5): the same bytes until the next change, and a shorter max-age close to it.

        ``age`` is for how many seconds nobody has confirmed that these are all keys: a copy is to be kept for so much
        shorter, else a verifier might keep it longer than a key is published before it signs.
        """
        if self._jwks is None or (self._jwks[0] is not None and self._jwks[0] <= now):
            every = (*(key.row for key in self._by_kid.values()), *self._foreign)
            rows = [row for row in every if state_of(row, now) in LISTED]
            body = public_jwks(rows)
            etag = f'"{encode_base64url(hashlib.sha256(body).digest()[:16])}"'
            self._jwks = (next_change_at(rows, now), Jwks(body, etag, self._max_age))
        change_at, jwks = self._jwks
        unconfirmed = ceil(min(age, self._max_age)) if age > _FRESH_ENOUGH else 0  # for ever, where it never was
        max_age = self._max_age - unconfirmed
        if change_at is not None:
            max_age = min(max_age, int((change_at - now).total_seconds()))
        max_age = max(max_age, min(_SHORTEST_MAX_AGE, self._max_age))
        return jwks if max_age == self._max_age else Jwks(jwks.body, jwks.etag, max_age)


def generate(
    alg: str, box: Box, *, issuer: str, generation: int, publish_at: datetime, sign_from: datetime
) -> SigningKey:
    """Return a new sealed key for one of ``schedule.ALGORITHMS``. Up to a second for RSA: not inside a transaction."""
    private, key, kid = _generate_private(alg)
    public = {name: str(key.dict_value[name]) for name in _PUBLIC_MEMBERS[key.key_type]}
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
    return _import_public(row).as_pem(private=False).decode("ascii")


def purpose_of(issuer: str, row: SigningKey) -> str:
    """Return what the private part of a key is sealed for: issuer, key id, algorithm and use (DESIGN §7)."""
    return _purpose(issuer, row.kid, row.alg)


def _generate_private(alg: str) -> tuple[PrivateKey, JoseKey, str]:
    """Return a key and its kid; none that begins with a dash, which nobody in an emergency should have to quote."""
    while True:
        private = _generate_any(alg)
        key = _jose_key(alg, private)
        kid = key.thumbprint()  # RFC 7638
        if not kid.startswith("-"):
            return private, key, kid


def _generate_any(alg: str) -> PrivateKey:
    match alg:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "RS256" | "PS256":
            return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        case _:
            message = f"this server does not sign with {alg}"
            raise ValueError(message)


def _open(row: SigningKey, box: Box, issuer: str) -> LoadedKey:
    der = box.open(row.sealed_private, purpose=_purpose(issuer, row.kid, row.alg))
    # sealed and authenticated by ourselves: checking the primes of an RSA key again costs 29 ms
    private = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        message = f"signing key {row.kid} is neither EC nor RSA nor Ed25519"
        raise TypeError(message)
    header = {"alg": row.alg, "typ": ACCESS_TOKEN_TYPE, "kid": row.kid}
    encoded = encode_base64url(json.dumps(header, separators=(",", ":")).encode())
    return LoadedKey(row, _jose_key(row.alg, private), private, encoded)


def _import_public(row: SigningKey) -> JoseKey:
    # joserfc has another name for one of our algorithms: which it is for is looked up in the row
    public: dict[str, str | list[str]] = {name: row.public_jwk[name] for name in _PUBLIC_MEMBERS[row.public_jwk["kty"]]}
    match public["kty"]:
        case "EC":
            return ECKey.import_key(public)
        case "OKP":
            return OKPKey.import_key(public)
        case _:
            return RSAKey.import_key(public)


def _jose_key(alg: str, private: PrivateKey) -> JoseKey:
    parameters: KeyParameters = {"alg": alg, "use": "sig"}
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return ECKey(private, private, parameters)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return OKPKey(private, private, {"use": "sig"})  # joserfc knows EdDSA by its name of RFC 9864
    return RSAKey(private, private, parameters)


def _purpose(issuer: str, kid: str, alg: str) -> str:
    return f"{issuer}|{kid}|{alg}|sig"
