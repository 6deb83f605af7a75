"""What authenticators say is read without surprises: whatever they say, it is a refusal or a value."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import OAuthError
from authserver.passkeys import (
    RelyingParty,
    check_assertion,
    check_registration,
    find_relying_party,
    parse_assertion,
    parse_registration,
)
from tests.features.authenticator import Authenticator, decode, encode
from tests.oauth.examples import ISSUER

PARTY = find_relying_party(ISSUER)
ONE = Authenticator()
NEW = ONE.create({"rp": {"id": PARTY.rp_id}, "user": {"id": "AAAA"}, "challenge": "AAAA"})
USED = ONE.get({"rpId": PARTY.rp_id, "challenge": "AAAA"})
KEY = check_registration(parse_registration(NEW), PARTY)


def test_what_is_right_is_taken():
    assert KEY.credential_id == ONE.credential_id
    assert KEY.transports == ("internal",)
    use = check_assertion(parse_assertion(USED), PARTY, KEY.public_key, verify=True)
    assert (use.sign_count, use.user_verified, use.backed_up) == (0, True, False)


@pytest.mark.parametrize(
    ("issuer", "party"),
    [
        ("https://id.example.org", RelyingParty(rp_id="id.example.org", origins=("https://id.example.org",))),
        ("https://id.example.org:8443", RelyingParty(rp_id="id.example.org", origins=("https://id.example.org:8443",))),
        ("http://localhost:9000", RelyingParty(rp_id="localhost", origins=("http://localhost:9000",))),
        ("http://127.0.0.1:9000", None),
        ("http://[::1]:9000", None),
    ],
)
def test_the_host_of_the_issuer_asks_for_passkeys(issuer, party):
    assert find_relying_party(issuer) == party


def answers(good: str, *binary: str):
    """Documents like a good one: any JSON at all, one member changed, or one byte of a binary one."""
    document = json.loads(good)
    anything = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)
    changed = st.tuples(st.sampled_from(list(document)), anything).map(lambda pair: document | {pair[0]: pair[1]})
    inside = st.tuples(st.sampled_from(list(document["response"])), anything).map(
        lambda pair: document | {"response": document["response"] | {pair[0]: pair[1]}}
    )
    bent = st.tuples(st.sampled_from(binary), st.integers(0, 10_000), st.integers(0, 255)).map(
        lambda which: document | {"response": document["response"] | bend(document["response"], *which)}
    )
    return st.one_of(
        st.text(), anything.map(json.dumps), changed.map(json.dumps), inside.map(json.dumps), bent.map(json.dumps)
    )


def bend(response: dict[str, str], name: str, place: int, value: int) -> dict[str, str]:
    binary = bytearray(decode(response[name]))
    binary[place % len(binary)] = value
    return {name: encode(bytes(binary))}


@pytest.mark.attack(116)
@given(answers(USED, "clientDataJSON", "authenticatorData", "signature"))
def test_no_answer_escapes_as_another_exception(text):
    with contextlib.suppress(OAuthError):
        check_assertion(parse_assertion(text), PARTY, KEY.public_key, verify=True)


@pytest.mark.attack(116)
@given(answers(NEW, "clientDataJSON", "attestationObject"))
def test_no_new_passkey_escapes_as_another_exception(text):
    with contextlib.suppress(OAuthError):
        key = check_registration(parse_registration(text), PARTY)
        with contextlib.suppress(OAuthError):  # whatever key was taken can be tried
            check_assertion(parse_assertion(USED), PARTY, key.public_key, verify=True)


def test_the_pages_ask_for_passkeys_without_the_library():
    program = (
        "import sys, authserver.app; from authserver.passkeys import build_request, find_relying_party;"
        "build_request(find_relying_party('https://id.example.org'), b'x', verify=True);"
        "print('webauthn' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
