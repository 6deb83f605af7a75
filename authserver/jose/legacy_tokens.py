"""JWTs that another project signed with a secret it shared with itself (RFC 7515 §3.1, HS256 to HS512)."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

from authserver.jose.compact import Fault, TokenError, parse_compact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DIGESTS: Final[Mapping[str, Callable[[], Any]]] = {
    "HS256": hashlib.sha256,
    "HS384": hashlib.sha384,
    "HS512": hashlib.sha512,
}


def verify_legacy_token(token: str, key: str) -> dict[str, Any]:
    """Return the claims of a token that this key signed; raise :class:`TokenError` for anything else.

    The key is a secret of the settings and never one that verifies anything else, so nothing can be confused with it
    (RFC 8725 §3.1).
    """
    compact = parse_compact(token)
    digest = _DIGESTS.get(compact.alg)
    if digest is None:
        raise TokenError(Fault.ALGORITHM, "the algorithm is none of HS256, HS384 and HS512")
    expected = hmac.new(key.encode(), compact.signing_input, digest).digest()
    if not hmac.compare_digest(expected, compact.signature):
        raise TokenError(Fault.SIGNATURE, "the signature does not fit")
    return compact.claims()
