"""The sealed rows as values: ``store`` fills them, ``jose`` and ``sealing`` open them, ``operations`` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A signing key as stored. Its state follows from its times (``jose.schedule``), so nodes need not agree on it.

    ``generation`` counts the keys of one ``alg`` from 1; (alg, generation) is unique, so of two nodes that publish a
    *next* key at once only one succeeds. ``sealed_private`` is PKCS #8 DER in a :class:`~authserver.sealing.box.Box`.
    """

    kid: str  # the RFC 7638 thumbprint of the public key
    alg: str  # one of jose.schedule.ALGORITHMS
    generation: int
    public_jwk: Mapping[str, str]  # public members only, with kid, alg and use
    sealed_private: bytes
    publish_at: datetime
    sign_from: datetime
    sign_until: datetime | None = None  # None: no successor is known yet
    drop_at: datetime | None = None
    revoked_at: datetime | None = None  # a tombstone: neither published nor used again, even out of a backup


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedMaster:
    """The sealed 256-bit secret that subkeys are derived from. Tokens carry ``key_id`` (0 to 65535).

    The one with the highest ``key_id`` is current; the others still open what they made.
    """

    key_id: int
    sealed: bytes
    created_at: datetime
