"""What both endpoints do with a client's document: read and judge it, write it down, answer with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from authserver.jose.client_keys import check_jwks
from authserver.oauth import bearer
from authserver.oauth.client_checks import RegistrationPolicy
from authserver.oauth.client_documents import build_registration_response
from authserver.oauth.client_members import refuse_member
from authserver.oauth.client_metadata import parse_client_metadata
from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.scope import OIDC_SCOPES, join_scope
from authserver.phases import UnavailableError
from authserver.steps import audit_trail
from authserver.web.answers import json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.feature import Call, Services
    from authserver.oauth.client_metadata import ClientMetadata
    from authserver.oauth.errors import OAuthError
    from authserver.oauth.values import Client
    from authserver.store.engine import Tx
    from authserver.web.answers import Answer


def read_bearer(call: Call) -> str:
    """Return the token of the Authorization header; raise 401 with a challenge where there is none."""
    return bearer.parse_token(call.facts.header(b"authorization"), None)


def refuse_token(description: str) -> OAuthError:
    """Return the 401 of a token that opens nothing, whatever the reason (RFC 7592 §2.1)."""
    return bearer.refuse(ErrorCode.INVALID_TOKEN, description, Refusal.REGISTRATION_TOKEN_WRONG)


def strangers_policy(services: Services) -> RegistrationPolicy:
    """Return what those may register who are not operators: what discovery announces, and any scope there is."""
    return RegistrationPolicy(
        metadata=services.metadata,
        scope=OIDC_SCOPES.union(*(resource.scope for resource in services.directory.resources)),
        allow_http=services.outbound.may_use_http,
    )


def read_metadata(document: bytes | Mapping[str, object], policy: RegistrationPolicy) -> ClientMetadata:
    """Read a document and the keys in it. ``jwks_uri`` is asked when its keys are needed, not before."""
    metadata = parse_client_metadata(document, policy)
    problem = check_jwks(metadata.jwks) if metadata.jwks is not None else None
    if problem is not None:
        refuse_member("jwks", f"is refused: {problem}")
    return metadata


async def record(call: Call, tx: Tx, event: str, client: Client, **more: str | int) -> None:
    """Write the audit row of what a client did to its own registration."""
    detail = {"client_name": client.client_name, "scope": join_scope(client.scope), **more}
    await audit_trail.record(call, tx, event, client_id=client.client_id, detail=detail)


async def make_known(call: Call) -> None:
    """Let this process see what was just committed; the others poll, or ask when they miss the client."""
    with suppress(UnavailableError):  # the change stands whether or not it can be read back now
        await call.services.directory.refresh()


def respond(
    call: Call, client: Client, *, registration_access_token: str, client_secret: str | None = None, status: int = 200
) -> Answer:
    """Return the client information response (RFC 7591 §3.2.1, RFC 7592 §3)."""
    newest = max(client.secrets, key=lambda secret: secret.created_at, default=None)
    document = build_registration_response(
        client,
        registration_client_uri=f"{call.services.settings.issuer}/register/{client.client_id}",
        registration_access_token=registration_access_token,
        client_secret=client_secret,
        client_secret_expires_at=newest.expires_at if newest is not None else None,
    )
    return json_answer(document, status=status, log={"client": client.client_id})
