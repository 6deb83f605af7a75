"""Tokens that die before their end (Token Status List §5, §6 and §8), and lists that cannot be had."""

import json
import zlib
from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver_verifier import IssuerUnavailableError, Refusal, Verifier
from authserver_verifier.status_list import MAX_STATUSES_BYTES, PATIENCE, REFRESH_INTERVAL, RETRY_INTERVAL, StatusList
from authserver_verifier.testing import encode_segment, generate_key

AUDIENCE = "https://notes.example.com"
NOW = 1_800_000_000
HOUR = 3600
LISTS = "/status/1"


@pytest.fixture
def token(issuer):
    return issuer.token(AUDIENCE, status=issuer.status_claim(7), exp=NOW + 3 * HOUR)


def make(issuer, clocks, **arguments):
    return Verifier(issuer.url, AUDIENCE, clock=clocks.wall, monotonic=clocks.monotonic, **arguments)


def test_a_token_that_is_not_revoked_is_taken_and_its_list_fetched_once(verify, issuer, token):
    for _ in range(5):
        assert verify.verify(token).status.index == 7
    issuer.revoked.add(6)
    assert verify.verify(token)
    assert issuer.requests[LISTS] == 1


def test_a_token_without_a_list_asks_for_none(verify, issuer):
    verify.verify(issuer.token(AUDIENCE))
    verify.verify(issuer.token(AUDIENCE, status={"another_mechanism": {}}))
    assert LISTS not in issuer.requests


def test_a_revoked_token_is_refused_seen_before_or_not(verify, issuer, token, clocks, refused, settle):
    verify.verify(token)
    issuer.revoked.add(7)
    clocks.move(REFRESH_INTERVAL)
    assert verify.verify(token), "answered from the list at hand, while the new one is fetched"
    settle()
    for one in (token, issuer.token(AUDIENCE, status=issuer.status_claim(7))):
        with refused(Refusal.REVOKED):
            verify.verify(one)
    assert verify.verify(issuer.token(AUDIENCE, status=issuer.status_claim(8)))


def test_a_list_that_nobody_asked_for_a_while_is_waited_for(verify, issuer, token, clocks, refused):
    verify.verify(token)
    issuer.revoked.add(7)
    clocks.move(REFRESH_INTERVAL + PATIENCE)
    with refused(Refusal.REVOKED):
        verify.verify(token)


async def test_an_event_loop_waits_for_a_list_as_a_thread_does(verify, issuer, token, refused):
    issuer.revoked.add(7)
    with refused(Refusal.REVOKED):
        await verify.verify_async(token)


def test_a_shorter_ttl_makes_the_list_be_renewed_sooner(verify, issuer, token, clocks, settle):
    issuer.bodies[LISTS] = issuer.status_list(ttl=3).encode()
    verify.verify(token)
    clocks.move(3)
    verify.verify(token)
    settle()
    assert issuer.requests[LISTS] == 2
    clocks.move(2)
    verify.verify(token)
    settle()
    assert issuer.requests[LISTS] == 2


def test_an_unchanged_list_is_confirmed_by_a_304_until_it_ends(verify, issuer, token, clocks, settle):
    answer = issuer.answer

    def with_etag(path, if_none_match):
        if path != LISTS:
            return answer(path, if_none_match)
        issuer.requests[path, if_none_match] += 1
        return (304, {}, b"") if if_none_match else (200, {"ETag": '"1"'}, issuer.status_list().encode())

    issuer.answer = with_etag
    for _ in range(4):
        verify.verify(token)
        settle()
        clocks.move(REFRESH_INTERVAL)
    assert (issuer.requests[LISTS, None], issuer.requests[LISTS, '"1"']) == (1, 3)
    clocks.move(300)
    verify.verify(token)
    assert issuer.requests[LISTS, None] == 2, "its exp is over: it has to come whole"


def test_the_list_of_another_key_is_taken_after_a_rotation(verify, issuer, token, clocks, refused):
    verify.verify(token)
    issuer.rotate()
    issuer.revoked.add(7)
    clocks.move(2 * REFRESH_INTERVAL + PATIENCE + 30)
    with refused(Refusal.REVOKED):
        verify.verify(token)


# --- what may be wrong with a list ------------------------------------------------------------------------------------


def packed(statuses=bytes(16), bits=1, **more):
    return {"status_list": {"bits": bits, "lst": encode_segment(zlib.compress(statuses)).decode(), **more}}


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"sub": "https://evil.example/status/1"}, id="the list of another address"),
        pytest.param({"sub": None}, id="the list of no address"),
        pytest.param({"iss": "https://evil.example"}, id="the list of another issuer"),
        pytest.param({"iat": NOW + 11}, id="issued in the future"),
        pytest.param({"iat": None}, id="issued at no time"),
        pytest.param({"exp": NOW - 10}, id="over"),
        pytest.param({"exp": "soon"}, id="over at no time"),
        pytest.param({"ttl": -1}, id="a ttl below zero"),
        pytest.param({"status_list": None}, id="no list"),
        pytest.param({"status_list": []}, id="a list that is no object"),
        pytest.param(packed(bits=3), id="three bits"),
        pytest.param(packed(bits=True), id="bits true"),
        pytest.param(packed(bits="1"), id="bits a string"),
        pytest.param(packed(lst=7), id="lst a number"),
        pytest.param(packed(lst="é"), id="lst no base64"),
        pytest.param(packed(lst="AAAA"), id="lst not compressed"),
        pytest.param(packed(lst=encode_segment(zlib.compress(bytes(99))[:-4]).decode()), id="cut off"),
        pytest.param(packed(lst=encode_segment(zlib.compress(b"") + b"x").decode()), id="something after it"),
        pytest.param(packed(bytes(MAX_STATUSES_BYTES + 1)), id="a bomb"),
    ],
)
def test_a_list_that_cannot_be_right_counts_as_none(claims, issuer, clocks, token, caplog):
    issuer.bodies[LISTS] = issuer.status_list(**claims).encode()
    verify = make(issuer, clocks, fail_closed_after=60)
    with pytest.raises(IssuerUnavailableError) as caught:
        verify.verify(token)
    assert caught.value.refusal is Refusal.STATUS_UNAVAILABLE
    assert verify.counts["status_list_fault"] == 1
    assert "could not be had" in caplog.text


@pytest.mark.parametrize("how", ["type", "key", "signature", "text", "endless", "404", "redirect"])
def test_a_list_that_the_issuer_did_not_sign_or_serve_counts_as_none(how, issuer, clocks, token):
    verify = make(issuer, clocks, fail_closed_after=60)
    verify.verify(issuer.token(AUDIENCE))
    genuine = issuer.status_list()
    if how == "key":
        issuer.keys.append(generate_key())
        genuine = issuer.status_list()
        issuer.keys.pop()
    bodies = {
        "type": issuer.token(AUDIENCE),
        "signature": f"{genuine.rpartition('.')[0]}.{genuine[-86:][::-1]}",
        "text": "no token",
        "endless": "x" * 2_000_000,
    }
    issuer.bodies[LISTS] = bodies.get(how, genuine).encode()
    issuer.status = {"404": 404, "redirect": 302}.get(how, 200)
    with pytest.raises(IssuerUnavailableError):
        verify.verify(token)


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        pytest.param("revoked", Refusal.CLAIM_MALFORMED, id="no object"),
        pytest.param({"status_list": 7}, Refusal.CLAIM_MALFORMED, id="no reference"),
        pytest.param({"status_list": {"idx": 7}}, Refusal.CLAIM_MALFORMED, id="no uri"),
        pytest.param({"status_list": {"idx": -1, "uri": "x"}}, Refusal.CLAIM_MALFORMED, id="below zero"),
        pytest.param({"status_list": {"idx": True, "uri": "x"}}, Refusal.CLAIM_MALFORMED, id="true"),
        pytest.param({"status_list": {"idx": 1.0, "uri": "x"}}, Refusal.CLAIM_MALFORMED, id="a fraction"),
        pytest.param(
            {"status_list": {"idx": 7, "uri": "https://evil.example/1"}}, Refusal.STATUS_ELSEWHERE, id="elsewhere"
        ),
    ],
)
def test_a_reference_that_cannot_be_followed_is_refused(status, refusal, verify, issuer, refused):
    with refused(refusal):
        verify.verify(issuer.token(AUDIENCE, status=status))


def test_the_issuers_origin_is_compared_whole(verify, issuer, refused):
    for uri in (f"{issuer.url}.evil.example/1", f"{issuer.url}@evil.example/1", f"{issuer.url}1/status"):
        with refused(Refusal.STATUS_ELSEWHERE):
            verify.verify(issuer.token(AUDIENCE, status={"status_list": {"idx": 7, "uri": uri}}))


def test_an_index_beyond_the_list_is_no_valid_status(verify, issuer, refused):
    with refused(Refusal.REVOKED):
        verify.verify(issuer.token(AUDIENCE, status=issuer.status_claim(1024)))


@given(st.sampled_from([1, 2, 4, 8]), st.data())
def test_statuses_are_read_from_the_lowest_bits_on(bits, data):
    statuses = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=8, max_size=64))
    number = sum(status << (place * bits) for place, status in enumerate(statuses))
    whole = StatusList(
        bits=bits, statuses=number.to_bytes(-(-len(statuses) * bits // 8), "little"), over_at=None, refresh_after=10
    )
    assert [whole.at(place) for place in range(len(statuses))] == statuses
    assert whole.at(len(whole.statuses) * 8 // bits) is None


def test_the_drafts_own_example_of_one_bit_reads_as_printed():
    statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    whole = StatusList(bits=1, statuses=bytes([0xB9, 0xA3]), over_at=None, refresh_after=10)
    assert [whole.at(place) for place in range(16)] == statuses


# --- an issuer that is gone -------------------------------------------------------------------------------------------


def test_a_list_that_cannot_be_renewed_goes_on_serving_is_counted_and_logged(
    verify, issuer, token, clocks, refused, settle, caplog
):
    issuer.revoked.add(8)
    revoked = issuer.token(AUDIENCE, status=issuer.status_claim(8), exp=NOW + 3 * HOUR)
    verify.verify(token)
    issuer.stop()
    for _ in range(10):
        clocks.move(HOUR / 10)
        verify.verify(token)
        with refused(Refusal.REVOKED):
            verify.verify(revoked)
        settle()
    assert verify.counts["status_list_fault"] == 10
    assert "could not be had" in caplog.text
    assert token not in caplog.text
    issuer.start()


def test_without_any_list_tokens_are_taken_until_they_end_and_that_is_counted(verify, issuer, token, clocks, refused):
    issuer.bodies[LISTS] = b"no list"
    for _ in range(3):
        assert verify.verify(token)
    assert verify.counts["status_unknown"] == 3
    assert issuer.requests[LISTS] == 1, "the issuer is left alone for a while"
    clocks.move(3 * HOUR + 10)
    with refused(Refusal.EXPIRED):
        verify.verify(token)


def test_fail_closed_refuses_with_503_once_the_list_is_too_old_and_heals_by_itself(
    issuer, clocks, token, refused, settle
):
    verify = make(issuer, clocks, fail_closed_after=60)
    verify.verify(token)
    issuer.status = 500
    clocks.move(60)
    assert verify.verify(token), "sixty seconds are not over"
    settle()
    clocks.move(1)
    with pytest.raises(IssuerUnavailableError) as caught:
        verify.verify(token)
    assert (caught.value.status, caught.value.refusal) == (503, Refusal.STATUS_UNAVAILABLE)
    assert 1 <= caught.value.retry_after <= RETRY_INTERVAL
    issuer.status = 200
    clocks.move(RETRY_INTERVAL)
    with pytest.raises(IssuerUnavailableError):
        verify.verify(token)  # after a fault nobody waits
    settle()
    assert verify.verify(token)


def test_after_a_fault_nobody_waits_for_a_slow_issuer(verify, issuer, token, clocks, settle):
    verify.verify(token)
    issuer.status = 500
    clocks.move(REFRESH_INTERVAL + PATIENCE)
    verify.verify(token)
    issuer.delay = 0.5
    clocks.move(RETRY_INTERVAL)
    verify.verify(token)
    assert any(source.flight.is_under_way for source in verify._statuses._sources.values())
    settle()


def test_the_check_can_be_left_out(issuer, clocks, token):
    issuer.revoked.add(7)
    assert make(issuer, clocks, check_status=False).verify(token)
    assert LISTS not in issuer.requests


def test_a_limit_shorter_than_the_renewal_is_refused_at_the_start(issuer):
    with pytest.raises(ValueError, match="15 s or more"):
        Verifier(issuer.url, AUDIENCE, fail_closed_after=10)


def test_many_threads_that_need_a_list_at_once_make_one_fetch(verify, issuer):
    issuer.delay = 0.1
    tokens = [issuer.token(AUDIENCE, status=issuer.status_claim(n)) for n in range(20)]
    with ThreadPoolExecutor(len(tokens)) as threads:
        assert len(list(threads.map(verify.verify, tokens))) == len(tokens)
    assert issuer.requests[LISTS] == 1


def test_lists_in_memory_are_bounded(verify, issuer, monkeypatch):
    monkeypatch.setattr("authserver_verifier.status_list.MAX_LISTS", 3)
    for number in range(6):
        uri = f"{issuer.url}/status/{number}"
        verify.verify(issuer.token(AUDIENCE, status={"status_list": {"idx": 0, "uri": uri}}))
    assert len(verify._statuses._sources) == 3


def test_a_client_of_the_users_own_that_breaks_ends_nobodys_request(issuer, clocks, token, caplog):
    verify = make(issuer, clocks)
    verify.verify(issuer.token(AUDIENCE))
    verify._statuses._issuer.open = lambda: 1 // 0
    assert verify.verify(token)
    assert "ZeroDivisionError" in caplog.text


def test_the_fake_issuers_list_is_what_the_draft_has(issuer):
    header, payload = (json.loads(urlsafe_b64decode(part + "==")) for part in issuer.status_list().split(".")[:2])
    assert (header["typ"], header["kid"]) == ("statuslist+jwt", issuer.keys[-1].kid)
    assert payload["sub"] == issuer.status_claim(0)["status_list"]["uri"]
