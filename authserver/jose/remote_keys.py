"""JWK sets at an address, and the tokens that another issuer signed with one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from authserver.jose.compact import Fault, TokenError, parse_compact, read_document
from authserver.jose.jwk import CLIENT_ALGORITHMS, ClientKey, JwkError, choose_key, read_jwks
from authserver.jose.signature import check_signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.remote_documents import RemoteDocuments

_ID_TOKEN_TYPES: Final = frozenset({None, "jwt"})


def read_remote_jwks(body: bytes) -> Sequence[ClientKey]:
    """Return the keys of a set that was fetched; raise ValueError where it cannot be used."""
    try:
        return read_jwks(read_document(body), skip_unusable=True)
    except JwkError as error:
        raise ValueError(str(error)) from error


async def verify_upstream_id_token(
    keys: RemoteDocuments[Sequence[ClientKey]], jwks_uri: str, token: str
) -> tuple[dict[str, Any], str]:
    """Return the claims of an ID token signed with a key at this address, and the algorithm; raise :class:`TokenError`.

    Only asymmetric algorithms, and only one that the key is for: a token without signature, or one whose "secret" is a
    public key, is refused before a key is touched (RFC 8725 §3.1). An unknown ``kid`` has the set fetched once more.
    Nothing the header brings along is looked at (§3.10). What the claims must say is decided in ``oauth``.
    """
    compact = parse_compact(token)
    if compact.alg not in CLIENT_ALGORITHMS:
        raise TokenError(Fault.ALGORITHM, "signed with an algorithm that is not accepted")
    if compact.typ not in _ID_TOKEN_TYPES:
        raise TokenError(Fault.TYPE, "another kind of JWT")
    key = choose_key(await keys.find(jwks_uri) or (), compact)
    if key is None:
        key = choose_key(await keys.find(jwks_uri, refetch=True) or (), compact)
    if key is None:
        raise TokenError(Fault.KEY_UNKNOWN, "no key of the issuer fits kid and alg")
    check_signature(compact, key.key)
    return compact.claims(), compact.alg
