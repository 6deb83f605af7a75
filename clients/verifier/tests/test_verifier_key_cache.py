"""Keys that change, an issuer that is gone, and storms that must not reach it (SECURITY B15-B17)."""

import asyncio
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from authserver_verifier import Challenge, IssuerUnavailableError, Refusal, TokenRefusedError, Verifier
from authserver_verifier.key_cache import RETRY_INTERVAL
from authserver_verifier.testing import generate_key

AUDIENCE = "https://notes.example.com"
HOUR = 3600
MAX_AGE = 300
REFETCH_INTERVAL = 30


def test_nothing_is_fetched_before_the_first_token_and_only_once_after(verify, issuer):
    assert not issuer.requests
    for _ in range(5):
        verify.verify(issuer.token(AUDIENCE))
    assert issuer.requests == {"/.well-known/oauth-authorization-server": 1, "/jwks": 1}


def test_a_key_published_ahead_verifies_without_another_fetch(verify, issuer):
    ahead = generate_key()
    issuer.keys.insert(0, ahead)
    verify.verify(issuer.token(AUDIENCE))
    issuer.keys.append(ahead)
    assert verify.verify(issuer.token(AUDIENCE)).key_id == ahead.kid
    assert issuer.requests["/jwks"] == 1


def test_a_key_that_was_not_published_ahead_is_found_after_the_interval(verify, issuer, clocks, refused):
    verify.verify(issuer.token(AUDIENCE))
    key_id = issuer.rotate()
    with refused(Refusal.KEY_UNKNOWN):
        verify.verify(issuer.token(AUDIENCE))
    clocks.move(REFETCH_INTERVAL)
    assert verify.verify(issuer.token(AUDIENCE)).key_id == key_id


def test_stale_keys_serve_while_they_are_renewed_in_the_background(verify, issuer, clocks, settle):
    verify.verify(issuer.token(AUDIENCE))
    clocks.move(MAX_AGE)
    issuer.delay = 0.3
    old = issuer.token(AUDIENCE)
    new_key_id = issuer.rotate()
    assert verify.verify(old).key_id != new_key_id, "answered with the key at hand"
    assert verify._keys._flight.is_under_way, "while the fetch is still under way"
    settle()
    assert verify.verify(issuer.token(AUDIENCE)).key_id == new_key_id
    assert issuer.requests["/jwks"] == 2


def test_an_unchanged_key_set_costs_the_issuer_a_304_and_keeps_what_was_verified(verify, issuer, clocks, settle):
    token = issuer.token(AUDIENCE, exp=int(clocks.wall()) + 2 * HOUR)
    first = verify.verify(token)
    clocks.move(MAX_AGE)
    verify.verify(token)
    settle()
    assert issuer.requests["/jwks"] == 2
    assert verify.verify(token) is first


@pytest.mark.parametrize("etag", [True, False])
def test_a_dropped_key_takes_the_tokens_seen_before_with_it(etag, verify, issuer, clocks, refused, settle):
    token = issuer.token(AUDIENCE, exp=int(clocks.wall()) + 2 * HOUR)
    if not etag:
        issuer.bodies["/jwks"] = issuer.answer("/jwks", None)[2]
    verify.verify(token)
    issuer.keys = [generate_key()]
    issuer.bodies.clear()
    clocks.move(MAX_AGE)
    verify.verify(token)
    settle()
    with refused(Refusal.KEY_UNKNOWN):
        verify.verify(token)


@pytest.mark.fault("B5")
def test_an_issuer_that_is_down_for_an_hour_is_not_missed(verify, issuer, clocks, settle):
    token = issuer.token(AUDIENCE, exp=int(clocks.wall()) + 3 * HOUR)
    new = [issuer.token(AUDIENCE, exp=int(clocks.wall()) + 3 * HOUR) for _ in range(20)]
    verify.verify(token)
    issuer.stop()
    clocks.move(MAX_AGE)
    for later in new:
        clocks.move(HOUR / len(new) - 1)
        assert verify.verify(later).subject == "alice"
        assert verify.verify(token).subject == "alice"
        settle()


@pytest.mark.fault("B5")
def test_after_an_hour_of_stale_keys_the_answer_is_503_until_the_issuer_is_back(verify, issuer, clocks):
    token = issuer.token(AUDIENCE, exp=int(clocks.wall()) + 3 * HOUR)
    verify.verify(token)
    issuer.stop()
    clocks.move(MAX_AGE + HOUR)
    with pytest.raises(IssuerUnavailableError) as caught:
        verify.verify(token)
    assert (caught.value.status, caught.value.retry_after) == (503, RETRY_INTERVAL)
    issuer.start()
    clocks.move(RETRY_INTERVAL)
    assert verify.verify(token).subject == "alice"


@pytest.mark.parametrize("status", [301, 403, 404, 500, 503])
def test_an_issuer_that_answers_wrongly_counts_as_gone(status, verify, issuer, clocks, caplog):
    issuer.status = status
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "could not be fetched" in caplog.text
    issuer.status = 200
    clocks.move(RETRY_INTERVAL)
    assert verify.verify(issuer.token(AUDIENCE))


def test_without_keys_an_issuer_that_is_down_is_asked_once_per_interval(verify, issuer, clocks):
    token = issuer.token(AUDIENCE)
    issuer.status = 500
    for _ in range(3):
        for _ in range(50):
            with pytest.raises(IssuerUnavailableError):
                verify.verify(token)
        clocks.move(RETRY_INTERVAL)
    assert issuer.requests["/.well-known/oauth-authorization-server"] == 3


def test_the_wait_told_shrinks_to_the_next_fetch_and_is_never_zero(verify, issuer, clocks):
    issuer.status = 500
    waits = []
    for seconds in (0, 1.5, 3.4):
        clocks.move(seconds)
        with pytest.raises(IssuerUnavailableError) as caught:
            verify.verify(issuer.token(AUDIENCE))
        waits.append(caught.value.headers(Challenge(realm="realm"))["retry-after"])
    assert waits == ["5", "4", "1"]


@pytest.mark.fault("B16")
def test_five_thousand_unknown_key_ids_a_second_reach_the_issuer_once_per_interval(verify, issuer, clocks):
    verify.verify(issuer.token(AUDIENCE))
    _, payload, signature = issuer.token(AUDIENCE).split(".")
    storm = [f"{issuer.sign(b'{}', {'kid': f'made-up-{n}'}).split('.')[0]}.{payload}.{signature}" for n in range(200)]
    refusals = Counter()
    for _ in range(10):
        for token in storm * 2:
            with pytest.raises(TokenRefusedError) as caught:
                verify.verify(token)
            refusals[caught.value.refusal] += 1
            clocks.move(1 / 5_000)
        clocks.move(REFETCH_INTERVAL / 2)
    assert refusals == {Refusal.KEY_UNKNOWN: 4_000}
    seconds = 10 * (400 / 5_000 + REFETCH_INTERVAL / 2)
    assert issuer.requests["/jwks"] <= 1 + seconds / REFETCH_INTERVAL
    assert issuer.requests["/jwks"] >= 3, "the issuer is asked again, now and then"


@pytest.mark.fault("B16")
def test_five_thousand_unknown_key_ids_from_many_threads_reach_a_real_issuer_once(issuer):
    verify = Verifier(issuer.url, AUDIENCE, clock=issuer._clock)  # with the machine's own seconds for the interval
    verify.verify(issuer.token(AUDIENCE))
    _, payload, signature = issuer.token(AUDIENCE).split(".")
    heads = [issuer.sign(b"{}", {"kid": f"made-up-{n}"}).partition(".")[0] for n in range(100)]
    storm = [f"{head}.{payload}.{signature}" for head in heads] * 50

    def ask(token):
        with pytest.raises(TokenRefusedError) as caught:
            verify.verify(token)
        return caught.value.refusal

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, storm)) == {Refusal.KEY_UNKNOWN}
    assert issuer.requests["/jwks"] == 1, "the interval of thirty seconds counts from the first fetch"
    assert verify.counts["key_set_asked"] == 1


@pytest.mark.fault("B16")
def test_many_threads_that_need_keys_at_once_make_one_fetch(verify, issuer):
    issuer.delay = 0.2
    tokens = [issuer.token(AUDIENCE) for _ in range(20)]
    with ThreadPoolExecutor(len(tokens)) as threads:
        assert len(list(threads.map(verify.verify, tokens))) == len(tokens)
    assert issuer.requests["/jwks"] == 1


@pytest.mark.fault("B16")
async def test_an_event_loop_goes_on_while_many_tokens_wait_for_one_fetch(verify, issuer):
    issuer.delay = 0.3
    waiting = [asyncio.ensure_future(verify.verify_async(issuer.token(AUDIENCE))) for _ in range(200)]
    turns = 0
    while not all(task.done() for task in waiting):
        await asyncio.sleep(0.01)
        turns += 1
    assert turns >= 10, "0.6 s of fetching have room for sixty turns of a loop that is not blocked"
    assert {task.result().subject for task in waiting} == {"alice"}
    assert issuer.requests["/jwks"] == 1


async def test_a_caller_who_gives_up_does_not_take_the_fetch_from_the_others(verify, issuer):
    issuer.delay = 0.2
    impatient = asyncio.ensure_future(verify.verify_async(issuer.token(AUDIENCE)))
    patient = asyncio.ensure_future(verify.verify_async(issuer.token(AUDIENCE)))
    await asyncio.sleep(0.05)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert (await patient).subject == "alice"
    assert issuer.requests["/jwks"] == 1


async def test_a_token_seen_before_is_the_same_in_a_thread_and_in_an_event_loop(verify, issuer):
    token = issuer.token(AUDIENCE)
    first = await verify.verify_async(token)
    assert await verify.verify_async(token) is first
    assert await asyncio.to_thread(verify.verify, token) is first


async def test_nobody_waits_longer_than_the_deadline(verify, issuer, monkeypatch, settle):
    monkeypatch.setattr("authserver_verifier.verifier.MAX_WAIT", 0.05)
    issuer.delay = 0.3
    with pytest.raises(IssuerUnavailableError):
        await verify.verify_async(issuer.token(AUDIENCE))
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    settle()


def test_a_process_that_was_forked_during_a_fetch_makes_its_own(verify, issuer, clocks, settle, monkeypatch):
    verify.verify(issuer.token(AUDIENCE))
    issuer.delay = 0.3
    clocks.move(MAX_AGE)
    verify.verify(issuer.token(AUDIENCE))
    assert verify._keys._flight.is_under_way
    monkeypatch.setattr("os.getpid", lambda: -1)
    clocks.move(MAX_AGE)
    verify.verify(issuer.token(AUDIENCE))
    settle()
    assert issuer.requests["/jwks"] == 3


def test_a_client_of_the_users_own_that_breaks_is_a_503_and_a_traceback_in_the_log(issuer, clocks, caplog):
    verify = Verifier(issuer.url, AUDIENCE, http=lambda: 1 // 0, clock=clocks.wall, monotonic=clocks.monotonic)
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "ZeroDivisionError" in caplog.text


def test_a_client_of_the_users_own_is_used(issuer, clocks):
    verify = Verifier(
        issuer.url,
        AUDIENCE,
        http=lambda: httpx2.Client(trust_env=False, headers={"user-agent": "notes"}),
        clock=clocks.wall,
        monotonic=clocks.monotonic,
    )
    assert verify.verify(issuer.token(AUDIENCE)).subject == "alice"


def test_a_key_set_without_end_is_cut_off(verify, issuer, caplog):
    issuer.bodies["/jwks"] = b" " * 70_000
    with pytest.raises(IssuerUnavailableError):
        verify.verify(issuer.token(AUDIENCE))
    assert "too much" in caplog.text


def test_a_token_seen_before_is_over_at_its_end_all_the_same(verify, issuer, clocks, refused):
    token = issuer.token(AUDIENCE)
    assert verify.verify(token) is verify.verify(token)
    clocks.move(300 + 10)
    with refused(Refusal.EXPIRED):
        verify.verify(token)


def test_the_memory_of_tokens_is_bounded_and_forgets_the_oldest(issuer, clocks):
    verify = Verifier(issuer.url, AUDIENCE, seen_tokens=3, clock=clocks.wall, monotonic=clocks.monotonic)
    tokens = [issuer.token(AUDIENCE) for _ in range(5)]
    first = [verify.verify(token) for token in tokens]
    again = [verify.verify(token) for token in reversed(tokens)][::-1]
    assert [one is other for one, other in zip(first, again, strict=True)] == [False, False, True, True, True]
    assert len(verify._seen) == 3


def test_neither_tokens_nor_keys_appear_in_the_log(verify, issuer, caplog):
    caplog.set_level(logging.DEBUG)
    token = issuer.token(AUDIENCE, header={"kid": "unheard-of"})
    with pytest.raises(TokenRefusedError):
        verify.verify(token)
    for part in token.split("."):
        assert part not in caplog.text
