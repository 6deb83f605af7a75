"""The demo user, clients and API of ``authserver dev``: made once, and moved when the ports move."""

from typing import Final

from authserver.cli.dev_settings import SPA_ORIGIN
from authserver.oauth.values import ClientType, Resource
from authserver.operations import clients, resources, users
from authserver.operations.clients import Offer
from authserver.operations.errors import OperationError, Problem
from authserver.operations.operator import Operator

USERNAME: Final = "ann"
EMAIL: Final = "ann@example.org"
PASSWORD: Final = "correct horse ann"  # noqa: S105  # everybody may know it: it guards a demo
MACHINE_CLIENT_ID: Final = "demo-machine"
MACHINE_CLIENT_SECRET: Final = "demo-secret"  # noqa: S105  # the same
WEB_CLIENT_ID: Final = "demo-web"
WEB_CLIENT_SECRET: Final = "demo-web-secret"  # noqa: S105  # the same
SPA_CLIENT_ID: Final = "demo-spa"
PHONE_CLIENT_ID: Final = "demo-phone"  # the examples on /docs are its
API_NAME: Final = "Sample API"
API_SCOPE: Final = "api:read api:write"
WEB_SCOPE: Final = f"openid profile email offline_access {API_SCOPE}"


async def seed(operator: Operator, offer: Offer, *, api_port: int, web_port: int) -> None:
    """Bring the demo data to these ports; what somebody has changed or added by hand stays."""
    await _seed_resource(operator, f"http://localhost:{api_port}")
    await _seed_client(
        operator,
        offer,
        MACHINE_CLIENT_ID,
        MACHINE_CLIENT_SECRET,
        ClientType.SERVICE,
        {"client_name": "Demo machine", "scope": API_SCOPE},
    )
    await _seed_client(
        operator,
        offer,
        WEB_CLIENT_ID,
        WEB_CLIENT_SECRET,
        ClientType.WEB,
        {
            "client_name": "Demo app",
            "scope": WEB_SCOPE,
            "redirect_uris": [f"http://localhost:{web_port}/callback"],
            "post_logout_redirect_uris": [f"http://localhost:{web_port}/signed-out"],
            "backchannel_logout_uri": f"http://localhost:{web_port}/backchannel-logout",
        },
    )
    await _seed_client(
        operator,
        offer,
        SPA_CLIENT_ID,
        None,
        ClientType.SPA,
        {
            "client_name": "Demo page",
            "scope": WEB_SCOPE,
            "redirect_uris": [f"{SPA_ORIGIN}/callback"],
            "post_logout_redirect_uris": [f"{SPA_ORIGIN}/"],
        },
    )
    await _seed_client(
        operator,
        offer,
        PHONE_CLIENT_ID,
        None,
        ClientType.NATIVE,
        {
            "client_name": "Demo phone",
            "scope": WEB_SCOPE,
            "redirect_uris": ["com.example.demo:/callback"],
            "first_party": True,
            "api_register": True,
        },
    )
    await _seed_user(operator)


async def _seed_resource(operator: Operator, identifier: str) -> None:
    known = await resources.find_all(operator)
    if any(resource.identifier == identifier for resource in known):
        return
    for resource in known:
        if resource.name == API_NAME:  # from a start with another port; a scope belongs to one resource only
            await resources.delete(operator, resource.identifier)
    scope = resources.parse_words([API_SCOPE])
    await resources.create(operator, Resource(identifier=identifier, name=API_NAME, scope=scope))


async def _seed_client(
    operator: Operator,
    offer: Offer,
    client_id: str,
    secret: str | None,
    client_type: ClientType,
    document: dict[str, object],
) -> None:
    try:
        await clients.get(operator, client_id)
    except OperationError as error:
        if error.problem is not Problem.NOT_FOUND:
            raise
        await clients.create(
            operator, offer, document, client_type=client_type, client_id=client_id, client_secret=secret
        )
    else:
        await clients.update(operator, offer, client_id, document)


async def _seed_user(operator: Operator) -> None:
    try:
        await users.get(operator, USERNAME)
    except OperationError as error:
        if error.problem is not Problem.NOT_FOUND:
            raise
        await users.create(
            operator, username=USERNAME, email=EMAIL, email_verified=True, name="Ann Example", password=PASSWORD
        )
