"""The issuer's public keys (RFC 7517): which of them are taken, and how one verifies a signature."""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwk
from joserfc.errors import JoseError

from authserver_verifier.jwt import UnverifiedToken, decode_segment, parse_object
from authserver_verifier.refusals import Refusal, TokenRefusedError

logger = logging.getLogger("authserver_verifier")

ALGORITHMS = frozenset({"ES256", "RS256", "PS256", "EdDSA"})
MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 8192
_MIN_RSA_EXPONENT = 65537
_RSA_EXPONENT_LIMIT = 2**32
# CVE-2017-15361 (ROCA): a modulus of the flawed generator is a power of 65537 modulo each of these primes.
_ROCA_RESIDUES = {
    prime: frozenset(pow(65537, exponent, prime) for exponent in range(prime))
    for prime in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
}
# The y of the points of Ed25519 whose order divides 8: with one as the key, anybody makes signatures for it.
_FIELD = 2**255 - 19
_WEAK_Y = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# A key without `alg` serves one algorithm all the same: never one key for two (RFC 8725 §3.1).
_ALGORITHM_OF = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA", ("RSA", None): "RS256"}
_SHA256 = SHA256()
_ES256 = ECDSA(_SHA256)
_ES256_BYTES = 64
_RSA_PADDINGS = {"RS256": PKCS1v15(), "PS256": PSS(mgf=MGF1(_SHA256), salt_length=_SHA256.digest_size)}

# Takes a signature and what was signed; raises InvalidSignature.
_Check = Callable[[bytes, bytes], None]


class VerificationKey:
    """One public key and the one algorithm it is for, prepared once and used for every token.

    Without joserfc between, which would look up key and algorithm again for each token.
    """

    __slots__ = ("_check",)

    def __init__(self, key: jwk.Key, algorithm: str) -> None:
        self._check = _prepare_check(key.public_key, algorithm)

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Tell whether this key made the signature."""
        try:
            self._check(signature, signing_input)
        except InvalidSignature:
            return False
        return True


KeysByName = Mapping[tuple[str, str], VerificationKey]


def parse_key_set(document: bytes, algorithms: Collection[str]) -> KeysByName:
    """Return the usable keys of a JWK Set by key id and algorithm.

    A key that cannot be used here (another type or use, no `kid`, weak, malformed) is passed over, as RFC 7517 §5 has
    it, and so is one that shows its private half: whoever read it can sign. Raises ValueError where the document as a
    whole is no JWK Set or holds more than `MAX_KEYS` keys.
    """
    try:
        members = parse_object(document).get("keys")
    except TokenRefusedError as refused:
        raise ValueError(f"the key set is not a JSON object: {refused}") from None
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise ValueError(f"the key set has no list of at most {MAX_KEYS} keys")
    keys: dict[tuple[str, str], VerificationKey] = {}
    for member in members:
        try:
            key_id, algorithm, key = _parse_key(member, algorithms)
        except (JoseError, TokenRefusedError, ValueError, TypeError, KeyError) as error:
            logger.debug("key passed over: %s", error)
        else:
            keys.setdefault((key_id, algorithm), key)
    return keys


def verify_claims(token: UnverifiedToken, keys: KeysByName) -> dict[str, object]:
    """Return the claims of a token that one of these keys signed; they are not read before that is known."""
    key = keys.get((token.key_id, token.algorithm))
    if key is None:
        raise TokenRefusedError(Refusal.KEY_UNKNOWN)
    if not key.verifies(token.signing_input, token.signature):
        raise TokenRefusedError(Refusal.SIGNATURE_WRONG)
    return parse_object(decode_segment(token.payload))


def parse_proof_key(member: object, algorithm: str) -> tuple[VerificationKey, str]:
    """Return the public key that a DPoP proof brings along (RFC 9449 §4.2), and its thumbprint (RFC 7638).

    Raises ValueError where it is none for `algorithm`, or shows its private half.
    """
    try:
        if not isinstance(member, dict) or not _PRIVATE_MEMBERS.isdisjoint(member):
            raise ValueError("no public key")
        _, key = _parse_public(member | {"alg": member.get("alg", algorithm)}, {algorithm})
        return VerificationKey(key, algorithm), key.thumbprint()
    except (JoseError, TokenRefusedError, TypeError, KeyError) as error:
        raise ValueError(str(error)) from None


def _parse_key(member: object, algorithms: Collection[str]) -> tuple[str, str, VerificationKey]:
    """Return key id, algorithm and key, or raise one of the errors that a malformed JWK makes."""
    if not isinstance(member, dict):
        raise TypeError("not an object")
    if not _PRIVATE_MEMBERS.isdisjoint(member):
        logger.error("the issuer publishes a private or symmetric key; it is not trusted")
        raise ValueError("private member")
    key_id = _text(member, "kid")
    algorithm, key = _parse_public(member, algorithms)
    return key_id, algorithm, VerificationKey(key, algorithm)


def _parse_public(member: dict[str, Any], algorithms: Collection[str]) -> tuple[str, jwk.Key]:
    """Return algorithm and key of a JWK without private members."""
    key_type = _text(member, "kty")
    curve = None if key_type == "RSA" else _text(member, "crv")
    algorithm = _text(member, "alg") if "alg" in member else _ALGORITHM_OF[key_type, curve]
    if member.get("use", "sig") != "sig" or algorithm not in algorithms:
        raise ValueError("not for signatures, or its algorithm is not accepted")
    if _ALGORITHM_OF[key_type, curve] != algorithm and (key_type, algorithm) != ("RSA", "PS256"):
        raise ValueError("the algorithm is not this key's")
    if key_type == "RSA":
        _check_rsa(member)
    elif key_type == "OKP":
        _check_ed25519(member)
    key = jwk.import_key(member)
    key.check_key_op("verify")
    return algorithm, key


def _prepare_check(key: object, algorithm: str) -> _Check:
    """Return how this key checks a signature (RFC 7518 §3, RFC 8037 §3.1). Raise ValueError for another kind of key."""
    if algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return lambda signature, signed: key.verify(_encode_ecdsa(signature), signed, _ES256)
    if algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
        return key.verify
    if algorithm in _RSA_PADDINGS and isinstance(key, RSAPublicKey):
        padding = _RSA_PADDINGS[algorithm]
        return lambda signature, signed: key.verify(signature, signed, padding, _SHA256)
    raise ValueError("the algorithm is not this key's")


def _encode_ecdsa(signature: bytes) -> bytes:
    """Return a JWS's R and S, 32 bytes each (RFC 7518 §3.4), as the DER that OpenSSL reads: a SEQUENCE of two INTEGERs.

    By hand, as going through Python's integers takes a microsecond more. Wrong DER would be refused, never believed.
    """
    if len(signature) != _ES256_BYTES:
        raise InvalidSignature
    r, s = _trim(signature[:32]), _trim(signature[32:])
    return b"\x30%c\x02%c%b\x02%c%b" % (len(r) + len(s) + 4, len(r), r, len(s), s)


def _trim(number: bytes) -> bytes:
    """DER's spelling of a number: no zeros in front but the one without which its first bit would mean a minus."""
    number = number.lstrip(b"\0")
    return number if number and number[0] < 0x80 else b"\0" + number  # noqa: PLR2004  # the first bit


def _text(member: dict[str, Any], name: str) -> str:
    value = member[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return value


def _check_rsa(member: dict[str, Any]) -> None:
    """Refuse RSA keys that are weak, or so large that using them is an attack (RFC 8725 §3.5); joserfc takes them."""
    modulus, exponent = (int.from_bytes(decode_segment(_text(member, name).encode())) for name in ("n", "e"))
    if not _MIN_RSA_BITS <= modulus.bit_length() <= _MAX_RSA_BITS:
        raise ValueError("RSA key of another size than 2048 to 8192 bits")
    if not _MIN_RSA_EXPONENT <= exponent < _RSA_EXPONENT_LIMIT or exponent % 2 == 0:
        raise ValueError("RSA key with an exponent that is small, even or huge")
    if modulus % 2 == 0 or all(modulus % prime in powers for prime, powers in _ROCA_RESIDUES.items()):
        raise ValueError("RSA key whose private half can be computed")


def _check_ed25519(member: dict[str, Any]) -> None:
    """Refuse a point of small order, and one that is not spelled as RFC 8032 §5.1.3 has it."""
    y = int.from_bytes(decode_segment(_text(member, "x").encode()), "little") & (2**255 - 1)  # the last bit is x's sign
    if y >= _FIELD or y in _WEAK_Y:
        raise ValueError("Ed25519 key of small order")
