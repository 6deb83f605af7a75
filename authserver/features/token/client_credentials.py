"""The client acts for itself (RFC 6749 §4.4). Touches no database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from authserver.oauth.gate import may_issue
from authserver.oauth.resource import choose_for_client_credentials, parse_resources
from authserver.oauth.scope import parse_scope
from authserver.oauth.values import Authorization
from authserver.steps.lifetimes import access_token_lifetime

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client, Resource

MOST_DECIDED: Final = 4096

_Asked: TypeAlias = tuple[str, str | None, tuple[str, ...]]


class _Decided(NamedTuple):
    """What was decided, and from which values; others of the same names are no longer these objects."""

    client: Client
    known: tuple[Resource, ...]
    authorization: Authorization


class ClientCredentialsGrant:
    """``grant_type=client_credentials``. Never gives a refresh token (§4.4.3).

    A machine asks the same thing every few minutes. What was allowed once is allowed again for as long as the client
    and the resources are the very objects it was decided from: 10 % of the request.
    """

    name: Final = "client_credentials"

    def __init__(self) -> None:
        """Begin with nothing decided."""
        self._decided: dict[_Asked, _Decided] = {}

    async def prepare(self, call: Call, client: Client, form: Params) -> Authorization:
        """Decide scope and audience from what is registered. The subject is the client (RFC 9068 §2.2)."""
        may_issue(client, None, None)
        known = call.services.directory.resources
        asked = (client.client_id, form.get("scope"), form.all("resource"))
        before = self._decided.get(asked)
        if before is not None and before.client is client and before.known is known:
            return before.authorization
        if len(self._decided) >= MOST_DECIDED:
            self._decided.clear()
        authorization = _decide(call, client, asked, known)
        self._decided[asked] = _Decided(client, known, authorization)
        return authorization


def _decide(call: Call, client: Client, asked: _Asked, known: tuple[Resource, ...]) -> Authorization:
    _, scope, resources = asked
    settings = call.services.settings
    target = choose_for_client_credentials(client, parse_scope(scope), parse_resources(resources), known)
    return Authorization(
        subject=client.client_id,
        scope=target.scope,
        audience=target.audience(settings.issuer),
        access_token_lifetime=access_token_lifetime(settings, client, target.resources),
        status_index=client.status_index,
    )
