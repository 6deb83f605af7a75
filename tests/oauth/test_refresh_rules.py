"""DESIGN §5, row by row, each at its boundary (RFC 6749 §6, RFC 9700 §4.14.2)."""

import hashlib
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.refresh_rules import (
    DATABASE_LOST_COMMITS,
    REASON_REUSED,
    PresentedToken,
    RefreshAllowed,
    RefreshRefused,
    RefreshRule,
    RefreshTerms,
    RowChange,
    Successor,
    decide_refresh,
    whole_seconds,
)
from authserver.oauth.values import Authorization, Grant, RefreshMode, RefreshPolicy

NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, UTC)
IDLE = timedelta(days=1)
GRACE = timedelta(seconds=10)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
SECRET_HASH = hashlib.sha256(b"secret").digest()

GRANT = Grant(
    id=UUID(int=7),
    client_id="app",
    user_id=UUID(int=8),
    session_id=UUID(int=9),
    scope=frozenset({"openid", "api:read"}),
    resources=("https://api.example",),
    acr="1",
    amr=("pwd",),
    auth_time=NOW - HOUR,
    secret_hash=SECRET_HASH,
    generation=5,
    rotated_at=NOW - HOUR,
    expires_at=NOW + timedelta(days=29),
    created_at=NOW - timedelta(days=1),
)
TOKEN = PresentedToken(secret_hash=SECRET_HASH, generation=5, issued_at=whole_seconds(GRANT.rotated_at))
TERMS = RefreshTerms(mode=RefreshMode.ROTATE, policy=RefreshPolicy.LOST_RESPONSE, idle=IDLE, grace=GRACE)
STRICT = replace(TERMS, policy=RefreshPolicy.STRICT)
LENIENT_ONCE = replace(TERMS, policy=RefreshPolicy.GRACE)
KEEP = replace(TERMS, mode=RefreshMode.KEEP)
REUSE = replace(TERMS, mode=RefreshMode.REUSE)
AUTHORIZATION = Authorization(
    subject=str(GRANT.user_id),
    scope=frozenset({"api:read"}),
    audience=GRANT.resources,
    access_token_lifetime=timedelta(minutes=5),
    grant_id=GRANT.id,
)


def decide(token=TOKEN, grant=GRANT, terms=TERMS, *, client_id="app", bound_key=None, now=NOW):
    return decide_refresh(token, grant, client_id=client_id, bound_key=bound_key, terms=terms, now=now)


def presented(t, issued_at=TOKEN.issued_at):
    return replace(TOKEN, generation=t, issued_at=issued_at)


REVOKED = replace(GRANT, revoked_at=NOW - HOUR, reason="logout")
DPOP_BOUND = replace(GRANT, bound_key="jkt:one")
MTLS_BOUND = replace(GRANT, bound_key="x5t#S256:one")
FRESH = replace(GRANT, rotated_at=NOW - GRACE + TICK)  # the last moment of grace
STALE = replace(GRANT, rotated_at=NOW - GRACE)  # the first moment after


@pytest.mark.attack(44)
@pytest.mark.parametrize(
    ("call", "rule", "refusal", "error"),
    [
        pytest.param({"token": None, "grant": None}, "0", Refusal.REFRESH_TOKEN_MALFORMED, "invalid_grant", id="0"),
        pytest.param({"grant": None}, "1", Refusal.REFRESH_TOKEN_UNKNOWN, "invalid_grant", id="1 no row"),
        pytest.param(
            {"token": replace(TOKEN, secret_hash=hashlib.sha256(b"other").digest())},
            "1",
            Refusal.REFRESH_TOKEN_UNKNOWN,
            "invalid_grant",
            id="1 another secret",
        ),
        pytest.param(
            {"client_id": "other"}, "1", Refusal.REFRESH_TOKEN_OF_ANOTHER_CLIENT, "invalid_grant", id="1 other client"
        ),
        pytest.param(
            {"client_id": "other", "grant": REVOKED},
            "1",
            Refusal.REFRESH_TOKEN_OF_ANOTHER_CLIENT,
            "invalid_grant",
            id="1 before 2: another client does not learn that it is revoked",
        ),
        pytest.param(
            {"grant": DPOP_BOUND, "bound_key": "jkt:two"},
            "1",
            Refusal.REFRESH_TOKEN_BINDING,
            "invalid_dpop_proof",
            id="1 9449-5 another DPoP key",
        ),
        pytest.param(
            {"grant": DPOP_BOUND}, "1", Refusal.REFRESH_TOKEN_BINDING, "invalid_dpop_proof", id="1 no DPoP proof"
        ),
        pytest.param(
            {"grant": MTLS_BOUND, "bound_key": "x5t#S256:two"},
            "1",
            Refusal.REFRESH_TOKEN_BINDING,
            "invalid_grant",
            id="1 8705-4 another certificate",
        ),
        pytest.param({"grant": REVOKED}, "2", Refusal.GRANT_REVOKED, "invalid_grant", id="2 revoked"),
        pytest.param(
            {"grant": replace(GRANT, expires_at=NOW)},
            "2",
            Refusal.REFRESH_TOKEN_EXPIRED,
            "invalid_grant",
            id="2 absolute end this very moment",
        ),
        pytest.param(
            {"grant": replace(GRANT, rotated_at=NOW - IDLE)},
            "2",
            Refusal.REFRESH_TOKEN_EXPIRED,
            "invalid_grant",
            id="2 idle this very moment",
        ),
        pytest.param(
            {"grant": replace(GRANT, expires_at=NOW), "token": presented(9)},
            "2",
            Refusal.REFRESH_TOKEN_EXPIRED,
            "invalid_grant",
            id="2 before 3: a failover does not lengthen a grant",
        ),
        pytest.param(
            {"grant": replace(GRANT, rotated_at=NOW - IDLE), "token": presented(9, NOW - IDLE)},
            "2",
            Refusal.REFRESH_TOKEN_EXPIRED,
            "invalid_grant",
            id="2 before 3: idle by the token's own word",
        ),
        pytest.param(
            {"terms": KEEP, "token": presented(2, NOW - IDLE)},
            "3c",
            Refusal.REFRESH_TOKEN_EXPIRED,
            "invalid_grant",
            id="3c kept until this very moment",
        ),
    ],
)
def test_a_refresh_is_refused_and_the_row_stays(call, rule, refusal, error):
    refused = decide(**call)
    assert isinstance(refused, RefreshRefused)
    assert (refused.rule, refused.refusal, refused.error) == (RefreshRule(rule), refusal, ErrorCode(error))
    assert refused.revoke_reason is None
    assert refused.audited is (rule == "1")


@pytest.mark.attack(38)
@pytest.mark.attack(39)
@pytest.mark.attack(41)
@pytest.mark.parametrize(
    "call",
    [
        pytest.param({"terms": STRICT, "token": presented(4), "grant": FRESH}, id="strict: the predecessor, at once"),
        pytest.param({"terms": LENIENT_ONCE, "token": presented(4), "grant": STALE}, id="grace: over this very moment"),
        pytest.param({"terms": LENIENT_ONCE, "token": presented(3), "grant": FRESH}, id="grace: two generations back"),
        pytest.param({"token": presented(3), "grant": FRESH}, id="lost-response: two generations back in grace"),
        pytest.param({"token": presented(3)}, id="lost-response: two generations back, later"),
        pytest.param({"token": presented(4), "grant": replace(GRANT, late=4)}, id="6 once only"),
        pytest.param({"token": presented(4), "grant": replace(GRANT, late=3)}, id="6 never two generations running"),
        pytest.param({"terms": REUSE, "token": presented(4)}, id="3a with an older token"),
        pytest.param({"token": presented(0), "grant": replace(GRANT, generation=2**32 - 1)}, id="the very first"),
    ],
)
def test_reuse_revokes_the_grant(call):
    refused = decide(**call)
    assert isinstance(refused, RefreshRefused)
    assert (refused.rule, refused.refusal) == (RefreshRule.REUSED, Refusal.REFRESH_TOKEN_REUSED)
    assert (refused.revoke_reason, refused.audited, refused.error) == (REASON_REUSED, True, ErrorCode.INVALID_GRANT)


def change(generation, late=-2):
    return RowChange(generation=generation, rotated_at=NOW, late=late)


@pytest.mark.attack(40)
@pytest.mark.parametrize(
    ("call", "rule", "generation", "stored"),
    [
        pytest.param({"token": presented(6)}, "3", 6, change(6), id="3 one commit lost"),
        pytest.param({"token": presented(9), "terms": STRICT}, "3", 9, change(9), id="3 many lost, strict too"),
        pytest.param({"token": presented(6), "terms": REUSE}, "3", 6, change(6), id="3 before 3a"),
        pytest.param({"token": presented(6), "terms": KEEP}, "3", 6, change(6), id="3 before 3b"),
        pytest.param(
            {"token": presented(6), "grant": replace(GRANT, late=4)}, "3", 6, change(6, 4), id="3 keeps what is late"
        ),
        pytest.param(
            {"token": presented(6, NOW - IDLE + TICK), "grant": replace(GRANT, rotated_at=NOW - 2 * IDLE)},
            "3",
            6,
            change(6),
            id="3 after a long break that the row does not know has ended",
        ),
        pytest.param({"terms": KEEP}, "3b", 6, change(6), id="3b the current token"),
        pytest.param({"terms": KEEP, "token": presented(0)}, "3b", 6, change(6), id="3b a very old token"),
        pytest.param(
            {"terms": KEEP, "token": presented(1, NOW - IDLE + TICK)}, "3b", 6, change(6), id="3b the last moment"
        ),
        pytest.param({"terms": KEEP, "grant": FRESH}, "3b", 6, change(6), id="3b knows no grace"),
        pytest.param({}, "5", 6, change(6), id="5"),
        pytest.param({"terms": STRICT, "grant": FRESH}, "5", 6, change(6), id="5 strict rotates inside grace"),
        pytest.param({"grant": STALE}, "5", 6, change(6), id="5 grace is over this very moment"),
        pytest.param(
            {"token": presented(0), "grant": replace(FRESH, generation=0)}, "5", 1, change(1), id="5 the first refresh"
        ),
        pytest.param({"terms": LENIENT_ONCE}, "5", 6, change(6), id="5 grace"),
        pytest.param(
            {"grant": replace(GRANT, late=4)}, "5", 6, change(6, 4), id="5 remembers which answer was fetched late"
        ),
        pytest.param({"token": presented(4)}, "6", 5, change(5, 4), id="6"),
        pytest.param({"token": presented(4), "grant": STALE}, "6", 5, change(5, 4), id="6 grace is over this moment"),
        pytest.param(
            {"token": presented(4), "grant": replace(GRANT, late=2)}, "6", 5, change(5, 4), id="6 two generations later"
        ),
        pytest.param(
            {"token": presented(0), "grant": replace(GRANT, generation=1)}, "6", 1, change(1, 0), id="6 the first one"
        ),
        pytest.param({"grant": DPOP_BOUND, "bound_key": "jkt:one"}, "5", 6, change(6), id="5 with the right key"),
        pytest.param({"bound_key": "jkt:any"}, "5", 6, change(6), id="5 an unbound grant with a proof"),
        pytest.param({"grant": replace(GRANT, expires_at=NOW + TICK)}, "5", 6, change(6), id="5 the last moment"),
        pytest.param(
            {"grant": replace(GRANT, rotated_at=NOW - IDLE + TICK)}, "5", 6, change(6), id="5 the last idle moment"
        ),
    ],
)
def test_a_refresh_is_answered_with_a_token_of_now(call, rule, generation, stored):
    allowed = decide(**call)
    assert isinstance(allowed, RefreshAllowed)
    assert allowed.rule is RefreshRule(rule)
    assert allowed.successor == Successor(generation=generation, issued_at=NOW.replace(microsecond=0))
    assert allowed.settle(AUTHORIZATION) == stored
    assert allowed.alarm == (DATABASE_LOST_COMMITS if rule == "3" else None)


@pytest.mark.attack(40)
@pytest.mark.parametrize("t", [4, 5], ids=["the predecessor", "the current token"])
@pytest.mark.parametrize("terms", [TERMS, LENIENT_ONCE], ids=["lost-response", "grace"])
@pytest.mark.parametrize("late", [-2, 3, 4])
def test_within_grace_everybody_gets_the_same_successor(t, terms, late):
    allowed = decide(token=presented(t), grant=replace(FRESH, late=late), terms=terms)
    assert isinstance(allowed, RefreshAllowed)
    assert allowed.rule is RefreshRule.GRACE
    assert allowed.successor == Successor(generation=5, issued_at=FRESH.rotated_at.replace(microsecond=0))
    assert allowed.settle(AUTHORIZATION) is None, "at most one rotation per grace"
    assert allowed.alarm is None


def test_grace_holds_after_the_very_first_rotation():
    allowed = decide(token=presented(0), grant=replace(FRESH, generation=1))
    assert (allowed.rule, allowed.successor.generation) == (RefreshRule.GRACE, 1)


@pytest.mark.parametrize(
    ("age", "stored"),
    [
        pytest.param(IDLE / 16, None, id="a sixteenth of idle: not yet"),
        pytest.param(IDLE / 16 + TICK, change(5), id="older"),
    ],
)
def test_reuse_answers_with_the_presented_token_and_moves_the_row_now_and_then(age, stored):
    token = presented(5, NOW - timedelta(days=20))
    allowed = decide(token=token, grant=replace(GRANT, rotated_at=NOW - age), terms=REUSE)
    assert isinstance(allowed, RefreshAllowed)
    assert allowed.rule is RefreshRule.REUSE
    assert allowed.successor == Successor(generation=5, issued_at=token.issued_at)
    assert allowed.settle(AUTHORIZATION) == stored


def test_the_successor_of_a_rotation_is_the_same_string_when_it_is_computed_again():
    first = decide(now=NOW)
    row = first.settle(AUTHORIZATION)
    rotated = replace(GRANT, generation=row.generation, rotated_at=row.rotated_at, late=row.late)
    again = decide(grant=rotated, now=NOW + timedelta(seconds=9))
    assert again.rule is RefreshRule.GRACE
    assert again.successor == first.successor


def test_the_whole_scope_of_the_grant_may_be_asked_for():
    assert decide().settle(replace(AUTHORIZATION, scope=GRANT.scope)) == change(6)


def test_nothing_is_stored_for_an_authorization_that_goes_beyond_the_grant():
    allowed = decide()
    for wrong in (
        replace(AUTHORIZATION, scope=frozenset({"api:write"})),
        replace(AUTHORIZATION, grant_id=UUID(int=1)),
        replace(AUTHORIZATION, grant_id=None),
    ):
        with pytest.raises(ValueError, match="not within the grant"):
            allowed.settle(wrong)


def test_a_refusal_says_no_more_than_its_sender_may_know():
    unknown, of_another = decide(grant=None).to_error(), decide(client_id="other").to_error()
    assert (unknown.error, unknown.description) == (of_another.error, of_another.description)
    assert unknown.refusal is not of_another.refusal
    reused = decide(token=presented(1)).to_error()
    assert (reused.status, reused.error) == (400, ErrorCode.INVALID_GRANT)


def test_a_decision_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        decide().rule = RefreshRule.GRACE
