"""Which pages of other origins browsers let use this host's passkeys (WebAuthn Level 3 §5.11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.oauth import passkey_origins
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.passkeys import find_relying_party
from authserver.web.answers import json_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer


async def related_origins(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer GET /.well-known/webauthn with the origins of the organisation's own apps; 404 where there are none."""
    party = find_relying_party(call.services.settings.issuer)
    own = call.services.directory.passkey_origins
    origins = passkey_origins.related_origins(own, party.rp_id) if party is not None else ()
    if not origins:
        description = "no other origin uses this host's passkeys"
        raise OAuthError(ErrorCode.INVALID_REQUEST, description, Refusal.PATH_UNKNOWN, status=404)
    return json_answer({"origins": origins}, headers=(("cache-control", "public, max-age=300"),))
