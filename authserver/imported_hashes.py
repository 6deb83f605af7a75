"""Password hashes that Django wrote, so that people keep their passwords when they are moved here.

They are verified once more and then replaced: a right password is hashed anew at the login (hasher.py). Read are the
encodings of Django's ``contrib.auth.hashers``: ``pbkdf2_sha256$``, ``argon2$``, ``bcrypt_sha256$`` and ``bcrypt$``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

MOST_ITERATIONS: Final = 10_000_000  # of PBKDF2; a row that asks for more would hold a core for minutes
MOST_MEMORY_KIB: Final = 256 * 1024  # of Argon2
MOST_PASSES: Final = 20
MOST_BCRYPT_ROUNDS: Final = 15  # as a power of two
BCRYPT_BYTES: Final = 72  # bcrypt reads no more of a password
_PBKDF2: Final = re.compile(r"pbkdf2_sha256\$([1-9][0-9]{0,8})\$([!-#%-~]{1,128})\$([A-Za-z0-9+/]{43}=)")
_ARGON2: Final = re.compile(
    r"argon2(\$argon2(?:id|i|d)\$v=19\$m=([0-9]{1,8}),t=([0-9]{1,4}),p=[0-9]{1,3}\$[A-Za-z0-9+/$]+)"
)
_BCRYPT: Final = re.compile(r"(bcrypt|bcrypt_sha256)\$(\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53})")


def is_imported(password_hash: str) -> bool:
    """Tell whether a stored hash is one of Django's; our own begin with ``$argon2id$``."""
    return password_hash.partition("$")[0] in {"pbkdf2_sha256", "argon2", "bcrypt_sha256", "bcrypt"}


def find_fault(password_hash: str) -> str | None:
    """Return why a hash cannot be imported, None where a right password will be recognised by it."""
    if match := _PBKDF2.fullmatch(password_hash):
        return "too many iterations" if int(match[1]) > MOST_ITERATIONS else None
    if match := _ARGON2.fullmatch(password_hash):
        is_huge = int(match[2]) > MOST_MEMORY_KIB or int(match[3]) > MOST_PASSES
        return "it needs more memory or passes than is allowed" if is_huge else None
    if match := _BCRYPT.fullmatch(password_hash):
        return "too many rounds" if int(match[3]) > MOST_BCRYPT_ROUNDS else None
    if is_imported(password_hash):
        return "it is not written as Django writes it"
    return f"hashes of the kind {password_hash.partition('$')[0][:30]!r} cannot be read"


def argon2_part(password_hash: str) -> str | None:
    """Return the encoded Argon2 hash inside Django's, None where it is of another kind."""
    match = _ARGON2.fullmatch(password_hash)
    return match[1] if match and find_fault(password_hash) is None else None


def verify(password_hash: str, password: bytes) -> bool:
    """Tell whether the password is the hashed one, for all kinds but Argon2; slow: for a thread.

    ``password`` is UTF-8 as it was typed, which is what Django hashed. A hash that cannot be read verifies nothing.
    """
    if find_fault(password_hash) is not None:
        return False
    if match := _PBKDF2.fullmatch(password_hash):
        return _verify_pbkdf2(password, iterations=int(match[1]), salt=match[2], digest=match[3])
    if match := _BCRYPT.fullmatch(password_hash):
        return _verify_bcrypt(password, match[2], is_prehashed=match[1] == "bcrypt_sha256")
    return False


def _verify_pbkdf2(password: bytes, *, iterations: int, salt: str, digest: str) -> bool:
    try:
        expected = base64.b64decode(digest, validate=True)
    except binascii.Error:
        return False
    return hmac.compare_digest(hashlib.pbkdf2_hmac("sha256", password, salt.encode(), iterations), expected)


def _verify_bcrypt(password: bytes, encoded: str, *, is_prehashed: bool) -> bool:
    import bcrypt  # noqa: PLC0415 - only those who were imported with it need it

    secret = hashlib.sha256(password).hexdigest().encode() if is_prehashed else password[:BCRYPT_BYTES]
    try:
        return bcrypt.checkpw(secret, encoded.encode())
    except ValueError:  # a salt that is no salt, or NUL in the password
        return False
