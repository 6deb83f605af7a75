"""Apps: registered by their type's defaults, judged as a whole at every change, their secrets shown once."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from authserver.oauth.values import AuthMethod, ClientType, Resource
from authserver.operations import clients, resources
from authserver.operations.client_credentials import (
    SECRET_LIFETIME,
    check_client_id,
    is_live,
    make_client_id,
    record_secret,
    rotate,
)
from authserver.operations.clients import ListChange
from authserver.operations.errors import OperationError, Problem
from tests.operations.rows import add_grant, add_session, audited, live_grants, make_user

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CALLBACK = "https://notes.example/callback"
NOTES = {"client_name": "Notes", "redirect_uris": [CALLBACK]}
API = Resource(identifier="https://api.example.org", name="API", scope=frozenset({"api:read", "api:write"}))


async def make(operator, offer, document=None, client_type=ClientType.WEB, **more):
    return await clients.create(
        operator, offer, NOTES if document is None else document, client_type=client_type, **more
    )


def hash_of(secret):
    return hashlib.sha256(secret.encode()).digest()


@pytest.mark.parametrize(
    ("client_type", "method", "grant_types", "application_type"),
    [
        (ClientType.WEB, AuthMethod.BASIC, {"authorization_code", "refresh_token"}, "web"),
        (ClientType.SPA, AuthMethod.NONE, {"authorization_code", "refresh_token"}, "web"),
        (ClientType.NATIVE, AuthMethod.NONE, {"authorization_code", "refresh_token"}, "native"),
        (ClientType.SERVICE, AuthMethod.BASIC, {"client_credentials"}, "web"),
    ],
)
async def test_a_type_decides_what_is_not_said(operator, offer, client_type, method, grant_types, application_type):
    document = {"client_name": "Robot"} if client_type is ClientType.SERVICE else NOTES
    made = await make(operator, offer, document, client_type)
    client = made.client
    assert client.type is client_type
    assert client.token_endpoint_auth_method is method
    assert client.grant_types == grant_types
    assert client.application_type == application_type
    assert client.id_token_signed_response_alg == "ES256"
    assert (made.client_secret is None) == client.is_public
    assert await clients.get(operator, client.client_id) == client


async def test_a_document_overrides_the_type_s_defaults(operator, offer):
    document = NOTES | {"token_endpoint_auth_method": "client_secret_post", "refresh_token_mode": "keep"}
    client = (await make(operator, offer, document)).client
    assert client.token_endpoint_auth_method is AuthMethod.POST
    assert client.refresh_token_mode.value == "keep"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        pytest.param({"client_name": "Notes"}, "redirect_uris", id="nowhere to return to"),
        pytest.param(NOTES | {"redirect_uris": ["http://evil.example/cb"]}, "redirect_uris", id="http"),
        pytest.param(NOTES | {"redirect_uris": ["javascript:alert(1)"]}, "redirect_uris", id="script"),
        pytest.param(NOTES | {"scope": "openid nothing:read"}, "scope", id="a scope of no resource"),
        pytest.param(NOTES | {"grant_types": ["password"]}, "grant_types", id="a grant type that is not offered"),
        pytest.param(NOTES | {"refresh_token_mode": "forever"}, "refresh_token_mode", id="an unknown mode"),
        pytest.param(
            NOTES
            | {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "EC", "crv": "P-256"}]}},
            "jwks",
            id="a key that is none",
        ),
    ],
)
async def test_what_breaks_a_rule_is_not_registered(operator, offer, document, field):
    with pytest.raises(OperationError) as refused:
        await make(operator, offer, document)
    assert refused.value.field == field
    assert await clients.find_all(operator) == ()


async def test_a_secret_is_shown_once_and_stored_as_its_hash(operator, offer):
    made = await make(operator, offer)
    assert len(made.client_secret) >= 43
    stored = await clients.get(operator, made.client.client_id)
    assert [secret.secret_hash for secret in stored.secrets] == [hash_of(made.client_secret)]
    assert [secret.expires_at - secret.created_at for secret in stored.secrets] == [SECRET_LIFETIME]


def test_a_client_id_never_looks_like_a_user_s_sub():
    for _ in range(200):
        client_id = make_client_id()
        check_client_id(client_id)
        with pytest.raises(ValueError, match="badly formed"):
            UUID(client_id)
    for taken in (
        "0193a5c2-7c1e-7b64-a1f0-6a3a9f0c2b11",
        "0193a5c27c1e7b64a1f06a3a9f0c2b11",
        "",
        "a b",
        "a:b",
        "x" * 101,
    ):
        with pytest.raises(OperationError):
            check_client_id(taken)


@pytest.mark.attack(58)
async def test_after_a_rotation_two_secrets_live_for_the_overlap_and_never_three(operator, offer):
    first = await make(operator, offer)
    client_id = first.client.client_id
    second = await clients.rotate_secret(operator, client_id, overlap=timedelta(hours=1))
    stored = await clients.get(operator, client_id)
    assert {secret.secret_hash for secret in stored.secrets} == {
        hash_of(first.client_secret),
        hash_of(second.client_secret),
    }
    old = next(secret for secret in stored.secrets if secret.secret_hash == hash_of(first.client_secret))
    assert timedelta(minutes=59) < old.expires_at - stored.updated_at <= timedelta(hours=1)
    third = await clients.rotate_secret(operator, client_id, overlap=timedelta(hours=1))
    stored = await clients.get(operator, client_id)
    assert {secret.secret_hash for secret in stored.secrets} == {
        hash_of(second.client_secret),
        hash_of(third.client_secret),
    }
    last = await clients.rotate_secret(operator, client_id, overlap=timedelta(0))
    stored = await clients.get(operator, client_id)
    assert [secret.secret_hash for secret in stored.secrets] == [hash_of(last.client_secret)]


def test_an_overlap_never_lengthens_a_secret_s_life():
    old = replace(record_secret("old", NOW - timedelta(days=399)), expires_at=NOW + timedelta(hours=1))
    kept, new = rotate([old], record_secret("new", NOW), overlap=timedelta(days=7))
    assert kept.expires_at == NOW + timedelta(hours=1)
    assert is_live(kept, NOW + timedelta(minutes=59))
    assert not is_live(kept, kept.expires_at), "expired this very second"
    assert new.secret_hash == hash_of("new")


async def test_a_public_client_has_no_secret_to_rotate(operator, offer):
    made = await make(operator, offer, client_type=ClientType.SPA)
    with pytest.raises(OperationError) as refused:
        await clients.rotate_secret(operator, made.client.client_id, overlap=timedelta(0))
    assert refused.value.field == "token_endpoint_auth_method"


async def test_a_client_gets_and_loses_its_secret_with_the_way_it_authenticates(operator, offer):
    client_id = (await make(operator, offer)).client.client_id
    public = await clients.update(operator, offer, client_id, {"token_endpoint_auth_method": "none"})
    assert public.client_secret is None
    assert (await clients.get(operator, client_id)).secrets == ()
    again = await clients.update(operator, offer, client_id, {"token_endpoint_auth_method": "client_secret_basic"})
    stored = await clients.get(operator, client_id)
    assert [secret.secret_hash for secret in stored.secrets] == [hash_of(again.client_secret)]
    kept = await clients.update(operator, offer, client_id, {"client_name": "Other"})
    assert kept.client_secret is None
    assert (await clients.get(operator, client_id)).secrets == stored.secrets


async def test_lists_are_changed_item_by_item_and_the_result_is_judged(operator, offer):
    await resources.create(operator, API)
    client_id = (await make(operator, offer, NOTES | {"scope": "openid api:read"})).client.client_id
    changes = [
        ListChange("redirect_uris", add=("http://localhost:3001/callback",), remove=(CALLBACK,)),
        ListChange("scope", add=("api:write",), remove=("openid",)),
    ]
    after = (await clients.update(operator, offer, client_id, {}, changes)).client
    assert after.redirect_uris == ("http://localhost:3001/callback",)
    assert after.scope == {"api:read", "api:write"}
    for refused_change in (
        ListChange("redirect_uris", remove=("http://localhost:3001/callback",)),
        ListChange("redirect_uris", add=("https://*.example/cb",)),
        ListChange("redirect_uris", remove=("https://never.example/",)),
        ListChange("scope", add=("nothing:here",)),
    ):
        with pytest.raises(OperationError) as refused:
            await clients.update(operator, offer, client_id, {}, [refused_change])
        assert refused.value.field == refused_change.member
    assert await clients.get(operator, client_id) == after


async def test_null_returns_a_member_to_its_default(operator, offer):
    client_id = (await make(operator, offer, NOTES | {"access_token_lifetime": 60})).client.client_id
    after = await clients.update(operator, offer, client_id, {"access_token_lifetime": None})
    assert after.client.lifetimes.access_token is None


async def test_an_update_that_changes_nothing_is_not_audited(operator, offer):
    client_id = (await make(operator, offer)).client.client_id
    await clients.update(operator, offer, client_id, {"client_name": "Notes"})
    assert await audited(operator) == ["client_created"]


@pytest.mark.attack(58)
async def test_a_deleted_client_loses_its_secrets_and_its_users_grants_at_once(operator, offer):
    user = await make_user(operator)
    gone, stays = [(await make(operator, offer)).client.client_id for _ in range(2)]
    session = await add_session(operator, user)
    for client_id in (gone, gone, stays):
        await add_grant(operator, user, session, client_id=client_id)
    assert (await clients.delete(operator.rehearsing(), gone)).grants == 2
    assert len(await live_grants(operator, user)) == 3
    assert (await clients.delete(operator, gone)).grants == 2
    assert [grant.client_id for grant in await live_grants(operator, user)] == [stays]
    assert [client.client_id for client in await clients.find_all(operator)] == [stays]
    for call in (
        clients.get(operator, gone),
        clients.delete(operator, gone),
        clients.rotate_secret(operator, gone, overlap=timedelta(0)),
        clients.update(operator, offer, gone, {"client_name": "Back"}),
    ):
        with pytest.raises(OperationError) as refused:
            await call
        assert refused.value.problem is Problem.NOT_FOUND
    with pytest.raises(OperationError) as refused:
        await make(operator, offer, client_id=gone)
    assert refused.value.problem is Problem.CONFLICT, "its id is never given to another one"
