"""``authserver resources``: the APIs that tokens are for."""

from datetime import timedelta
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.options import DryRun, Yes
from authserver.cli.records import record_resource
from authserver.cli.terminal import Terminal
from authserver.oauth.values import Resource
from authserver.operations import resources
from authserver.operations.resources import ResourceChanges, parse_words

app = make_noun(
    "Register the APIs that tokens are for.",
    examples="authserver resources create https://api.example.org --name Notes --scope notes:read --scope notes:write",
)

Identifier = Annotated[str, typer.Argument(metavar="URI", help="The API's identifier: the aud of its tokens.")]
ScopeWords = Annotated[list[str] | None, typer.Option("--scope", metavar="WORD", help="A scope of the API; repeat it.")]
VerifiedScope = Annotated[
    list[str] | None,
    typer.Option("--verified-scope", metavar="WORD", help="One of them that needs a verified e-mail address."),
]
AccessTokenLifetime = Annotated[
    int | None, typer.Option("--access-token-lifetime", metavar="SECONDS", help="Instead of the server's setting.")
]
_COLUMNS: Final = ("identifier", "name", "scope", "verified_scope", "access_token_lifetime")


@command(
    app,
    "create",
    examples="""
    authserver resources create https://api.example.org --name Notes --scope notes:read --scope notes:write
    authserver resources create http://localhost:8000 --name "My API" --scope api:read --access-token-lifetime 600
    """,
)
async def create(
    terminal: Terminal,
    uri: Identifier,
    *,
    name: Annotated[str, typer.Option("--name", help="What people read.")],
    scope: ScopeWords = None,
    verified_scope: VerifiedScope = None,
    access_token_lifetime: AccessTokenLifetime = None,
) -> None:
    """Register an API. A scope word belongs to one API only."""
    resource = Resource(
        identifier=uri,
        name=name,
        scope=parse_words(scope or ()),
        verified_scope=parse_words(verified_scope or ()),
        access_token_lifetime=_seconds(access_token_lifetime),
    )
    async with open_desk(terminal) as desk:
        created = await resources.create(desk.operator, resource)
    terminal.show(record_resource(created))
    terminal.say(
        f'Next: authserver clients create --name NAME --type service --scope "{" ".join(sorted(created.scope))}"'
    )


@command(app, "list", examples="authserver resources list\nauthserver resources list --json")
async def list_resources(terminal: Terminal) -> None:
    """List every API."""
    async with open_desk(terminal) as desk:
        found = await resources.find_all(desk.operator)
        terminal.show_all([record_resource(resource) for resource in found], _COLUMNS, now=await desk.now())


@command(app, "show", examples="authserver resources show https://api.example.org")
async def show(terminal: Terminal, uri: Identifier) -> None:
    """Show one API."""
    async with open_desk(terminal) as desk:
        terminal.show(record_resource(await resources.get(desk.operator, uri)))


@command(
    app,
    "update",
    examples="""
    authserver resources update https://api.example.org --add-scope notes:delete
    authserver resources update https://api.example.org --name Notes --access-token-lifetime 120
    """,
)
async def update(
    terminal: Terminal,
    uri: Identifier,
    *,
    name: Annotated[str | None, typer.Option("--name", help="What people read.")] = None,
    scope: ScopeWords = None,
    add_scope: Annotated[list[str] | None, typer.Option("--add-scope", metavar="WORD", help="One more.")] = None,
    remove_scope: Annotated[list[str] | None, typer.Option("--remove-scope", metavar="WORD", help="One less.")] = None,
    verified_scope: VerifiedScope = None,
    access_token_lifetime: AccessTokenLifetime = None,
    default_lifetime: Annotated[
        bool, typer.Option("--default-lifetime", help="Return to the server's setting.")
    ] = False,
) -> None:
    """Change an API. Tokens issued before keep what they say until they expire."""
    changes = ResourceChanges(
        name=name,
        scope=parse_words(scope) if scope else None,
        add_scope=parse_words(add_scope or ()),
        remove_scope=parse_words(remove_scope or ()),
        verified_scope=parse_words(verified_scope) if verified_scope else None,
        access_token_lifetime=_seconds(access_token_lifetime),
        reset_lifetime=default_lifetime,
    )
    async with open_desk(terminal) as desk:
        terminal.show(record_resource(await resources.update(desk.operator, uri, changes)))


@command(app, "delete", examples="authserver resources delete https://api.example.org --yes")
async def delete(terminal: Terminal, uri: Identifier, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete an API: no token is issued for it any more."""
    async with open_desk(terminal) as desk:
        resource = await resources.delete(desk.operator.rehearsing(), uri)
        effect = f"{resource.name} ({uri}): no token is issued for it any more; {len(resource.scope)} scopes disappear."
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            resource = await resources.delete(desk.operator, uri)
        terminal.show(record_resource(resource))


def _seconds(count: int | None) -> timedelta | None:
    return None if count is None else timedelta(seconds=count)
