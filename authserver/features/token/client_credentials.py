"""The client acts for itself (RFC 6749 §4.4). Touches no database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from authserver.oauth.gate import may_issue
from authserver.oauth.resource import choose_for_client_credentials, parse_resources
from authserver.oauth.scope import parse_scope
from authserver.oauth.values import Authorization
from authserver.steps.lifetimes import access_token_lifetime

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client
    from authserver.store.engine import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedClientCredentials:
    """The whole authorization: nothing of it needs a row."""

    authorization: Authorization

    async def decide(self, call: Call, tx: Tx, client: Client) -> Authorization:  # noqa: ARG002 - the contract
        """Pass the gate; no statement runs."""
        may_issue(client, None, None)
        return self.authorization


class ClientCredentialsGrant:
    """``grant_type=client_credentials``. Never gives a refresh token (§4.4.3)."""

    name: Final = "client_credentials"

    async def prepare(self, call: Call, client: Client, form: Params) -> PreparedClientCredentials:
        """Decide scope and audience from what is registered. The subject is the client (RFC 9068 §2.2)."""
        services = call.services
        target = choose_for_client_credentials(
            client, parse_scope(form.get("scope")), parse_resources(form.all("resource")), services.directory.resources
        )
        return PreparedClientCredentials(
            authorization=Authorization(
                subject=client.client_id,
                scope=target.scope,
                audience=target.audience(services.settings.issuer),
                access_token_lifetime=access_token_lifetime(services.settings, client, target.resources),
                status_index=client.status_index,
            )
        )
