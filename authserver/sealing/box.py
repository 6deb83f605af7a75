"""Seal what the database may hold but not read: AES-256-GCM under a key of the sealing key file."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VERSION: Final = 1
FRONT_BYTES: Final = 2  # version and length, before the key id
NONCE_BYTES: Final = 12  # NIST SP 800-38D §8.2.2: random, and far fewer than 2^32 seals under one key
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32


class UnsealError(Exception):
    """A sealed value does not open; the text says whether its key is missing or the value was not made for this use."""


class Box:
    """Seals under the current key, opens under any key of the ring.

    A sealed value is ``version 1 | length of key id 1 | key id | nonce 12 | ciphertext | tag 16``. Version and key id
    are authenticated too. ``purpose`` binds a value to the row it belongs to: moved elsewhere, it does not open.

    >>> box = Box({"k1": bytes(32)}, current="k1")
    >>> box.open(box.seal(b"secret", purpose="issuer|kid|ES256|sig"), purpose="issuer|kid|ES256|sig")
    b'secret'
    """

    __slots__ = ("_ciphers", "_front", "_reread", "current")

    def __init__(
        self, keys: Mapping[str, bytes], *, current: str, reread: Callable[[], Mapping[str, bytes]] | None = None
    ) -> None:
        """Take the keys by id; each is 32 bytes. Raise ValueError for a key of another size or an unknown current.

        ``reread`` reads the ring again, the current key first. It is asked when a value is sealed under a key that is
        not here: an operator has added one, and a running server needs no restart to follow. It may raise ValueError.
        """
        self._reread = reread
        self._take(keys, current)

    def _take(self, keys: Mapping[str, bytes], current: str) -> None:
        if current not in keys:
            message = f"the current sealing key {current!r} is not in the ring"
            raise ValueError(message)
        if any(len(key) != KEY_BYTES for key in keys.values()):
            message = f"a sealing key has {KEY_BYTES} bytes"
            raise ValueError(message)
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.current = current
        self._front = bytes((VERSION, len(current))) + current.encode("ascii")

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys at hand."""
        return frozenset(self._ciphers)

    def seal(self, plaintext: bytes, *, purpose: str) -> bytes:
        """Return the sealed value."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[self.current].encrypt(nonce, plaintext, self._front + purpose.encode())
        return self._front + nonce + sealed

    def open(self, sealed: bytes, *, purpose: str) -> bytes:
        """Return the plaintext, or raise :class:`UnsealError`."""
        key_id = self.key_id_of(sealed)
        cipher = self._ciphers.get(key_id) or self._find_anew(key_id)
        end = FRONT_BYTES + len(key_id)
        front, rest = sealed[:end], sealed[end:]
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], front + purpose.encode())
        except InvalidTag as error:
            message = (
                f"does not open with sealing key {key_id!r}: another key has that name, the value was altered, "
                f"or it is not meant for {purpose!r}"
            )
            raise UnsealError(message) from error

    def key_id_of(self, sealed: bytes) -> str:
        """Return the id of the key a value is sealed under; raise :class:`UnsealError` where it is no sealed value."""
        shortest = FRONT_BYTES + NONCE_BYTES + TAG_BYTES
        if len(sealed) < shortest or sealed[0] != VERSION or len(sealed) < shortest + sealed[1]:
            message = "not a sealed value of this version"
            raise UnsealError(message)
        return sealed[FRONT_BYTES : FRONT_BYTES + sealed[1]].decode("ascii", errors="replace")

    def _find_anew(self, key_id: str) -> AESGCM:
        """Return the cipher of a key that the ring has got since it was read."""
        why = ""
        if self._reread is not None:
            try:
                keys = self._reread()
                if key_id in keys:
                    self._take(keys, next(iter(keys)))
                    return self._ciphers[key_id]
            except ValueError as error:  # what was read before still holds
                why = f". It cannot be read anew: {error}"
        message = f"sealed under key {key_id!r}, which is not in the sealing key file (it has {self._known()}){why}"
        raise UnsealError(message)

    def _known(self) -> str:
        return ", ".join(sorted(self._ciphers))
