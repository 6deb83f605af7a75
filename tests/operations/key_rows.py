"""What tests of signing keys share: a ring that opens them, RSA keys that are made once, and time that passes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric import rsa

from authserver.jose import keyring
from authserver.sealing.box import Box
from authserver.store import signing_keys

BOX = Box({"k1": b"k" * 32}, current="k1")


@cache
def _rsa_key(_number):
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def make_rsa_quick(monkeypatch):
    """Make each RSA key once for all tests: what is tested is when keys sign, not their primes."""
    numbers = itertools.count()
    quick = SimpleNamespace(RSAPrivateKey=rsa.RSAPrivateKey, generate_private_key=lambda **_: _rsa_key(next(numbers)))
    monkeypatch.setattr(keyring, "rsa", quick)


async def rows(operator):
    async with operator.engine.read() as tx:
        return await signing_keys.list_all(tx)


async def age(operator, by):
    """Let every key be older: the database's clock is its own."""
    async with operator.engine.begin() as tx:
        for row in await signing_keys.list_all(tx):
            times = {name: getattr(row, name) for name in ("publish_at", "sign_from", "sign_until", "drop_at")}
            moved = {name: time - by for name, time in times.items() if time is not None}
            await signing_keys.update(tx, replace(row, **moved))


def states(listings):
    return [(listing.key.alg, listing.key.generation, listing.state) for listing in listings]
