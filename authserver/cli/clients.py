"""``authserver clients``: the apps that ask for tokens."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.offer import read_offer
from authserver.cli.options import DryRun, Yes
from authserver.cli.records import record_client
from authserver.cli.terminal import Terminal
from authserver.oauth.values import ClientType
from authserver.operations import clients
from authserver.operations.client_credentials import SECRET_OVERLAP
from authserver.operations.clients import ListChange

app = make_noun(
    "Register apps and look after them.",
    examples="authserver clients create --name Notes --type web --redirect-uri https://notes.example/callback\n"
    'authserver clients create --name Robot --type service --scope "api:read"',
)

ClientId: TypeAlias = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client's id.")]
Metadata: TypeAlias = Annotated[
    str | None, typer.Option("--metadata", metavar="FILE.json", help="RFC 7591 metadata, and this server's members.")
]
Uris: TypeAlias = list[str] | None
_COLUMNS: Final = ("client_id", "client_name", "type", "token_endpoint_auth_method", "status", "created_at")


@command(
    app,
    "create",
    examples="""
    authserver clients create --name Notes --type web --redirect-uri https://notes.example/callback
    authserver clients create --name Robot --type service --scope "api:read api:write" --json
    authserver clients create --name Phone --type native --redirect-uri com.example.app:/callback
    """,
)
async def create(
    terminal: Terminal,
    *,
    name: Annotated[str, typer.Option("--name", metavar="N", help="What people read on the consent page.")],
    client_type: Annotated[ClientType, typer.Option("--type", help="What kind of app it is; it sets the defaults.")],
    redirect_uri: Annotated[Uris, typer.Option(metavar="U", help="Where users return to; repeat it.")] = None,
    post_logout_redirect_uri: Annotated[Uris, typer.Option(metavar="U", help="The same after logout.")] = None,
    backchannel_logout_uri: Annotated[
        str | None, typer.Option(metavar="U", help="Where the app hears that somebody signed out.")
    ] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="All the app may ask for, in one text.")] = None,
    first_party: Annotated[bool, typer.Option("--first-party", help="The organisation's own app.")] = False,
    metadata: Metadata = None,
) -> None:
    """Register an app; prints its client_id and, this once, its client_secret."""
    document = _read_metadata(metadata)
    document |= {"client_name": name}
    if redirect_uri:
        document["redirect_uris"] = redirect_uri
    if post_logout_redirect_uri:
        document["post_logout_redirect_uris"] = post_logout_redirect_uri
    if backchannel_logout_uri is not None:
        document["backchannel_logout_uri"] = backchannel_logout_uri
    if scope is not None:
        document["scope"] = scope
    if first_party:
        document["first_party"] = True
    async with open_desk(terminal) as desk:
        made = await clients.create(desk.operator, await read_offer(desk.operator), document, client_type=client_type)
    terminal.show(
        record_client(made.client), secrets={"client_secret": made.client_secret} if made.client_secret else {}
    )


@command(app, "list", examples="authserver clients list\nauthserver clients list --json")
async def list_clients(terminal: Terminal) -> None:
    """List every app."""
    async with open_desk(terminal) as desk:
        found = await clients.find_all(desk.operator)
        terminal.show_all([record_client(client) for client in found], _COLUMNS, now=await desk.now())


@command(app, "show", examples="authserver clients show 7hq2mvbx4t9kcznd")
async def show(terminal: Terminal, client_id: ClientId) -> None:
    """Show one app."""
    async with open_desk(terminal) as desk:
        terminal.show(record_client(await clients.get(desk.operator, client_id)))


@command(
    app,
    "update",
    examples="""
    authserver clients update 7hq2mvbx4t9kcznd --add-redirect-uri http://localhost:3001/callback
    authserver clients update 7hq2mvbx4t9kcznd --add-scope api:write --remove-scope api:admin
    authserver clients update 7hq2mvbx4t9kcznd --metadata notes.json
    """,
)
async def update(
    terminal: Terminal,
    client_id: ClientId,
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="N", help="Another name.")] = None,
    add_redirect_uri: Annotated[Uris, typer.Option(metavar="U", help="One more address; repeat it.")] = None,
    remove_redirect_uri: Annotated[Uris, typer.Option(metavar="U", help="One less.")] = None,
    add_post_logout_redirect_uri: Annotated[Uris, typer.Option(metavar="U", help="One more after logout.")] = None,
    remove_post_logout_redirect_uri: Annotated[Uris, typer.Option(metavar="U", help="One less.")] = None,
    backchannel_logout_uri: Annotated[
        str | None, typer.Option(metavar="U", help="Where it hears that somebody signed out; '' for nowhere.")
    ] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="All the app may ask for, instead.")] = None,
    add_scope: Annotated[Uris, typer.Option(metavar="WORD", help="One scope more.")] = None,
    remove_scope: Annotated[Uris, typer.Option(metavar="WORD", help="One less.")] = None,
    first_party: Annotated[bool | None, typer.Option("--first-party/--third-party", help="Whose app it is.")] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="FILE.json", help="Members to replace; null removes one.")
    ] = None,
) -> None:
    """Change an app; what comes out has to pass the rules as a whole."""
    document = _read_metadata(metadata)
    given = {
        "client_name": name,
        "backchannel_logout_uri": backchannel_logout_uri,
        "scope": scope,
        "first_party": first_party,
    }
    document |= {member: value for member, value in given.items() if value is not None}
    changes = (
        ListChange("redirect_uris", add=tuple(add_redirect_uri or ()), remove=tuple(remove_redirect_uri or ())),
        ListChange(
            "post_logout_redirect_uris",
            add=tuple(add_post_logout_redirect_uri or ()),
            remove=tuple(remove_post_logout_redirect_uri or ()),
        ),
        ListChange("scope", add=tuple(add_scope or ()), remove=tuple(remove_scope or ())),
    )
    async with open_desk(terminal) as desk:
        made = await clients.update(desk.operator, await read_offer(desk.operator), client_id, document, changes)
    terminal.show(
        record_client(made.client), secrets={"client_secret": made.client_secret} if made.client_secret else {}
    )


@command(
    app,
    "rotate-secret",
    examples="""
    authserver clients rotate-secret 7hq2mvbx4t9kcznd
    authserver clients rotate-secret 7hq2mvbx4t9kcznd --overlap 604800
    authserver clients rotate-secret 7hq2mvbx4t9kcznd --now
    """,
)
async def rotate_secret(
    terminal: Terminal,
    client_id: ClientId,
    *,
    overlap: Annotated[
        int | None, typer.Option("--overlap", min=0, metavar="SECONDS", help="How long the old one works; one day.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="End the old one at once.")] = False,
) -> None:
    """Give an app another secret; prints it this once. The old one goes on working for a while."""
    if now and overlap is not None:
        raise CommandFailedError("--now and --overlap exclude each other.", exit_code=WRONG_USAGE)
    span = timedelta(0) if now else SECRET_OVERLAP if overlap is None else timedelta(seconds=overlap)
    async with open_desk(terminal) as desk:
        made = await clients.rotate_secret(desk.operator, client_id, overlap=span)
    terminal.show(record_client(made.client), secrets={"client_secret": made.client_secret})


@command(app, "disable", examples="authserver clients disable 7hq2mvbx4t9kcznd --yes")
async def disable(terminal: Terminal, client_id: ClientId, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Turn an app off: it gets no tokens, its own are dead, and the grants of its users are revoked."""
    async with open_desk(terminal) as desk:
        cut = await clients.disable(desk.operator.rehearsing(), client_id)
        effect = f"{cut.client.client_name} ({client_id}) gets no tokens; {cut.grants} grants are revoked."
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            cut = await clients.disable(desk.operator, client_id)
        terminal.show({"client_id": client_id, "status": "disabled", "grants_revoked": cut.grants})
    terminal.say(f"Undo: authserver clients enable {client_id}")


@command(app, "enable", examples="authserver clients enable 7hq2mvbx4t9kcznd")
async def enable(terminal: Terminal, client_id: ClientId) -> None:
    """Turn an app on again; what was revoked stays revoked, so its users sign in again."""
    async with open_desk(terminal) as desk:
        terminal.show(record_client(await clients.enable(desk.operator, client_id)))


@command(app, "delete", examples="authserver clients delete 7hq2mvbx4t9kcznd --yes")
async def delete(terminal: Terminal, client_id: ClientId, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete an app: its secrets and the grants of its users die at once."""
    async with open_desk(terminal) as desk:
        gone = await clients.delete(desk.operator.rehearsing(), client_id)
        effect = (
            f"{gone.client.client_name} ({client_id}) cannot ask for tokens any more; {gone.grants} grants are revoked."
        )
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            gone = await clients.delete(desk.operator, client_id)
        terminal.show({"client_id": client_id, "status": "deleted", "grants_revoked": gone.grants})


def _read_metadata(path: str | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandFailedError(f"{path} cannot be read: {error.strerror}.", field="metadata") from error
    except ValueError as error:
        raise CommandFailedError(f"{path} is no JSON: {error}.", field="metadata") from error
    if not isinstance(document, dict):
        raise CommandFailedError(f"{path} must hold one JSON object.", field="metadata")
    return document
