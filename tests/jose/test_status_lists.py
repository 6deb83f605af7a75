"""Status lists in memory: packed and signed when something about them is new, and never beyond what was confirmed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.jose import status_lists
from authserver.jose.jwt import verify_own
from authserver.jose.status_lists import MARGIN, Snapshot, StatusLists
from authserver.oauth.status_list import LIST_SIZE
from tests.jose.keys import ISSUER, NOW, both, ring, row

LIFETIME = timedelta(seconds=300)
NOTHING = Snapshot(lists=2, open_list=1, longest_lifetime=LIFETIME, until={}, now=NOW)


def revoked(*indexes, at=NOW):
    ends = dict.fromkeys(indexes, (at + LIFETIME + MARGIN).timestamp())
    return replace(NOTHING, until=ends, now=at)


def lists_that_follow(snapshot=NOTHING, at=NOW):
    lists = StatusLists(ISSUER)
    lists.follow(snapshot, asked_at=at, whole=True)
    return lists


@pytest.fixture
def packed(monkeypatch):
    """Count the lists that are really packed."""
    seen = []
    original = status_lists.compress

    def compress(bits):
        seen.append(set(bits))
        return original(bits)

    monkeypatch.setattr(status_lists, "compress", compress)
    return seen


def test_a_list_is_packed_and_signed_once_while_nothing_changes(packed):
    lists = lists_that_follow()
    first = lists.get(both(), 1, now=NOW)
    lists.follow(NOTHING, asked_at=NOW + timedelta(seconds=5), whole=False)
    assert lists.get(both(), 1, now=NOW + timedelta(seconds=6)) is first
    assert len(packed) == 1


def test_only_the_list_that_changed_is_packed_again(packed):
    lists = lists_that_follow()
    before = {number: lists.get(both(), number, now=NOW) for number in (0, 1)}
    lists.follow(revoked(LIST_SIZE + 3), asked_at=NOW, whole=False)
    assert lists.get(both(), 0, now=NOW) is before[0]
    assert lists.get(both(), 1, now=NOW).etag != before[1].etag
    assert packed == [set(), set(), {3}]


def test_what_was_read_before_is_kept_until_its_bit_may_go():
    lists = lists_that_follow(revoked(LIST_SIZE + 3))
    later = NOW + LIFETIME
    lists.follow(revoked(LIST_SIZE + 4, at=later), asked_at=later, whole=False)
    assert lists.get(both(), 1, now=later).bits == {3, 4}
    later += MARGIN
    lists.follow(replace(NOTHING, now=later), asked_at=later, whole=False)
    assert lists.get(both(), 1, now=later).bits == {4}
    lists.follow(replace(NOTHING, now=later), asked_at=later, whole=True)
    assert lists.get(both(), 1, now=later).bits == set(), "the whole is the whole"


def test_it_is_signed_anew_each_minute_and_with_the_key_of_now():
    lists = lists_that_follow()
    first = lists.get(both(), 1, now=NOW)
    later = NOW + timedelta(seconds=60)
    lists.follow(NOTHING, asked_at=later, whole=False)
    second = lists.get(both(), 1, now=later)
    assert second.signed_at == later
    next_key = replace(row("ES256", 2), sign_from=later)
    assert lists.get(ring(row("ES256"), next_key), 1, now=later).kid == next_key.kid
    assert first.expires_at == NOW + LIFETIME + MARGIN


def test_its_claims_are_those_of_a_status_list_token():
    signed = lists_that_follow().get(both(), 1, now=NOW)
    claims = verify_own(both(), signed.token.decode(), typ="statuslist+jwt", now=NOW)
    assert claims["sub"] == f"{ISSUER}/status/1"
    assert claims["exp"] - claims["iat"] == 360


def test_what_nobody_confirmed_is_not_signed_and_the_last_one_serves_until_its_end():
    lists = lists_that_follow()
    signed = lists.get(both(), 1, now=NOW)
    silent = NOW + timedelta(seconds=11)
    assert lists.get(both(), 0, now=silent) is None, "never signed, and now it is too late"
    assert lists.get(both(), 1, now=silent + timedelta(seconds=300)) is signed
    assert lists.get(both(), 1, now=NOW + LIFETIME + MARGIN) is None


def test_before_the_first_word_from_the_database_there_is_none():
    assert StatusLists(ISSUER).get(both(), 0, now=NOW) is None


def test_a_list_that_there_is_not_is_a_bug_of_the_caller():
    lists = lists_that_follow()
    assert lists.get(both(), 2, now=NOW).bits == set(), "the next one is there already"
    with pytest.raises(KeyError):
        lists.get(both(), 3, now=NOW)
