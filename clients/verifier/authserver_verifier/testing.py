"""An issuer for tests: it makes keys, publishes them over real HTTP on a free port of this machine and signs tokens.

with FakeIssuer() as issuer:
    verify = Verifier(issuer=issuer.url, audience="https://notes.example.com")
    verify.verify(issuer.token("https://notes.example.com", scope="notes.read"))
"""

import json
import time
import zlib
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from threading import Thread
from typing import Any, Self

from joserfc import jwk
from joserfc.jwa import JWS_ALGORITHMS

_MODELS = {model.name: model for model in JWS_ALGORITHMS}
_METADATA_PATHS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
_STATUS_PATH = "/status/1"
_JWK_MEMBERS = frozenset({"kty", "crv", "x", "y", "n", "e"})
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
    is seconds that every answer takes; `requests` counts what was asked, by path. Tokens whose `status` is
    `status_claim(index)` are revoked by `revoked.add(index)`. `clock` gives Unix seconds for `iat` and `exp`.
    """

    def __init__(self, *keys: jwk.Key, clock: Callable[[], float] = time.time) -> None:
        self.keys = list(keys) or [generate_key()]
        self.cache_control = "max-age=300"
        self.bodies: dict[str, bytes] = {}
        self.revoked: set[int] = set()
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

    def status_claim(self, index: int) -> dict[str, Any]:
        """The `status` claim of a token at this index, below 1024, of the issuer's one status list."""
        return {"status_list": {"idx": index, "uri": f"{self.url}{_STATUS_PATH}"}}

    def status_list(self, **claims: object) -> str:
        """The signed status list as it is now, one bit for each token. `claims` replace what it says."""
        statuses = bytearray(128)
        for index in self.revoked:
            statuses[index >> 3] |= 1 << (index & 7)
        now = int(self._clock())
        said = {
            "sub": f"{self.url}{_STATUS_PATH}",
            "iat": now,
            "exp": now + 300,
            "ttl": 10,
            "status_list": {"bits": 1, "lst": encode_segment(zlib.compress(bytes(statuses), 9)).decode()},
        } | claims
        payload = json.dumps({name: value for name, value in said.items() if value is not None})
        return self.sign(payload.encode(), {"typ": "statuslist+jwt"})

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
        if path == _STATUS_PATH:
            return _OK, {"Content-Type": "application/statuslist+jwt"}, self.status_list().encode()
        return self._answer_keys(if_none_match) if path == "/jwks" else (_NOT_FOUND, {}, b"")

    def _answer_keys(self, if_none_match: str | None) -> tuple[int, dict[str, str], bytes]:
        etag = '"' + "-".join(str(key.kid) for key in self.keys) + '"'
        headers = {"ETag": etag, "Cache-Control": self.cache_control}
        if if_none_match == etag:
            return _NOT_MODIFIED, headers, b""
        return _OK, headers, json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()


class ProofKey:
    """A client's DPoP key (RFC 9449): tokens with `cnf={"jkt": key.thumbprint}` need its proofs."""

    def __init__(self, algorithm: str = "ES256", clock: Callable[[], float] = time.time) -> None:
        self._key = generate_key(algorithm)
        self._clock = clock
        self.thumbprint = self._key.thumbprint()

    def proof(
        self, method: str, url: str, token: str, *, header: Mapping[str, Any] | None = None, **claims: object
    ) -> str:
        """A new proof for one request. `header` and `claims` replace what it says; None leaves that out."""
        algorithm = str(self._key.get("alg"))
        public = {name: value for name, value in self._key.as_dict(private=False).items() if name in _JWK_MEMBERS}
        said = {"typ": "dpop+jwt", "alg": algorithm, "jwk": public} | dict(header or {})
        payload = {
            "jti": token_hex(16),
            "htm": method,
            "htu": url,
            "iat": int(self._clock()),
            "ath": encode_segment(sha256(token.encode()).digest()).decode(),
        } | claims
        segments = [
            encode_segment(json.dumps({name: value for name, value in part.items() if value is not None}).encode())
            for part in (said, payload)
        ]
        signing_input = b".".join(segments)
        signature = _MODELS[algorithm].sign(signing_input, self._key)  # whatever the header says of it
        return (signing_input + b"." + encode_segment(signature)).decode()

    def headers(
        self, method: str, url: str, token: str, *, header: Mapping[str, Any] | None = None, **claims: object
    ) -> dict[str, str]:
        """The two headers of a request with this token."""
        return {"authorization": f"DPoP {token}", "dpop": self.proof(method, url, token, header=header, **claims)}


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
