"""Logout tokens and the answers to them (OpenID Connect Back-Channel Logout §2.4, §2.5, §2.8)."""

from datetime import timedelta
from uuid import UUID

import pytest

from authserver.oauth.id_token_hint import read_id_token_hint
from authserver.oauth.logout_token import (
    LIFETIME,
    RETRIES,
    Outcome,
    build_logout_token_claims,
    judge_answer,
    retry_after,
)
from tests.oauth.examples import ISSUER, NOW, SESSION, USER

JTI = UUID("01890000-0000-7000-8000-0000000000aa")
CLAIMS = build_logout_token_claims(
    issuer=ISSUER, client_id="web-client", subject=USER.sub, session_id=SESSION.id, jti=JTI, now=NOW
)


def test_the_claims_of_a_logout_token():
    issued_at = int(NOW.timestamp())
    assert {
        "iss": ISSUER,
        "sub": USER.sub,
        "aud": "web-client",
        "iat": issued_at,
        "exp": issued_at + 120,
        "jti": str(JTI),
        "sid": str(SESSION.id),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    } == CLAIMS


@pytest.mark.attack(97)
def test_it_lives_two_minutes_at_most_and_passes_for_no_id_token():
    assert timedelta(0) < LIFETIME <= timedelta(minutes=2)
    assert "nonce" not in CLAIMS
    assert read_id_token_hint(CLAIMS) is None
    assert read_id_token_hint({name: value for name, value in CLAIMS.items() if name != "events"}) is not None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(200, Outcome.DELIVERED, id="200"),
        pytest.param(204, Outcome.DELIVERED, id="204 of a framework"),
        pytest.param(400, Outcome.REFUSED, id="400"),
        *(pytest.param(status, Outcome.MISSED, id=str(status)) for status in (201, 302, 401, 404, 408, 429, 500, 503)),
    ],
)
def test_what_an_answer_means(status, outcome):
    assert judge_answer(status) is outcome


def test_tries_go_on_for_a_day_with_ever_longer_waits():
    waits = [retry_after(attempts) for attempts in range(1, len(RETRIES) + 2)]
    assert waits == [*RETRIES, None]
    assert list(RETRIES) == sorted(RETRIES)
    assert timedelta(hours=23) < sum(RETRIES, timedelta(0)) < timedelta(hours=25)
