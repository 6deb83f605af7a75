"""An authenticator in software, with the browser before it: ES256, no attestation. A test changes one thing of it."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from html import unescape
from typing import TYPE_CHECKING, Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.features.account_pages import hidden, send
from tests.oauth.examples import ISSUER

if TYPE_CHECKING:
    import httpx2

    from tests.browser_client import Browser
    from tests.server import Server

PRESENT, VERIFIED, ELIGIBLE, SYNCED, NEW = 1, 4, 8, 16, 64
PATH = "/account/passkeys"


def encode(binary: bytes) -> str:
    return urlsafe_b64encode(binary).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


@dataclass(slots=True, kw_only=True)
class Authenticator:
    """One passkey. The counter is the one of its next use; most passkeys say 0 for ever."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    user_handle: bytes | None = None
    counter: int = 0
    flags: int = PRESENT | VERIFIED
    aaguid: bytes = bytes(16)
    rp_id: str | None = None  # None: that of the request, as an honest browser takes it
    origin: str = ISSUER
    type: str | None = None
    client_data: dict[str, object] = field(default_factory=dict)  # what else the browser says

    def create(self, request: dict[str, Any]) -> str:
        """What the browser answers to `navigator.credentials.create`."""
        self.user_handle = decode(request["user"]["id"])
        point = self.key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        new = self.aaguid + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cbor2.dumps(key)
        data = self._data(request["rp"]["id"], self.flags | NEW) + new
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = self._client_data("webauthn.create", request["challenge"])
        return self._answer(
            clientDataJSON=encode(client_data), attestationObject=encode(attestation), transports=["internal"]
        )

    def get(self, request: dict[str, Any]) -> str:
        """What the browser answers to `navigator.credentials.get`."""
        client_data = self._client_data("webauthn.get", request["challenge"])
        data = self._data(request["rpId"], self.flags)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        handle = {"userHandle": encode(self.user_handle)} if self.user_handle is not None else {}
        return self._answer(
            clientDataJSON=encode(client_data), authenticatorData=encode(data), signature=encode(signature), **handle
        )

    def but(self, **changes: object) -> Authenticator:
        return replace(self, **changes)

    def _data(self, rp_id: str, flags: int) -> bytes:
        rp_hash = hashlib.sha256((self.rp_id or rp_id).encode()).digest()
        return rp_hash + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": self.type or kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | self.client_data).encode()

    def _answer(self, **response: object) -> str:
        name = encode(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def read_request(page: httpx2.Response) -> dict[str, Any]:
    """What a page asks the browser for."""
    return json.loads(unescape(re.search(r'data-passkey="([^"]+)"', page.text)[1]))


def read_signal(page: httpx2.Response) -> dict[str, Any]:
    """What a page tells the browser of passkeys."""
    return json.loads(unescape(re.search(r'data-passkey-signal="([^"]+)"', page.text)[1]))


async def add_passkey(server: Server, browser: Browser, authenticator: Authenticator | None = None) -> Authenticator:
    """Add a passkey in a browser in which somebody has just signed in."""
    authenticator = authenticator or Authenticator()
    answer = await send_new(browser, await browser.get(server.issuer + PATH), authenticator)
    assert answer.status_code == 303, answer.text
    return authenticator


async def send_new(browser: Browser, page: httpx2.Response, authenticator: Authenticator) -> httpx2.Response:
    """Let the authenticator make what the page asks for, and send it."""
    number = page.text[: page.text.index("data-passkey=")].count("<form") - 1
    return await send(browser, page, number, passkey=authenticator.create(read_request(page)))


async def use(
    server: Server, browser: Browser, authenticator: Authenticator, page: httpx2.Response | None = None
) -> httpx2.Response:
    """Let the authenticator sign what a page asks for (/login's, unless one is given), and send it."""
    page = page or await browser.get(f"{server.issuer}/login")
    form = hidden(page) | {"passkey": authenticator.get(read_request(page))}
    return await browser.post(str(page.url), form)
