"""A token seen before is not verified again, and yet never believed for longer than its key or its end allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.jose import verified_tokens
from authserver.jose.compact import TokenError
from authserver.jose.jwt import sign, sign_access_token
from authserver.jose.verified_tokens import VerifiedTokens
from tests.jose.keys import ISSUER, NOW, both, ring, row

IAT = int(NOW.timestamp())
CLAIMS = {"iss": ISSUER, "sub": "u", "aud": "https://api.example", "iat": IAT, "exp": IAT + 300}


@pytest.fixture
def verifications(monkeypatch):
    """Count the signatures that are really checked."""
    seen = []
    original = verified_tokens.verify_own

    def verify_own(keyring, token, **options):
        seen.append(token)
        return original(keyring, token, **options)

    monkeypatch.setattr(verified_tokens, "verify_own", verify_own)
    return seen


def test_a_token_is_verified_once(verifications):
    cache, token = VerifiedTokens(), sign_access_token(both(), CLAIMS, now=NOW)
    assert [cache.verify(both(), token, now=NOW) for _ in range(3)] == [CLAIMS] * 3
    assert len(verifications) == 1


def test_it_is_over_at_its_end():
    cache, token = VerifiedTokens(), sign_access_token(both(), CLAIMS, now=NOW)
    cache.verify(both(), token, now=NOW + timedelta(seconds=299))
    with pytest.raises(TokenError):
        cache.verify(both(), token, now=NOW + timedelta(seconds=300))


@pytest.mark.fault("B17")
def test_it_falls_with_its_key():
    cache, token = VerifiedTokens(), sign_access_token(both(), CLAIMS, now=NOW)
    cache.verify(both(), token, now=NOW)
    with pytest.raises(TokenError):
        cache.verify(ring(replace(row("ES256"), revoked_at=NOW), row("RS256")), token, now=NOW)


@pytest.mark.attack(34)
def test_what_is_no_access_token_is_refused_each_time(verifications):
    cache, token = VerifiedTokens(), sign(both(), CLAIMS, alg="ES256", typ="JWT", now=NOW)
    for _ in range(2):
        with pytest.raises(TokenError):
            cache.verify(both(), token, now=NOW)
    assert len(verifications) == 2


@pytest.mark.attack(31)
def test_another_spelling_of_a_token_seen_is_another_token():
    cache, token = VerifiedTokens(), sign_access_token(both(), CLAIMS, now=NOW)
    cache.verify(both(), token, now=NOW)
    for other in (token + "=", token[:-1], token + "\ud800", f" {token}"):
        with pytest.raises(TokenError):
            cache.verify(both(), other, now=NOW)


def test_the_tokens_seen_longest_ago_are_forgotten(monkeypatch, verifications):
    monkeypatch.setattr(verified_tokens, "MAX_TOKENS", 2)
    cache = VerifiedTokens()
    first, second, third = (sign_access_token(both(), CLAIMS | {"sub": sub}, now=NOW) for sub in "abc")
    for token in (first, second, first, third, first):
        cache.verify(both(), token, now=NOW)
    assert verifications == [first, second, third]
    cache.verify(both(), second, now=NOW)
    assert verifications[-1] == second
