"""Wrap the issuer's sealing keys with an AES key that lies in a PKCS#11 token and never leaves it.

A plug-in of ``authserver.sealing_key``: copy it for another store of keys, and change what `TokenWrapper` does. It
reads its own settings from the environment: PKCS11_MODULE, PKCS11_TOKEN, PKCS11_KEY, and PKCS11_PIN or PKCS11_PIN_FILE.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.mechanisms import GCMParams

NONCE_BYTES = 12
TAG_BITS = 128
PURPOSE = b"authserver sealing key"  # what this key wraps for others does not open here


class TokenWrapper:
    """Wraps and unwraps 32 bytes: ``nonce 12 | ciphertext 32 | tag 16``, AES-256-GCM inside the token."""

    def wrap(self, key: bytes) -> bytes:
        """Return the key as only this token can read it."""
        nonce = os.urandom(NONCE_BYTES)
        with _session() as session:
            sealed = _master(session).encrypt(key, mechanism=Mechanism.AES_GCM, mechanism_param=_parameters(nonce))
        return nonce + bytes(sealed)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the key; raise where it was wrapped by another token, or altered."""
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        with _session() as session:
            return bytes(
                _master(session).decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=_parameters(nonce))
            )


def make_master() -> None:
    """Make the AES key in the token, where nothing can read it; raise where there is one of this name."""
    with _session(rw=True) as session:
        if list(
            session.get_objects({Attribute.LABEL: _setting("PKCS11_KEY"), Attribute.CLASS: ObjectClass.SECRET_KEY})
        ):
            message = f"the token holds a key {_setting('PKCS11_KEY')!r} already"
            raise FileExistsError(message)
        session.generate_key(
            KeyType.AES,
            256,
            label=_setting("PKCS11_KEY"),
            store=True,
            template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )


def _parameters(nonce: bytes) -> GCMParams:
    return GCMParams(nonce, PURPOSE, TAG_BITS)


def _master(session: pkcs11.Session) -> pkcs11.SecretKey:
    return session.get_key(object_class=ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=_setting("PKCS11_KEY"))


@contextmanager
def _session(*, rw: bool = False) -> Iterator[pkcs11.Session]:
    """Open a session for one deed: the token may be pulled out at any other time."""
    library = pkcs11.lib(_setting("PKCS11_MODULE"))
    if _process.setdefault("id", os.getpid()) != os.getpid():  # a worker: PKCS#11 begins anew after a fork
        library.reinitialize()
        _process["id"] = os.getpid()
    with library.get_token(token_label=_setting("PKCS11_TOKEN")).open(user_pin=_pin(), rw=rw) as session:
        yield session


_process: dict[str, int] = {}


def _pin() -> str:
    path = os.environ.get("PKCS11_PIN_FILE")
    return Path(path).read_text(encoding="utf-8").strip() if path else _setting("PKCS11_PIN")


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        message = f"{name} is not set"
        raise LookupError(message)
    return value


if __name__ == "__main__":
    make_master()
    sys.stdout.write("made\n")
