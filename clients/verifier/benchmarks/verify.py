"""CPU microseconds per verified token, beside the floor of one bare signature check in the same run.

    python clients/verifier/benchmarks/verify.py [--rounds 5000]

Process time (user + system), not wall clock: other work on the machine delays it, but is not counted.
Goals: a new ES256 token at most 75 us on the reference machine, a token seen before at most 5 us.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from joserfc import jwk
from joserfc.jwa import JWS_ALGORITHMS

from authserver_verifier import Verifier
from authserver_verifier.jwt import parse_token
from authserver_verifier.testing import FakeIssuer, generate_key

AUDIENCE = "http://localhost:9001"
ALGORITHMS = ("ES256", "EdDSA", "RS256", "PS256")


def microseconds(work: Callable[[str], object], tokens: list[str]) -> float:
    """CPU microseconds per token: the best of three passes, as the others were disturbed."""
    passes = []
    for _ in range(3):
        started = time.process_time()
        for token in tokens:
            work(token)
        passes.append((time.process_time() - started) / len(tokens) * 1e6)
    return min(passes)


def measure(algorithm: str, rounds: int) -> tuple[float, float, float, float]:
    """Return floor, new token, seen token and seen token with a status list, in microseconds."""
    with FakeIssuer(generate_key(algorithm)) as issuer:
        claims: dict[str, Any] = {"jti": "x" * 32, "sid": "s" * 22, "sub": "0199f0a0-0000-7000-8000-000000000000"}
        tokens = [issuer.token(AUDIENCE, scope="api:read api:write", n=n, **claims) for n in range(rounds)]
        public = jwk.import_key(issuer.keys[0].as_dict(private=False))
        model = next(model for model in JWS_ALGORITHMS if model.name == algorithm)
        parsed = parse_token(tokens[0].encode(), frozenset({algorithm}))
        floor = microseconds(lambda _: model.verify(parsed.signing_input, parsed.signature, public), tokens)
        forgetful = Verifier(issuer.url, AUDIENCE, seen_tokens=0)
        new = microseconds(forgetful.verify, tokens)
        remembering = Verifier(issuer.url, AUDIENCE, seen_tokens=rounds)
        seen = microseconds(remembering.verify, tokens)  # the first of three passes fills the memory
        listed = [issuer.token(AUDIENCE, status=issuer.status_claim(n % 1024), **claims) for n in range(rounds)]
        watched = microseconds(Verifier(issuer.url, AUDIENCE, seen_tokens=rounds).verify, listed)
    return floor, new, seen, watched


def main() -> None:
    """Measure every algorithm and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000, help="tokens per pass")
    rounds: int = parser.parse_args().rounds
    print(f"{'CPU us per token':<18}{'bare signature':>16}{'new token':>12}{'ratio':>8}{'seen':>8}{'seen, status':>14}")
    for algorithm in ALGORITHMS:
        floor, new, seen, watched = measure(algorithm, rounds)
        print(f"{algorithm:<18}{floor:>16.1f}{new:>12.1f}{new / floor:>8.2f}{seen:>8.2f}{watched:>14.2f}")


if __name__ == "__main__":
    main()
