"""``authserver providers``: other providers that people may sign in through."""

import sys
from typing import Annotated, Final

import typer

from authserver.cli.command import command, make_noun
from authserver.cli.desk import open_desk
from authserver.cli.failure import WRONG_USAGE, CommandFailedError
from authserver.cli.options import DryRun, Yes
from authserver.cli.records import record_provider
from authserver.cli.terminal import Terminal
from authserver.operations import providers
from authserver.operations.provider_rules import AUTH_METHODS, PRESETS, parse_auth_method, parse_provider_scope
from authserver.operations.providers import NewProvider, ProviderChanges

app = make_noun(
    "Let people sign in through other providers, such as GitHub.",
    examples="authserver providers add github --preset github --client-id Iv1.8a61f9b3 --allow-sign-up",
)

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="Its short name: part of the callback address.")]
SecretStdin = Annotated[
    bool, typer.Option("--client-secret-stdin", help="Read the client secret from the first line of stdin.")
]
Label = Annotated[str | None, typer.Option("--label", metavar="NAME", help="What its button says after Continue with.")]
Scope = Annotated[str | None, typer.Option("--scope", metavar="WORDS", help="What to ask for.")]
Method = Annotated[
    str | None,
    typer.Option("--auth-method", metavar="NAME", help=f"At its token endpoint: {', '.join(AUTH_METHODS)}."),
]
Issuer = Annotated[
    str | None,
    typer.Option("--issuer", metavar="URL", help="Of an OpenID Connect provider; discovery tells the rest."),
]
AuthorizationEndpoint = Annotated[
    str | None, typer.Option("--authorization-endpoint", metavar="URL", help="Of a provider without discovery.")
]
TokenEndpoint = Annotated[
    str | None, typer.Option("--token-endpoint", metavar="URL", help="Of a provider without discovery.")
]
UserinfoEndpoint = Annotated[
    str | None, typer.Option("--userinfo-endpoint", metavar="URL", help="Of a provider without discovery.")
]
EmailsEndpoint = Annotated[
    str | None, typer.Option("--emails-endpoint", metavar="URL", help="Where it lists addresses as GitHub does.")
]
SubjectField = Annotated[
    str | None,
    typer.Option("--subject-field", metavar="NAME", help="The userinfo's field that never changes; default: id."),
]
PresetName = Annotated[
    str | None, typer.Option("--preset", metavar="NAME", help=f"One that everybody knows: {', '.join(PRESETS)}.")
]
_COLUMNS: Final = ("slug", "kind", "label", "client_id", "allow_sign_up", "trust_email", "status")


@command(
    app,
    "add",
    examples="""
    authserver providers add github --preset github --client-id Iv1.8a61f9b3 --allow-sign-up
    authserver providers add partner --issuer https://id.example --client-id notes --client-secret-stdin < secret.txt
    """,
)
async def add(
    terminal: Terminal,
    slug: Slug,
    *,
    client_id: Annotated[str, typer.Option("--client-id", help="What the provider calls this server.")],
    client_secret_stdin: SecretStdin = False,
    no_client_secret: Annotated[
        bool, typer.Option("--no-client-secret", help="The provider gave none: PKCE alone protects the code.")
    ] = False,
    preset: PresetName = None,
    issuer: Issuer = None,
    authorization_endpoint: AuthorizationEndpoint = None,
    token_endpoint: TokenEndpoint = None,
    userinfo_endpoint: UserinfoEndpoint = None,
    emails_endpoint: EmailsEndpoint = None,
    subject_field: SubjectField = None,
    label: Label = None,
    scope: Scope = None,
    auth_method: Method = None,
    position: Annotated[
        int, typer.Option("--position", help="Its place among the buttons; the lowest comes first.")
    ] = 0,
    allow_sign_up: Annotated[
        bool, typer.Option("--allow-sign-up/--no-sign-up", help="Whether who is not known here gets an account.")
    ] = False,
    trust_email: Annotated[
        bool,
        typer.Option("--trust-email/--no-trust-email", help="Whether its word that an address is verified counts."),
    ] = False,
) -> None:
    """Register a provider. On a terminal the client secret is asked for."""
    secret = None if no_client_secret else _read_secret(terminal, from_stdin=client_secret_stdin)
    new = NewProvider(
        slug=slug,
        client_id=client_id,
        client_secret=secret,
        preset=preset,
        issuer=issuer,
        authorization_endpoint=authorization_endpoint,
        token_endpoint=token_endpoint,
        userinfo_endpoint=userinfo_endpoint,
        emails_endpoint=emails_endpoint,
        subject_field=subject_field,
        label=label,
        scope=parse_provider_scope(scope) if scope is not None else None,
        auth_method=parse_auth_method(auth_method) if auth_method is not None else None,
        position=position,
        allow_sign_up=allow_sign_up,
        trust_email=trust_email,
    )
    async with open_desk(terminal) as desk:
        provider = await providers.add(desk.operator, new)
        terminal.show(record_provider(provider, desk.settings.issuer))
        terminal.say(f"Register this address there: {desk.settings.issuer}{provider.callback_path}")
    terminal.say(f"Next: authserver providers check {slug}")


@command(app, "list", examples="authserver providers list\nauthserver providers list --json")
async def list_providers(terminal: Terminal) -> None:
    """List every provider in the order of the buttons."""
    async with open_desk(terminal) as desk:
        found = await providers.find_all(desk.operator)
        records = [record_provider(provider, desk.settings.issuer) for provider in found]
        terminal.show_all(records, _COLUMNS, now=await desk.now())


@command(app, "show", examples="authserver providers show github")
async def show(terminal: Terminal, slug: Slug) -> None:
    """Show one provider, and how many accounts are linked through it."""
    async with open_desk(terminal) as desk:
        provider = await providers.get(desk.operator, slug)
        linked = await providers.count_linked(desk.operator, slug)
        terminal.show({**record_provider(provider, desk.settings.issuer), "linked": linked})


@command(app, "check", examples="authserver providers check partner")
async def check(terminal: Terminal, slug: Slug) -> None:
    """Ask a provider for its discovery document and keys, as a sign-in would."""
    async with open_desk(terminal) as desk:
        endpoints = await providers.check(desk.operator, slug)
    terminal.show(
        {
            "slug": slug,
            "authorization_endpoint": endpoints.authorization,
            "token_endpoint": endpoints.token,
            "userinfo_endpoint": endpoints.userinfo,
            "jwks_uri": endpoints.jwks,
        }
    )


@command(
    app,
    "update",
    examples="""
    authserver providers update github --label "GitHub" --position 10
    authserver providers update partner --client-secret-stdin < secret.txt
    authserver providers update partner --disable
    """,
)
async def update(
    terminal: Terminal,
    slug: Slug,
    *,
    label: Label = None,
    position: Annotated[int | None, typer.Option("--position", help="Its place among the buttons.")] = None,
    client_id: Annotated[str | None, typer.Option("--client-id", help="What the provider calls this server.")] = None,
    client_secret_stdin: SecretStdin = False,
    auth_method: Method = None,
    scope: Scope = None,
    allow_sign_up: Annotated[
        bool | None, typer.Option("--allow-sign-up/--no-sign-up", help="Whether who is not known here gets an account.")
    ] = None,
    trust_email: Annotated[
        bool | None,
        typer.Option("--trust-email/--no-trust-email", help="Whether its word that an address is verified counts."),
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Show its button, or stop using it.")
    ] = None,
) -> None:
    """Change a provider. Its issuer and endpoints stay: to change them, remove it and add it anew."""
    changes = ProviderChanges(
        label=label,
        position=position,
        client_id=client_id,
        client_secret=_read_secret(terminal, from_stdin=True) if client_secret_stdin else None,
        auth_method=parse_auth_method(auth_method) if auth_method is not None else None,
        scope=parse_provider_scope(scope) if scope is not None else None,
        allow_sign_up=allow_sign_up,
        trust_email=trust_email,
        enabled=enabled,
    )
    async with open_desk(terminal) as desk:
        provider = await providers.update(desk.operator, slug, changes)
        terminal.show(record_provider(provider, desk.settings.issuer))


@command(
    app, "remove", examples="authserver providers remove partner --yes\nauthserver providers remove partner --dry-run"
)
async def remove(terminal: Terminal, slug: Slug, *, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove a provider with every link through it. Sessions that began there go on."""
    async with open_desk(terminal) as desk:
        removal = await providers.remove(desk.operator.rehearsing(), slug)
        effect = (
            f"{removal.provider.label} ({slug}): {removal.linked} accounts lose this way in, "
            f"{removal.left_without} of them have no password, no passkey and no other linked account."
        )
        if terminal.may_go_on(effect, yes=yes, dry_run=dry_run):
            removal = await providers.remove(desk.operator, slug)
        terminal.show(record_provider(removal.provider, desk.settings.issuer))


def _read_secret(terminal: Terminal, *, from_stdin: bool) -> str:
    """Read it from stdin or by a prompt that shows nothing: an argument would stand in the process list."""
    if from_stdin:
        line = sys.stdin.readline()
        if not line:
            raise CommandFailedError("There was no client secret on stdin.", exit_code=WRONG_USAGE)
        return line.rstrip("\r\n")
    if not terminal.is_interactive:
        raise CommandFailedError("--client-secret-stdin is needed when not on a terminal", exit_code=WRONG_USAGE)
    return terminal.ask_secret("Client secret")
