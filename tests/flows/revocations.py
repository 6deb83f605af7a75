"""How long a revoked token goes on being taken: from the 200 of /revoke to the first 401 of a resource server."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from authserver.jose.compact import encode_base64url
from tests.browser_client import Browser
from tests.flows.fleet import ANSWER_SECONDS, CALLBACK, Fleet, sign_in

ASK_EVERY = 0.2  # seconds between two requests with one token
GIVE_UP_AFTER = 60.0
METADATA = {"redirect_uris": [CALLBACK], "scope": "notes:read"}


async def measure_revocations(fleet: Fleet, resource_server: str, count: int, spread: float) -> list[float]:
    """Get so many tokens, each of its own grant, revoke them within ``spread`` seconds, and return how long each took.

    All tokens are in use from the beginning, so the resource server holds the list they stand in.
    """
    created = fleet.create_client("Revoked", "web", METADATA, "--first-party")
    limits = httpx2.Limits(max_connections=20)
    async with httpx2.AsyncClient(base_url=fleet.issuer, timeout=ANSWER_SECONDS) as http:
        tokens = await _fetch_tokens(fleet, http, created, count)
        async with httpx2.AsyncClient(limits=limits, timeout=ANSWER_SECONDS) as api:
            await asyncio.gather(*(_ask_once(api, resource_server, token) for token in tokens))
            delays = [spread * number / count for number in range(count)]
            return await asyncio.gather(
                *(
                    _revoke(http, api, resource_server, created, token, delay)
                    for token, delay in zip(tokens, delays, strict=True)
                )
            )


async def _fetch_tokens(fleet: Fleet, http: httpx2.AsyncClient, created: dict[str, str], count: int) -> Sequence[str]:
    browser = Browser(http, fleet.issuer)
    tokens = []
    for _ in range(count):
        verifier = secrets.token_urlsafe(48)
        request = {
            "response_type": "code",
            "client_id": created["client_id"],
            "redirect_uri": CALLBACK,
            "scope": "notes:read",
            "code_challenge": encode_base64url(sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        location = await sign_in(browser, f"{fleet.issuer}/authorize?{urlencode(request)}")
        (code,) = parse_qs(urlsplit(location).query)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
        }
        answer = await http.post("/token", data=form, auth=(created["client_id"], created["client_secret"]))
        tokens.append(answer.raise_for_status().json()["access_token"])
    return tokens


async def _ask_once(api: httpx2.AsyncClient, url: str, token: str) -> None:
    answer = await api.get(url, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.headers


async def _revoke(
    http: httpx2.AsyncClient, api: httpx2.AsyncClient, url: str, created: dict[str, str], token: str, delay: float
) -> float:
    headers = {"authorization": f"Bearer {token}"}
    revoke_at = time.monotonic() + delay
    while time.monotonic() < revoke_at:  # an app that goes on using its token
        assert (await api.get(url, headers=headers)).status_code == 200, "refused before it was revoked"
        await asyncio.sleep(min(ASK_EVERY, max(0.0, revoke_at - time.monotonic())))
    answer = await http.post("/revoke", data={"token": token}, auth=(created["client_id"], created["client_secret"]))
    assert answer.status_code == 200
    revoked_at = time.monotonic()
    while time.monotonic() - revoked_at < GIVE_UP_AFTER:
        if (await api.get(url, headers=headers)).status_code == 401:
            return time.monotonic() - revoked_at
        await asyncio.sleep(ASK_EVERY)
    raise AssertionError("a revoked token is still taken")
