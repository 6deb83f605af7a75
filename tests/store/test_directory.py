"""The directory: everything in memory, confirmed by the version row, and never older than it says."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.oauth.values import AuthMethod
from authserver.phases import UnavailableError
from authserver.store import clients, resources, state, upstream_providers
from authserver.store.directory import Directory
from authserver.store.engine import Engine
from tests.store.samples import CLIENT, NOW, RESOURCE, UPSTREAM_PROVIDER

OTHER = replace(CLIENT, client_id="other", secrets=())


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def directory(engine, clock) -> Directory:
    """Give a directory that has polled a database with one client and one resource."""
    async with engine.begin() as tx:
        await clients.add(tx, CLIENT)
        await resources.add(tx, RESOURCE)
    directory = Directory(engine, monotonic=clock)
    await directory.refresh()
    return directory


async def test_clients_and_resources_are_found_without_the_database(engine, directory):
    await engine.close()
    assert directory.find_client(CLIENT.client_id) == CLIENT
    assert directory.find_resource(RESOURCE.identifier) == RESOURCE
    assert (directory.clients, directory.resources) == ((CLIENT,), (RESOURCE,))
    assert directory.find_client("other") is None
    assert directory.find_resource("urn:other") is None


async def test_providers_are_known_in_the_order_of_their_buttons_and_a_disabled_one_is_not(engine, directory):
    first = replace(UPSTREAM_PROVIDER, slug="first", position=0)
    async with engine.begin() as tx:
        await upstream_providers.add(tx, UPSTREAM_PROVIDER)
        await upstream_providers.add(tx, first)
        await upstream_providers.add(tx, replace(first, slug="off", disabled_at=NOW))
    await directory.refresh()
    assert directory.providers == (first, UPSTREAM_PROVIDER)
    assert directory.find_provider("hub") == UPSTREAM_PROVIDER
    assert directory.find_provider("off") is None


@pytest.mark.attack(58)
async def test_changes_of_another_node_are_seen_at_the_next_poll(engine, directory):
    disabled = replace(CLIENT, secrets=())
    async with engine.begin() as tx:
        await clients.add(tx, OTHER)
        await clients.update(tx, disabled)
        await clients.set_disabled(tx, CLIENT.client_id, NOW)
        await resources.delete(tx, RESOURCE.identifier)
    assert directory.find_client(CLIENT.client_id) == CLIENT
    await directory.refresh()
    seen = directory.find_client(CLIENT.client_id)
    assert (seen.disabled_at, seen.secrets) == (NOW, ())
    assert directory.find_client("other") == OTHER
    assert directory.resources == ()


@pytest.mark.attack(58)
async def test_a_deleted_client_is_gone_at_the_next_poll(engine, directory):
    async with engine.begin() as tx:
        await clients.mark_deleted(tx, CLIENT.client_id, NOW)
    await directory.refresh()
    assert directory.find_client(CLIENT.client_id) is None


async def test_a_poll_reads_only_what_has_changed(engine, directory, monkeypatch):
    loaded = []

    async def load_changed(tx, since):
        rows, secrets = await original(tx, since)
        loaded.append([row.client_id for row in rows])
        return rows, secrets

    original = clients.load_changed
    monkeypatch.setattr(clients, "load_changed", load_changed)
    await directory.refresh()
    async with engine.begin() as tx:
        await clients.add(tx, OTHER)
    await directory.refresh()
    assert loaded == [["other"]]


async def test_a_database_that_went_back_in_time_is_read_anew(engine, directory):
    async with engine.begin() as tx:
        await tx.raw("DELETE FROM client_secrets")
        await tx.raw("DELETE FROM clients")
        await tx.raw("UPDATE state SET version = 1")
    await directory.refresh()
    assert directory.clients == ()


async def test_a_client_of_a_moment_ago_is_found_by_everybody_who_asks_with_one_poll(
    engine, directory, clock, monkeypatch
):
    polls = []

    async def load(tx):
        polls.append(1)
        return await original(tx)

    original = state.load
    monkeypatch.setattr(state, "load", load)
    async with engine.begin() as tx:
        await clients.add(tx, OTHER)
    clock.seconds += 1
    found = await asyncio.gather(*(directory.find_client_fresh("other") for _ in range(20)))
    assert found == [OTHER] * 20
    assert len(polls) == 1
    assert await directory.find_client_fresh(CLIENT.client_id) == CLIENT
    assert len(polls) == 1, "a known client costs no poll"


async def test_unknown_clients_cost_ten_polls_a_second_at_the_most(engine, monkeypatch):
    loop = asyncio.get_running_loop()
    directory = Directory(engine)
    began = loop.time()
    await directory.refresh()  # the first poll: the others keep their distance from its beginning
    for _ in range(4):
        assert await directory.find_client_fresh("nobody") is None
    assert loop.time() - began >= 0.35


@pytest.mark.fault("B27")
@pytest.mark.parametrize("column", ["type", "token_endpoint_auth_method", "refresh_token_mode", "logout_scope"])
async def test_a_client_that_a_newer_node_wrote_fails_alone(engine, directory, column):
    async with engine.begin() as tx:
        await clients.add(tx, OTHER)
        await tx.raw(f"UPDATE clients SET {column} = 'of-tomorrow' WHERE client_id = 'notes-web'")
        version = await state.bump(tx)
        await tx.raw(f"UPDATE clients SET version = {version}")
    await directory.refresh()
    assert directory.find_client(CLIENT.client_id) is None, "what cannot be read is not served as it was before"
    assert directory.find_client("other") == OTHER


@pytest.mark.fault("B27")
async def test_an_address_that_cannot_be_read_keeps_nobody_out(engine, directory):
    """One client's row must not stop every process from confirming what it knows."""
    uris = ("https://[:::]/callback", "https://spa.example/callback")
    public = replace(OTHER, token_endpoint_auth_method=AuthMethod.NONE, redirect_uris=uris)
    async with engine.begin() as tx:
        await clients.add(tx, public)
    await directory.refresh()
    assert directory.find_client("other") == public
    assert directory.is_allowed_origin("https://spa.example")


@pytest.mark.fault("B30")
async def test_a_process_that_cannot_confirm_what_it_knows_says_so(directory, clock):
    limit = timedelta(seconds=10)
    clock.seconds += 10
    directory.check_fresh(limit)
    clock.seconds += 0.1
    with pytest.raises(UnavailableError) as caught:
        directory.check_fresh(limit)
    assert caught.value.refusal == "server_stale"
    await directory.refresh()
    directory.check_fresh(limit)


@pytest.mark.fault("B30")
async def test_a_poll_that_fails_confirms_nothing_and_forgets_nothing(tmp_path, clock):
    engine = Engine.open(f"sqlite:///{tmp_path / 'gone.sqlite3'}")
    directory = Directory(engine, monotonic=clock)
    with pytest.raises(UnavailableError):
        await directory.refresh()
    with pytest.raises(UnavailableError):
        directory.check_fresh(timedelta(days=1))
    await engine.close()


async def test_a_listener_that_fails_is_asked_again_at_the_next_poll(engine, directory):
    heard = []

    async def listen() -> None:
        heard.append(directory.find_client("other"))
        if len(heard) == 1:
            raise ZeroDivisionError

    directory.on_change(listen)
    await directory.refresh()
    assert heard == [], "nothing has changed"
    async with engine.begin() as tx:
        await clients.add(tx, OTHER)
    with pytest.raises(ZeroDivisionError):
        await directory.refresh()
    await directory.refresh()
    assert heard == [OTHER, OTHER]


@pytest.mark.attack(125)
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://notes.example", True),
        ("http://localhost:5173", True),
        ("http://127.0.0.1:5173", True),
        ("https://notes.example:8443", False),
        ("http://notes.example", False),
        ("http://plain.example", False),
        ("https://evil.example", False),
        ("com.example.app://", False),
        ("null", False),
        ("", False),
    ],
)
async def test_scripts_of_public_clients_origins_may_ask_and_no_others(engine, directory, origin, allowed):
    uris = ("https://notes.example/cb", "http://localhost:5173/cb", "http://127.0.0.1:5173/cb", "com.example.app:/cb")
    async with engine.begin() as tx:
        await clients.update(tx, replace(CLIENT, redirect_uris=(*uris, "http://plain.example/cb")))
        confidential = replace(
            OTHER, token_endpoint_auth_method=AuthMethod.BASIC, redirect_uris=("https://evil.example/",)
        )
        await clients.add(tx, confidential)
    await directory.refresh()
    assert directory.is_allowed_origin(origin) is allowed
    async with engine.begin() as tx:
        await clients.set_disabled(tx, CLIENT.client_id, NOW)
    await directory.refresh()
    assert not directory.is_allowed_origin(origin), "a client that was turned off has no origin"


@pytest.mark.attack(116)
async def test_passkeys_are_for_the_organisations_own_apps_also_for_those_that_ask_by_their_server(engine, directory):
    own = replace(OTHER, first_party=True, token_endpoint_auth_method=AuthMethod.BASIC)
    uris = ("https://shop.example/callback", "com.example.app:/callback")
    async with engine.begin() as tx:
        await clients.update(tx, replace(CLIENT, first_party=False))
        await clients.add(tx, replace(own, redirect_uris=uris))
    await directory.refresh()
    assert directory.passkey_origins == {"https://shop.example"}
    assert not directory.is_first_party_origin("https://shop.example")
    async with engine.begin() as tx:
        await clients.set_disabled(tx, OTHER.client_id, NOW)
    await directory.refresh()
    assert directory.passkey_origins == frozenset()
