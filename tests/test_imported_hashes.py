"""Django's password hashes, written by Django itself: verified once more, and replaced at the login."""

import bcrypt
import django
import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher, BCryptSHA256PasswordHasher, PBKDF2PasswordHasher

from authserver.hasher import Hasher, Verdict
from authserver.imported_hashes import find_fault, is_imported

PASSWORD = "correct hörse"
RIGHT, WRONG = Verdict(ok=True, needs_rehash=True), Verdict(ok=False, needs_rehash=False)


class QuickArgon2(Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = 1, 64, 1


class QuickBcrypt(BCryptSHA256PasswordHasher):
    rounds = 4


def make_hash(kind, password=PASSWORD):
    if not settings.configured:
        settings.configure(USE_I18N=False)
        django.setup()
    if kind == "bcrypt":  # what Django's BCryptPasswordHasher writes; it cannot make one of a long password any more
        return "bcrypt$" + bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    hasher = {"pbkdf2_sha256": PBKDF2PasswordHasher, "argon2": QuickArgon2, "bcrypt_sha256": QuickBcrypt}[kind]()
    if kind == "pbkdf2_sha256":
        return hasher.encode(password, "a-salt", iterations=1000)
    return hasher.encode(password, hasher.salt())


KINDS = ["pbkdf2_sha256", "argon2", "bcrypt_sha256", "bcrypt"]


@pytest.fixture
def hasher():
    hasher = Hasher(threads=1, memory_kib=64, passes=1)
    yield hasher
    hasher.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hash_that_django_wrote_is_verified_and_asks_to_be_replaced(hasher, kind):
    stored = make_hash(kind)
    assert stored.startswith(f"{kind}$")
    assert is_imported(stored)
    assert find_fault(stored) is None
    assert await hasher.verify(stored, PASSWORD) == RIGHT
    assert await hasher.verify(stored, PASSWORD + " ") == WRONG


@pytest.mark.parametrize("kind", KINDS)
async def test_a_password_is_hashed_as_it_was_typed_there(hasher, kind):
    decomposed = "correct ho\u0308rse"
    assert await hasher.verify(make_hash(kind, decomposed), decomposed) == RIGHT


@pytest.mark.parametrize("kind", KINDS)
async def test_a_long_password_and_an_odd_one_are_only_wrong(hasher, kind):
    for password in ("x" * 1024, "a\x00b", "\ud800", ""):
        assert await hasher.verify(make_hash(kind), password) == WRONG


async def test_a_long_password_is_verified_as_far_as_bcrypt_read_it(hasher):
    assert await hasher.verify(make_hash("bcrypt", "x" * 100), "x" * 100) == RIGHT


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param("", id="empty"),
        pytest.param("!" + "x" * 40, id="Django's unusable password"),
        pytest.param("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99", id="a hash of long ago"),
        pytest.param("pbkdf2_sha256$1000$salt", id="cut off"),
        pytest.param("pbkdf2_sha256$99999999$salt$" + "A" * 43 + "=", id="so many iterations that it holds a core"),
        pytest.param("pbkdf2_sha256$0$salt$" + "A" * 43 + "=", id="no iterations"),
        pytest.param("argon2$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$aGFzaA", id="ten gigabytes"),
        pytest.param("argon2$argon2id$nonsense", id="no Argon2"),
        pytest.param("bcrypt$$2b$31$" + "a" * 53, id="so many rounds that it holds a core"),
        pytest.param("bcrypt_sha256$$2b$04$short", id="no bcrypt"),
        pytest.param("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA", id="ours, which nobody exports"),
    ],
)
async def test_a_hash_that_cannot_be_read_is_told_and_verifies_nothing(hasher, stored):
    assert find_fault(stored) is not None
    assert await hasher.verify(stored, PASSWORD) == WRONG
