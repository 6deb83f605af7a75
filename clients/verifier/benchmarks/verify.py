"""CPU microseconds per verified token, beside the floor of one bare signature check in the same run.

    python clients/verifier/benchmarks/verify.py [--rounds 5000]

Process time (user + system), not wall clock: other work on the machine delays it, but is not counted. The floor is what
`cryptography` takes for the signature alone, with the key, the algorithm and the signature's form prepared beforehand.
Goals: a new ES256 token at most 75 us on a machine that makes an ES256 signature in 20 us, a token seen before at most
5 us. What making one takes here is measured too, and the line below the table computes from it what the reference
machine would need: nothing was measured there.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from authserver_verifier import ProtectedRequest, Verifier, require
from authserver_verifier.jwt import parse_token
from authserver_verifier.testing import FakeIssuer, generate_key

AUDIENCE = "http://localhost:9001"
SCHEMES: dict[str, tuple[object, ...]] = {
    "ES256": (ECDSA(SHA256()),),
    "EdDSA": (),
    "RS256": (PKCS1v15(), SHA256()),
    "PS256": (PSS(mgf=MGF1(SHA256()), salt_length=32), SHA256()),
}
COLUMNS = ("bare signature", "new token", "above it", "ratio", "seen", "seen, status", "seen, request")
PASSES = 5
REFERENCE_SIGNATURE = 20.0  # microseconds for making an ES256 signature where the goals were set
REQUIREMENT = require(["api:read"])

Work = tuple[Callable[[Any], object], list[Any]]


def microseconds(works: Iterable[Work]) -> list[float]:
    """CPU microseconds per item for each kind of work: the best of the passes, as the others were disturbed.

    The kinds take turns, so that what disturbs the machine for a while disturbs each of them.
    """
    passes = [[_pass(*work) for work in works] for _ in range(PASSES)]
    return [min(column) for column in zip(*passes, strict=True)]


def _pass(work: Callable[[Any], object], items: list[Any]) -> float:
    started = time.process_time()
    for item in items:
        work(item)
    return (time.process_time() - started) / len(items) * 1e6


def measure(algorithm: str, rounds: int) -> list[float]:
    """Return floor, new token, seen token, seen token with a status list, and a request with a seen token."""
    with FakeIssuer(generate_key(algorithm)) as issuer:
        claims: dict[str, Any] = {"jti": "x" * 32, "sid": "s" * 22, "sub": "0199f0a0-0000-7000-8000-000000000000"}
        tokens = [issuer.token(AUDIENCE, scope="api:read api:write", n=n, **claims) for n in range(rounds)]
        listed = [issuer.token(AUDIENCE, status=issuer.status_claim(n % 1024), **claims) for n in range(rounds)]
        public: Any = issuer.keys[0].public_key
        scheme = SCHEMES[algorithm]
        forgetful = Verifier(issuer.url, AUDIENCE, seen_tokens=0)
        seen, watched = (Verifier(issuer.url, AUDIENCE, seen_tokens=rounds) for _ in range(2))
        return microseconds(  # the first pass fills the memories of tokens seen before
            [
                (lambda signed: public.verify(*signed, *scheme), [_signed(token, algorithm) for token in tokens]),
                (forgetful.verify, tokens),
                (seen.verify, tokens),
                (watched.verify, listed),
                (lambda token: seen.authorize(_request(token), REQUIREMENT), tokens),
            ]
        )


def measure_signing(rounds: int) -> float:
    """Return what making one ES256 signature takes: the yardstick by which machines are compared."""
    key = generate_private_key(SECP256R1())
    algorithm = ECDSA(SHA256())
    messages = [b"%0500d" % number for number in range(rounds)]
    return microseconds([(lambda message: key.sign(message, algorithm), messages)])[0]


def _signed(token: str, algorithm: str) -> tuple[bytes, bytes]:
    """Return a token's signature as `cryptography` takes it, and what was signed."""
    parsed = parse_token(token.encode(), frozenset({algorithm}))
    signature = parsed.signature
    if algorithm == "ES256":
        signature = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    return signature, parsed.signing_input


def _request(token: str) -> ProtectedRequest:
    headers = ((b"host", b"localhost:9001"), (b"authorization", b"Bearer " + token.encode()))
    return ProtectedRequest(method="GET", path="/notes", query=b"", headers=headers)


def main() -> None:
    """Measure every algorithm and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000, help="tokens per pass")
    rounds: int = parser.parse_args().rounds
    print(f"{'CPU us per token':<16}" + "".join(f"{column:>15}" for column in COLUMNS))
    new_tokens: dict[str, float] = {}
    for algorithm in SCHEMES:
        floor, new, seen, watched, request = measure(algorithm, rounds)
        new_tokens[algorithm] = new
        figures = (floor, new, new - floor, new / floor, seen, watched, request)
        print(f"{algorithm:<16}" + "".join(f"{figure:>15.2f}" for figure in figures))
    signing = measure_signing(rounds)
    scaled = new_tokens["ES256"] * REFERENCE_SIGNATURE / signing
    print(
        f"Making an ES256 signature takes {signing:.1f} us here. Computed, not measured: where it takes "
        f"{REFERENCE_SIGNATURE:.0f} us, a new ES256 token would cost {scaled:.1f} us."
    )


if __name__ == "__main__":
    main()
