"""A client's JWK set, read strictly (RFC 7517, RFC 7518 §6, RFC 8725 §3.2-§3.5).

joserfc accepts weak RSA keys, private members and sets of any size (SECURITY fact 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from authserver.jose.compact import MAX_KID, decode_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from authserver.jose.compact import Compact

MAX_KEYS: Final = 20
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # a larger one costs more time to verify than an assertion is worth
CLIENT_ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "RS256")
SAME_ALGORITHM: Final = {"EdDSA": "Ed25519"}  # RFC 9864: the first may name other curves; all keys here have this one
_BY_CURVE: Final = {"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66)}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# CVE-2017-15361: a modulus of the flawed generator is a power of 65537 modulo each of these primes
_ROCA_RESIDUES: Final = {
    prime: frozenset(pow(65537, exponent, prime) for exponent in range(prime))
    for prime in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
}
_FIELD: Final = 2**255 - 19
# the y of the eight points of Ed25519 whose order divides 8: with one as the key, a signature says nothing
_WEAK_Y: Final = frozenset(
    {
        0,
        1,
        _FIELD - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)


class JwkError(Exception):
    """A JWK set cannot be used; the text is for the client's developer."""


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One public key of a client, and the algorithms it may verify."""

    kid: str | None
    algorithms: frozenset[str]
    key: ECKey | RSAKey | OKPKey

    def fits(self, alg: str) -> bool:
        """Tell whether a signature of this algorithm may be this key's."""
        return SAME_ALGORITHM.get(alg, alg) in self.algorithms


def read_jwks(document: object, *, skip_unusable: bool) -> tuple[ClientKey, ...]:
    """Return the signature keys of a JWK set; raise :class:`JwkError` where there is none, or the set is refused.

    ``skip_unusable`` passes over single keys that cannot be used, as RFC 7517 §5 asks of a reader; a set with private
    members, with too many keys, or with one key or kid twice is refused whole.
    """
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        message = "a JWK set is an object with an array of objects named keys"
        raise JwkError(message)
    if len(members) > MAX_KEYS:
        message = f"a JWK set has at most {MAX_KEYS} keys"
        raise JwkError(message)
    if any(_PRIVATE & set(member) for member in members):
        message = "a JWK set must not hold private or symmetric keys: send public keys only"
        raise JwkError(message)
    keys: list[ClientKey] = []
    for member in members:
        try:
            keys += _read_key(member)
        except JwkError:
            if not skip_unusable:
                raise
    _check_unique(keys)
    return tuple(keys)


def choose_key(keys: Sequence[ClientKey], compact: Compact) -> ClientKey | None:
    """Return the one key that fits ``kid`` and ``alg``; without ``kid``, the only one that fits ``alg``."""
    fitting = [key for key in keys if key.fits(compact.alg) and compact.kid in (None, key.kid)]
    return fitting[0] if len(fitting) == 1 else None


def _read_key(member: Mapping[str, Any]) -> tuple[ClientKey, ...]:
    """Return the key, or nothing where it is for encryption."""
    kid, use, operations = member.get("kid"), member.get("use"), member.get("key_ops")
    if "kid" in member and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
        message = f"kid is a text of 1 to {MAX_KID} characters"
        raise JwkError(message)
    if use == "enc":
        return ()
    if use not in (None, "sig") or (operations is not None and operations != ["verify"]):
        message = "a signature key has use sig or key_ops verify"
        raise JwkError(message)
    try:
        key, algorithms = _read_material(member)
    except (JoseError, ValueError, TypeError) as error:
        message = "a key cannot be read, or is no point of its curve"
        raise JwkError(message) from error
    alg = member.get("alg")
    alg = SAME_ALGORITHM.get(alg, alg) if isinstance(alg, str) else alg
    if alg is not None and not (isinstance(alg, str) and alg in algorithms):
        message = f"alg of this key must be one of {', '.join(sorted(algorithms))}"
        raise JwkError(message)
    return (ClientKey(kid, frozenset({alg} if alg else algorithms), key),)


def _read_material(member: Mapping[str, Any]) -> tuple[ECKey | RSAKey | OKPKey, frozenset[str]]:
    kty = member.get("kty")
    if kty == "EC":
        return _read_ec(member)
    if kty == "RSA":
        return _read_rsa(member)
    if kty == "OKP":
        return _read_okp(member)
    message = "kty must be EC, RSA or OKP"
    raise JwkError(message)


def _read_ec(member: Mapping[str, Any]) -> tuple[ECKey, frozenset[str]]:
    alg, size = _BY_CURVE.get(str(member.get("crv")), ("", 0))
    if not alg:
        message = f"crv must be one of {', '.join(_BY_CURVE)}"
        raise JwkError(message)
    if any(len(_octets(member, name)) != size for name in ("x", "y")):  # RFC 7518 §6.2.1.2
        message = f"x and y of {member['crv']} have {size} octets"
        raise JwkError(message)
    key = ECKey.import_key(_plain(member, "kty", "crv", "x", "y"))
    _ = key.public_key  # raises ValueError for a point that is not on the curve
    return key, frozenset({alg})


def _read_rsa(member: Mapping[str, Any]) -> tuple[RSAKey, frozenset[str]]:
    modulus, exponent = (int.from_bytes(_octets(member, name), "big") for name in ("n", "e"))
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        message = f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits"
        raise JwkError(message)
    if modulus % 2 == 0 or exponent % 2 == 0 or not 65537 <= exponent < 2**32:  # noqa: PLR2004 - NIST SP 800-56B §6.4
        message = "an RSA key is odd and has an odd exponent of at least 65537"
        raise JwkError(message)
    if all(modulus % prime in powers for prime, powers in _ROCA_RESIDUES.items()):
        message = "this RSA key comes from a flawed generator (CVE-2017-15361)"
        raise JwkError(message)
    return RSAKey.import_key(_plain(member, "kty", "n", "e")), frozenset({"PS256", "RS256"})


def _read_okp(member: Mapping[str, Any]) -> tuple[OKPKey, frozenset[str]]:
    if member.get("crv") != "Ed25519" or len(_octets(member, "x")) != 32:  # noqa: PLR2004 - RFC 8037 §2
        message = "an OKP key is Ed25519 with x of 32 octets"
        raise JwkError(message)
    y = int.from_bytes(_octets(member, "x"), "little") & (2**255 - 1)  # RFC 8032 §5.1.3: the last bit is x's sign
    if y >= _FIELD or y in _WEAK_Y:
        message = "this Ed25519 key is a point of small order, or not spelled as RFC 8032 wants it"
        raise JwkError(message)
    return OKPKey.import_key(_plain(member, "kty", "crv", "x")), frozenset({"Ed25519"})


def _plain(member: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return only the members that make the key: nothing else of a stranger's document reaches joserfc."""
    return {name: member[name] for name in names}


def _octets(member: Mapping[str, Any], name: str) -> bytes:
    text = member.get(name)
    octets = decode_base64url(text) if isinstance(text, str) else None
    if octets is None:
        message = f"{name} must be canonical base64url"
        raise JwkError(message)
    return octets


def _check_unique(keys: list[ClientKey]) -> None:
    kids = [key.kid for key in keys if key.kid is not None]
    if len(set(kids)) != len(kids):
        message = "two keys have the same kid"
        raise JwkError(message)
    if len({key.key.thumbprint() for key in keys}) != len(keys):
        message = "one key is listed twice: a key is for one algorithm"  # RFC 8725 §3.1
        raise JwkError(message)
    if not keys:
        message = "the JWK set has no signature key that can be used"
        raise JwkError(message)
