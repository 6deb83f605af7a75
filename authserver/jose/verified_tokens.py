"""Access tokens of ours that were verified a moment ago: a signature is checked once, what can change each time.

A verification costs more than the rest of an introspection (PERFORMANCE: 45 us of it). The cache is bounded, holds no
token but its SHA-256, and holds only tokens that were good.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from authserver.jose.compact import parse_compact
from authserver.jose.jwt import verify_own
from authserver.jose.keyring import ACCESS_TOKEN_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from authserver.jose.keyring import Keyring

MAX_TOKENS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Verified:
    kid: str
    claims: Mapping[str, Any]


class VerifiedTokens:
    """The access tokens one process has verified, the ones seen longest ago forgotten first."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        """Start with none."""
        self._tokens: OrderedDict[bytes, _Verified] = OrderedDict()

    def verify(self, keyring: Keyring, token: str, *, now: datetime) -> Mapping[str, Any]:
        """Return the claims of an access token of ours; raise :class:`TokenError` as :func:`verify_own` does.

        Checked each time: that it has not expired, and that its key is still one of ours, so a key that was dropped or
        revoked takes its tokens along at once. Nobody may change the claims: they are shared.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._tokens.get(digest)
        if known is not None and now.timestamp() < known.claims["exp"] and keyring.find(known.kid, now) is not None:
            self._tokens.move_to_end(digest)
            return known.claims
        claims = verify_own(keyring, token, typ=ACCESS_TOKEN_TYPE, now=now)
        self._tokens[digest] = _Verified(parse_compact(token).kid or "", claims)
        if len(self._tokens) > MAX_TOKENS:
            self._tokens.popitem(last=False)
        return claims
