"""An issuer for tests: it makes keys, publishes them over real HTTP on a free port of this machine and signs tokens.

with FakeIssuer() as issuer:
    verify = Verifier(issuer=issuer.url, audience="https://notes.example.com")
    verify.verify(issuer.token("https://notes.example.com", scope="notes.read"))
"""

import json
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from threading import Thread
from typing import Any, Self

from joserfc import jwk
from joserfc.jwa import JWS_ALGORITHMS

_MODELS = {model.name: model for model in JWS_ALGORITHMS}
_METADATA_PATHS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_OK, _NOT_MODIFIED, _NOT_FOUND = 200, 304, 404


def generate_key(algorithm: str = "ES256") -> jwk.Key:
    """A private key for one of ES256, RS256, PS256 and EdDSA, with a random `kid`."""
    parameters: jwk.KeyParameters = {"kid": token_hex(8), "alg": algorithm, "use": "sig"}
    if algorithm == "EdDSA":
        return jwk.OKPKey.generate_key("Ed25519", parameters)
    if algorithm == "ES256":
        return jwk.ECKey.generate_key("P-256", parameters)
    return jwk.RSAKey.generate_key(2048, parameters)


class FakeIssuer:
    """An issuer under the test's control. Everything public may be changed while it runs.

    `keys` are published in order, the last one signs; `metadata` is what discovery answers; `cache_control` goes with
    the key set; `bodies` replaces what a path answers; `status` other than 200 makes every answer that status; `delay`
    is seconds that every answer takes; `requests` counts what was asked, by path. `clock` gives Unix seconds for `iat`
    and `exp`.
    """

    def __init__(self, *keys: jwk.Key, clock: Callable[[], float] = time.time) -> None:
        self.keys = list(keys) or [generate_key()]
        self.cache_control = "max-age=300"
        self.bodies: dict[str, bytes] = {}
        self.status = _OK
        self.delay = 0.0
        self.requests: Counter[str] = Counter()
        self._clock = clock
        self._server = _serve(self, 0)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.metadata: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}

    def __enter__(self) -> Self:
        """Give the issuer, which answers since it was made."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, for good or until `start`."""
        self.stop()

    def stop(self) -> None:
        """Go down: from now on connections are refused."""
        self._server.shutdown()
        self._server.server_close()

    def start(self) -> None:
        """Come back at the same address after `stop`."""
        self._server = _serve(self, int(self.url.rpartition(":")[2]))

    def rotate(self, algorithm: str = "ES256") -> str:
        """Publish a new key beside the old ones and sign with it; return its key id."""
        self.keys.append(generate_key(algorithm))
        return str(self.keys[-1].kid)

    def token(
        self, audience: str, *, scope: str = "", header: Mapping[str, Any] | None = None, **claims: object
    ) -> str:
        """A signed access token of five minutes. `header` and `claims` replace what it says; None leaves that out."""
        now = int(self._clock())
        said = {
            "iss": self.url,
            "sub": "alice",
            "aud": audience,
            "client_id": "notes-app",
            "scope": scope,
            "jti": token_hex(8),
            "iat": now,
            "exp": now + 300,
        } | claims
        return self.sign(json.dumps({k: v for k, v in said.items() if v is not None}).encode(), header)

    def sign(self, payload: bytes, header: Mapping[str, Any] | None = None) -> str:
        """Sign any payload at all, malformed ones too, with the last of `keys`."""
        key = self.keys[-1]
        algorithm = str(key.get("alg"))
        said = {"typ": "at+jwt", "alg": algorithm, "kid": key.kid} | dict(header or {})
        return self.sign_segments(json.dumps({k: v for k, v in said.items() if v is not None}).encode(), payload)

    def sign_segments(self, header: bytes, payload: bytes) -> str:
        """Sign a header and a payload, byte by byte as they are, with the last of `keys`."""
        key = self.keys[-1]
        signing_input = encode_segment(header) + b"." + encode_segment(payload)
        signature = _MODELS[str(key.get("alg"))].sign(signing_input, key)
        return (signing_input + b"." + encode_segment(signature)).decode()

    def answer(self, path: str, if_none_match: str | None) -> tuple[int, dict[str, str], bytes]:
        """What the issuer answers to a GET: status, headers, body."""
        self.requests[path] += 1
        time.sleep(self.delay)
        if self.status != _OK:
            return self.status, {}, b""
        if path in self.bodies:
            return _OK, {"Cache-Control": self.cache_control}, self.bodies[path]
        if path in _METADATA_PATHS:
            return _OK, {}, json.dumps(self.metadata).encode()
        if path != "/jwks":
            return _NOT_FOUND, {}, b""
        etag = '"' + "-".join(str(key.kid) for key in self.keys) + '"'
        headers = {"ETag": etag, "Cache-Control": self.cache_control}
        if if_none_match == etag:
            return _NOT_MODIFIED, headers, b""
        return _OK, headers, json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()


def encode_segment(octets: bytes) -> bytes:
    """Base64url without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(octets).rstrip(b"=")


def _serve(issuer: FakeIssuer, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = issuer.answer(self.path, self.headers.get("If-None-Match"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet: a test's output is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server
