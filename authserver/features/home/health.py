"""/livez: the process answers. /readyz: it may be sent requests (UX §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.jose.jwt import ACCESS_TOKEN_ALG
from authserver.jose.keyring import NoSigningKeyError
from authserver.phases import UnavailableError
from authserver.web.answers import json_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.web.answers import Answer


async def livez(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer 200 as long as the event loop turns; nothing else is looked at, so that no fault outside restarts us."""
    return json_answer({"status": "live"})


async def readyz(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer 200, or 503 with the reason: draining, no word from the database for ``MAX_STALE``, no key that signs."""
    services = call.services
    if services.life.draining:
        return json_answer({"status": "draining"}, status=503)
    try:
        services.directory.check_fresh(services.settings.max_stale)
    except UnavailableError as error:
        return json_answer({"status": "stale", "reason": str(error)}, status=503)
    try:
        services.live.keyring.signing_key(ACCESS_TOKEN_ALG, call.now)
    except NoSigningKeyError as error:
        return json_answer({"status": "keyless", "reason": str(error)}, status=503)
    return json_answer({"status": "ready"})
