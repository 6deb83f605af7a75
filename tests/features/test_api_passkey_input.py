"""Bodies of /api/login and /api/login/passkey that no browser and no phone sends: each fault is named by its member."""

from __future__ import annotations

import json

import pytest

from tests.features.authenticator import Authenticator, encode
from tests.features.test_api import code_of

SIGNED = json.loads(Authenticator(user_handle=b"x").get({"rpId": "issuer.example", "challenge": "AAAA"}))
RESPONSE = SIGNED["response"]
UNREADABLE = {
    "no object": ("a text", {"/passkey"}),
    "a list": ([], {"/passkey"}),
    "nothing in it": (
        {},
        {"/passkey/id", "/passkey/rawId", "/passkey/type", "/passkey/response"},
    ),
    "another type": (SIGNED | {"type": "password"}, {"/passkey/type"}),
    "an id that is a number": (SIGNED | {"id": 1}, {"/passkey/id"}),
    "an id that is empty": (SIGNED | {"rawId": ""}, {"/passkey/rawId"}),
    "an id with padding": (SIGNED | {"rawId": "AA=="}, {"/passkey/rawId"}),
    "no signature": (
        SIGNED | {"response": {name: text for name, text in RESPONSE.items() if name != "signature"}},
        {"/passkey/response/signature"},
    ),
    "no base64url": (SIGNED | {"response": RESPONSE | {"signature": "ä+/"}}, {"/passkey/response/signature"}),
    "too long": (SIGNED | {"response": RESPONSE | {"signature": "A" * 5000}}, {"/passkey/response/signature"}),
    "a user handle too long": (
        SIGNED | {"response": RESPONSE | {"userHandle": "A" * 87}},
        {"/passkey/response/userHandle"},
    ),
    "client data that is no JSON": (SIGNED | {"response": RESPONSE | {"clientDataJSON": "AAAA"}}, {"/passkey"}),
    "client data without a challenge": (
        SIGNED | {"response": RESPONSE | {"clientDataJSON": encode(b'{"type":"webauthn.get","origin":"x"}')}},
        {"/passkey"},
    ),
    "client data that is deep": (
        SIGNED | {"response": RESPONSE | {"clientDataJSON": encode(b"[" * 3000)}},
        {"/passkey"},
    ),
}


@pytest.mark.parametrize(("signed", "pointers"), UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_named_by_its_member(apps, signed, pointers):
    answer = await apps.post("login", client_id="phone-app", passkey=signed)
    assert (answer.status_code, code_of(answer)) == (422, "fields_invalid")
    assert {fault["pointer"] for fault in answer.json()["errors"]} == pointers


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"passkey": SIGNED, "username": "ann"}, {"/username"}),
        ({"passkey": SIGNED, "username": "ann", "password": "x"}, {"/username", "/password"}),
        ({"passkey": SIGNED, "code": "123456"}, {"/code"}),
        ({"passkey": SIGNED, "auth_session": "asf_x", "code": "123456"}, {"/code"}),
        ({"passkey": SIGNED, "auth_session": "asf_x", "password": "x"}, {"/password"}),
        (
            {"passkey": {}, "password": "x"},
            {"/passkey/id", "/passkey/rawId", "/passkey/type", "/passkey/response", "/password"},
        ),
        ({"passkey": None}, {"/username", "/password"}),
    ],
)
async def test_ways_to_sign_in_are_not_mixed_and_all_faults_are_named(apps, body, pointers):
    answer = await apps.post("login", client_id="phone-app", **body)
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json()["errors"]} == pointers


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "body_malformed"),
        (b"[]", 400, "body_malformed"),
        (b"{}", 422, "fields_invalid"),
        (b'{"client_id": "phone-app", "auth_session": 7}', 422, "fields_invalid"),
        (b'{"client_id": "phone-app", "username": "ann"}', 422, "fields_invalid"),
        (b'{"client_id": "phone-app", "auth_session": "\\u0000"}', 403, "second_factor_over"),
        (b'"' + b"a" * 70_000 + b'"', 413, "body_too_large"),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(apps, content, status, code):
    headers = {"content-type": "application/json"}
    answer = await apps.server.http.post("/api/login/passkey", content=content, headers=headers)
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_a_passkey_too_large_to_be_one_is_not_even_read(apps):
    answer = await apps.post("login", client_id="phone-app", passkey=SIGNED | {"more": "a" * 70_000})
    assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
