"""Other providers as operators register them: what is refused, what never changes, and that the secret is sealed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authserver.oauth.upstream import Identity, ProviderKind
from authserver.oauth.values import AuthMethod
from authserver.operations import providers
from authserver.operations.errors import OperationError, Problem
from authserver.operations.provider_rules import PRESETS, parse_auth_method, parse_provider_scope
from authserver.operations.providers import NewProvider, ProviderChanges
from authserver.sealing.keyring_file import load_box
from authserver.sealing.subkeys import Subkeys
from authserver.sealing.upstream import open_client_secret
from authserver.settings import Settings
from authserver.store import masters, upstream_identities
from tests.operations.rows import audited, make_user
from tests.upstream import LOOPBACK, FakeProvider

OIDC = NewProvider(slug="partner", client_id="we", client_secret="s3cret", issuer="https://id.partner.example")
OAUTH = NewProvider(
    slug="hub",
    client_id="we",
    client_secret="s3cret",
    authorization_endpoint="https://hub.example/authorize",
    token_endpoint="https://hub.example/token",
    userinfo_endpoint="https://hub.example/user",
)


@pytest.fixture
def sealing(sealing_operator):
    """Give an operator with a sealing key."""
    return sealing_operator


@pytest.mark.parametrize(
    ("new", "changed", "field"),
    [
        pytest.param(OIDC, {"slug": "Git Hub"}, "slug", id="a slug that would not be a path"),
        pytest.param(OIDC, {"slug": "x" * 41}, "slug", id="a slug too long"),
        pytest.param(OIDC, {"slug": "-x"}, "slug", id="a slug that looks like an option"),
        pytest.param(OIDC, {"label": "x" * 41}, "label", id="a label too long"),
        pytest.param(OIDC, {"label": "Git\x1b[2J"}, "label", id="a label that steers a terminal"),
        pytest.param(OIDC, {"label": "  "}, "label", id="a blank label"),
        pytest.param(OIDC, {"position": -1}, "position", id="a position below zero"),
        pytest.param(OIDC, {"client_id": "a b"}, "client_id", id="a client_id with a blank"),
        pytest.param(OIDC, {"client_secret": ""}, "client_secret", id="an empty secret"),
        pytest.param(OIDC, {"client_secret": "a\nb"}, "client_secret", id="a secret of two lines"),
        pytest.param(OIDC, {"auth_method": AuthMethod.NONE}, "auth_method", id="a secret that is not used"),
        pytest.param(OIDC, {"client_secret": None, "auth_method": AuthMethod.POST}, "auth_method", id="no secret"),
        pytest.param(OIDC, {"issuer": "http://id.partner.example"}, "issuer", id="plain http"),
        pytest.param(OIDC, {"issuer": "https://id.partner.example?a=b"}, "issuer", id="an issuer with a query"),
        pytest.param(OIDC, {"issuer": "https://169.254.169.254/#x"}, "issuer", id="an issuer with a fragment"),
        pytest.param(OIDC, {"scope": ("email",)}, "scope", id="OIDC without openid"),
        pytest.param(
            OIDC, {"token_endpoint": "https://x.example/"}, "token_endpoint", id="an endpoint beside an issuer"
        ),
        pytest.param(OIDC, {"subject_field": "email"}, "subject_field", id="OIDC by another field"),
        pytest.param(OIDC, {"preset": "myspace"}, "preset", id="no such preset"),
        pytest.param(OIDC, {"preset": "github"}, "issuer", id="a preset and what it says itself"),
        pytest.param(OAUTH, {"userinfo_endpoint": None}, "userinfo_endpoint", id="nothing to ask who it was"),
        pytest.param(OAUTH, {"token_endpoint": "ftp://hub.example/"}, "token_endpoint", id="an odd scheme"),
        pytest.param(OAUTH, {"emails_endpoint": "http://hub.example/"}, "emails_endpoint", id="plain http there"),
        pytest.param(OAUTH, {"subject_field": "a.b"}, "subject_field", id="a field that is a path"),
    ],
)
async def test_a_provider_that_could_not_work_is_refused_and_the_option_is_named(sealing, new, changed, field):
    with pytest.raises(OperationError) as refused:
        await providers.add(sealing, replace(new, **changed))
    assert refused.value.field == field
    assert await providers.find_all(sealing) == ()


@pytest.mark.attack(123)
async def test_the_secret_is_sealed_for_this_provider(sealing):
    added = await providers.add(sealing, OIDC)
    assert b"s3cret" not in added.sealed_secret
    async with sealing.engine.read() as tx:
        subkeys = Subkeys(await masters.list_all(tx), load_box(sealing.settings.sealing_key_file))
    assert open_client_secret(subkeys, added.sealed_secret, "partner") == "s3cret"
    assert (added.auth_method, added.scope, added.label) == (
        AuthMethod.BASIC,
        ("openid", "email", "profile"),
        "partner",
    )
    assert (added.allow_sign_up, added.trust_email, added.is_active) == (False, False, True)
    assert await audited(sealing) == ["provider_added"]


@pytest.mark.parametrize("name", PRESETS)
async def test_a_preset_needs_an_id_and_a_secret_only(sealing, name):
    added = await providers.add(sealing, NewProvider(slug=name, client_id="we", client_secret="s", preset=name))
    assert added.label == PRESETS[name].label
    assert added.kind is (ProviderKind.OAUTH if name == "github" else ProviderKind.OIDC)


async def test_a_slug_is_one_provider_s(sealing):
    await providers.add(sealing, OIDC)
    with pytest.raises(OperationError) as refused:
        await providers.add(sealing, replace(OAUTH, slug="partner"))
    assert refused.value.problem is Problem.CONFLICT


async def test_a_public_client_has_no_secret(sealing):
    added = await providers.add(sealing, replace(OIDC, client_secret=None))
    assert (added.auth_method, added.sealed_secret) == (AuthMethod.NONE, None)


async def test_changes_are_asked_the_same_rules_and_who_the_provider_is_never_changes(sealing):
    before = await providers.add(sealing, OIDC)
    after = await providers.update(sealing, "partner", ProviderChanges(label="Partner", enabled=False, position=3))
    assert (after.label, after.is_active, after.position, after.sealed_secret) == (
        "Partner",
        False,
        3,
        before.sealed_secret,
    )
    assert not {"issuer", "userinfo_endpoint", "subject_field", "kind"} & set(ProviderChanges.__dataclass_fields__)
    with pytest.raises(OperationError) as refused:
        await providers.update(sealing, "partner", ProviderChanges(scope=("email",)))
    assert refused.value.field == "scope"
    changed = await providers.update(sealing, "partner", ProviderChanges(client_secret="another", enabled=True))
    assert changed.is_active
    assert changed.sealed_secret != before.sealed_secret
    public = await providers.update(sealing, "partner", ProviderChanges(auth_method=AuthMethod.NONE))
    assert public.sealed_secret is None
    for slug in ("nobody", ""):
        with pytest.raises(OperationError) as refused:
            await providers.update(sealing, slug, ProviderChanges(label="x"))
        assert refused.value.problem is Problem.NOT_FOUND


async def test_a_removal_counts_whom_it_leaves_without_a_way_in(sealing):
    provider = await providers.add(sealing, OIDC)
    user = await make_user(sealing)
    async with sealing.engine.begin() as tx:
        now = await tx.now()
        identity = Identity(
            provider="partner", subject="1", user_id=user.id, account_name=None, created_at=now, last_used_at=None
        )
        await upstream_identities.add(tx, identity)
    assert await providers.count_linked(sealing, "partner") == 1
    rehearsed = await providers.remove(sealing.rehearsing(), "partner")
    assert (rehearsed.provider, rehearsed.linked, rehearsed.left_without) == (provider, 1, 1)
    assert await providers.find_all(sealing) == (provider,)
    assert await providers.remove(sealing, "partner") == rehearsed
    assert await providers.find_all(sealing) == ()
    async with sealing.engine.read() as tx:
        assert await upstream_identities.find(tx, "partner", "1") is None


async def test_without_the_sealing_key_nothing_is_stored(operator):
    with pytest.raises(OperationError):
        await providers.add(operator, OIDC)
    assert await providers.find_all(operator) == ()


async def test_a_check_asks_as_a_sign_in_would(sealing):
    async with FakeProvider() as fake:
        allowed = Settings(
            issuer="https://id.example.org",
            database_url=sealing.settings.database_url,
            sealing_key_file=sealing.settings.sealing_key_file,
            outbound_allow=LOOPBACK,
        )
        there = replace(sealing, settings=allowed)
        await providers.add(there, replace(OIDC, issuer=fake.issuer))
        endpoints = await providers.check(there, "partner")
        assert (endpoints.token, endpoints.jwks) == (f"{fake.issuer}/token", f"{fake.issuer}/jwks")
        for wrong in ({"issuer": "https://other.example"}, {"jwks_uri": f"{fake.issuer}/nothing"}):
            fake.metadata = wrong
            with pytest.raises(OperationError) as refused:
                await providers.check(there, "partner")
            assert refused.value.field == "issuer"
        with pytest.raises(OperationError):  # the settings of this one allow no private address
            await providers.check(sealing, "partner")
    added = await providers.add(sealing, OAUTH)
    assert (await providers.check(sealing, "hub")).token == added.token_endpoint


def test_words_of_options_are_read_strictly():
    assert parse_provider_scope("openid email openid") == ("openid", "email")
    assert parse_auth_method("client_secret_post") is AuthMethod.POST
    for parse, text in ((parse_provider_scope, 'a"b'), (parse_auth_method, "private_key_jwt")):
        with pytest.raises(OperationError):
            parse(text)
