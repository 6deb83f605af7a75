"""The page of apps with access: what was agreed to and what is in use, put together by app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from authserver.language import N_
from authserver.oauth.scope import OIDC_SCOPES
from authserver.steps.account import answer_done, hold_account, render_account
from authserver.steps.take_back import take_back
from authserver.store import consents, grants
from authserver.web.pages import ScopeLine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.values import Client, Grant
    from authserver.steps.account import Visit
    from authserver.store.consents import Given
    from authserver.store.engine import Tx
    from authserver.web.answers import Answer

_DONE: Final = {"access_taken_back": N_("The app has no access any more.")}


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app as the page shows it; times are in words, ``last_used`` is empty where it has nothing in use."""

    client_id: str
    name: str
    host: str
    is_first_party: bool
    since: str
    last_used: str
    devices: int
    scopes: tuple[ScopeLine, ...]


async def apps(call: Call, params: Params, visit: Visit) -> Answer:
    """Answer GET and POST /account/apps: decision = take_back (of one ``client``)."""
    client_id = params.get("client")
    if visit.is_post and not visit.is_stale and params.get("decision") == "take_back" and client_id is not None:
        await call.services.engine.retrying(lambda tx: _take_back(call, tx, visit, client_id))
        return answer_done(
            call.facts.path, "access_taken_back", log={"user": visit.user.sub, "client": client_id[:100]}
        )
    async with call.services.engine.begin() as tx:
        given = {each.consent.client_id: each for each in await consents.list_of_user(tx, visit.user.id)}
        held = await grants.list_all(tx, user_id=visit.user.id)
    clients = (call.services.directory.find_client(each) for each in given.keys() | {grant.client_id for grant in held})
    shown = [
        _show(call, visit, client, given.get(client.client_id), [g for g in held if g.client_id == client.client_id])
        for client in clients
        if client is not None
    ]
    return render_account(
        call,
        visit,
        "account/apps.html",
        title="Apps with access",
        status=422 if visit.is_post else 200,
        problem="stale" if visit.is_stale else None,
        done=_DONE,
        apps=sorted(shown, key=lambda app: (app.name.casefold(), app.client_id)),
        token_minutes=-(-call.services.settings.access_token_lifetime.seconds // 60),
    )


async def _take_back(call: Call, tx: Tx, visit: Visit, client_id: str) -> None:
    await hold_account(tx, visit)
    await take_back(call, tx, visit.user.id, client_id)


def _show(call: Call, visit: Visit, client: Client, given: Given | None, held: list[Grant]) -> App:
    pages = call.services.pages
    moments = [grant.created_at for grant in held]
    since = min([*moments, given.since] if given is not None else moments)
    scope = frozenset[str]().union(*(grant.scope for grant in held), given.consent.scope if given is not None else ())
    used = max((grant.rotated_at for grant in held), default=None)
    return App(
        client_id=client.client_id,
        name=client.client_name,
        host=_host(client),
        is_first_party=client.first_party,
        since=pages.date(since.astimezone(visit.zone).date()),
        last_used=pages.time(used, visit.zone) if used is not None else "",
        devices=len({grant.session_id for grant in held}),
        scopes=tuple(_lines(call, scope)),
    )


def _lines(call: Call, scope: frozenset[str]) -> Iterable[ScopeLine]:
    """Give what an app may do: OpenID's own scopes first, then each with the API that it is for."""
    yield from (ScopeLine(scope=word) for word in sorted(scope & OIDC_SCOPES))
    apis = {
        word: resource.name for resource in call.services.directory.resources for word in sorted(scope & resource.scope)
    }
    yield from (ScopeLine(scope=word, api=apis.get(word)) for word in sorted(scope - OIDC_SCOPES))


def _host(client: Client) -> str:
    """Return the host that vouches for an app, or the scheme of one that has none."""
    addresses = [client.client_uri, *client.redirect_uris]
    parts = [urlsplit(address) for address in addresses if address]
    return next((part.netloc or part.scheme for part in parts), "")
