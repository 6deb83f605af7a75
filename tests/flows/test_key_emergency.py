"""An operator revokes a leaked key from a shell; two servers in processes of their own follow (SECURITY B17)."""

import json
import time

import httpx2
import pytest

from authserver.jose.compact import parse_compact
from tests.flows.fleet import API, running_fleet

PROMISE = 60  # seconds


@pytest.mark.fault("B17")
def test_every_process_drops_a_revoked_key_and_refuses_what_it_signed(blank_postgresql_url, tmp_path):
    with running_fleet(blank_postgresql_url, tmp_path, 2) as fleet:
        robot = fleet.create_client("robot", "service", None, "--scope", "notes:read")
        credentials = (robot["client_id"], robot["client_secret"])
        addresses = [f"http://127.0.0.1:{node.port}" for node in fleet.nodes]

        def token_of(address):
            form = {"grant_type": "client_credentials", "resource": API}
            return httpx2.post(f"{address}/token", data=form, auth=credentials).json()["access_token"]

        def is_active(address, token):
            return httpx2.post(f"{address}/introspect", data={"token": token}, auth=credentials).json()["active"]

        token = token_of(addresses[0])
        leaked = parse_compact(token).kid
        assert all(is_active(address, token) for address in addresses)
        done = fleet.run("keys", "revoke", leaked, "--emergency", "--yes")
        begin = time.monotonic()
        waiting = set(addresses)
        while waiting and time.monotonic() < begin + PROMISE:
            waiting = {address for address in waiting if leaked in httpx2.get(f"{address}/jwks").text}
            time.sleep(0.05)
        assert not waiting
        for address in addresses:
            assert not is_active(address, token)
            fresh = token_of(address)
            assert parse_compact(fresh).kid == done["signs_now"]
            assert all(is_active(other, fresh) for other in addresses)
        keys = {key["kid"] for key in json.loads(httpx2.get(f"{addresses[0]}/jwks").text)["keys"]}
        assert {done["signs_now"]} < keys
