"""One signature under one key: joserfc's algorithms, with every way to be wrong made into one refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from authserver.jose.compact import Fault, TokenError
from authserver.jose.jwk import CLIENT_ALGORITHMS, SAME_ALGORITHM
from authserver.jose.schedule import ALGORITHMS

if TYPE_CHECKING:
    from joserfc.jwk import Key

    from authserver.jose.compact import Compact

_REGISTRY: Final = JWSRegistry(
    algorithms=sorted({SAME_ALGORITHM.get(alg, alg) for alg in (*ALGORITHMS, *CLIENT_ALGORITHMS)})
)


def make_signature(signing_input: str, alg: str, key: Key) -> bytes:
    """Return the signature of a JWS signing input (RFC 7515 §5.1 step 5)."""
    return _REGISTRY.get_alg(SAME_ALGORITHM.get(alg, alg)).sign(signing_input.encode("ascii"), key)


def check_signature(compact: Compact, key: Key) -> None:
    """Raise :class:`TokenError` where the signature is not this key's, or the key is not for this algorithm.

    The caller has compared ``alg`` with what it allows: the header does not choose (RFC 8725 §3.1).
    """
    try:
        algorithm = _REGISTRY.get_alg(SAME_ALGORITHM.get(compact.alg, compact.alg))
        algorithm.check_key(key)
        is_right = algorithm.verify(compact.signing_input, compact.signature, key)
    except (JoseError, ValueError) as error:
        raise TokenError(Fault.SIGNATURE, "the signature cannot be verified with this key") from error
    if not is_right:
        raise TokenError(Fault.SIGNATURE, "the signature is wrong")
