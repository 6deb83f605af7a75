"""Random secrets: enough bits, and every other spelling is another secret."""

from __future__ import annotations

import hashlib
import re

import pytest

from authserver.sealing.opaque import Prefix, hash_secret, is_secret, new_secret


@pytest.mark.attack(56)
@pytest.mark.parametrize("prefix", Prefix)
def test_a_secret_has_256_random_bits_after_its_prefix(prefix):
    secrets = {new_secret(prefix) for _ in range(200)}
    assert len(secrets) == 200
    assert all(re.fullmatch(prefix + r"[A-Za-z0-9_-]{43}", secret) for secret in secrets)
    columns = zip(*(secret.removeprefix(prefix)[:42] for secret in secrets), strict=True)
    assert all(len(set(column)) > 30 for column in columns), "no character may be fixed, or nearly"


def test_prefixes_differ_so_that_one_kind_is_never_taken_for_another():
    assert len(set(Prefix)) == len(Prefix)
    assert "asr_" not in set(Prefix), "refresh tokens have their own form"


def test_a_secret_is_kept_as_sha_256():
    assert hash_secret("asc_x") == hashlib.sha256(b"asc_x").digest() == hash_secret(b"asc_x")


@pytest.mark.attack(31)
def test_only_the_very_same_text_is_the_secret():
    secret = new_secret(Prefix.CLIENT_SECRET)
    stored = hash_secret(secret)
    assert is_secret(secret, stored)
    others = [*(secret[:-count] for count in range(1, len(secret))), secret + "=", secret + "A", secret.swapcase(), ""]
    assert not any(is_secret(other, stored) for other in others)
