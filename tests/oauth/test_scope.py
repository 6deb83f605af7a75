"""Scopes: RFC 6749 §3.3, OIDC Core §5.4 and §11."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.scope import (
    OIDC_SCOPES,
    check_registered,
    effective_scope,
    join_scope,
    narrow_scope,
    parse_scope,
)
from tests.oauth.examples import MAIL, NOTES, USER, WEB, refused


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        pytest.param("openid", {"openid"}, id="one"),
        pytest.param("openid notes:read", {"openid", "notes:read"}, id="two"),
        pytest.param("notes:read openid", {"openid", "notes:read"}, id="6749-3.3 the order does not matter"),
        pytest.param("openid openid", {"openid"}, id="the same twice"),
        pytest.param(" openid  notes:read ", {"openid", "notes:read"}, id="blanks too many"),
        pytest.param("!#[]~ Read", {"!#[]~", "Read"}, id="6749-3.3 every kind of character, and case counts"),
    ],
)
def test_a_scope_is_a_set_of_words(text, scope):
    assert parse_scope(text) == scope


def test_an_absent_scope_is_none():
    assert parse_scope(None) is None


@pytest.mark.parametrize("text", [" ", 'a"b', "a\\b", "a\tb", "a\nb", "a\n", "ä", "a\x00", "a\x7f", "openid \u00a0"])
def test_characters_the_grammar_lacks_are_refused(text):
    with pytest.raises(OAuthError) as error:
        parse_scope(text)
    assert (error.value.error, error.value.refusal) == (ErrorCode.INVALID_SCOPE, Refusal.SCOPE_MALFORMED)


def test_the_wire_form_is_sorted():
    assert join_scope({"b", "a", "C"}) == "C a b"


WORDS = st.text(st.sampled_from("ab!#[]~:/ZR019"), min_size=1, max_size=5)


@given(st.frozensets(WORDS, min_size=1))
def test_what_was_written_is_read_back(scope):
    assert parse_scope(join_scope(scope)) == scope


@given(st.text() | st.lists(WORDS | st.text(max_size=3)).map(" ".join))
def test_any_text_is_a_scope_or_refused_and_nothing_else(text):
    error = refused(parse_scope, text)
    if error is None:
        scope = parse_scope(text)
        assert scope
        assert parse_scope(join_scope(scope)) == scope
    else:
        assert error.refusal == Refusal.SCOPE_MALFORMED


def test_the_scopes_of_openid_are_these():
    assert {"openid", "profile", "email", "address", "phone", "offline_access"} == OIDC_SCOPES


def test_a_client_may_ask_for_what_it_registered_only():
    check_registered(WEB, WEB.scope)
    check_registered(WEB, frozenset())
    error = refused(check_registered, WEB, frozenset({"openid", "files:read"}))
    assert (error.error, error.refusal) == (ErrorCode.INVALID_SCOPE, Refusal.SCOPE_NOT_ALLOWED)


GRANTED = frozenset({"openid", "notes:read"})


@pytest.mark.attack(30)
@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        pytest.param(None, GRANTED, id="6749-6 nothing asked is all that was granted"),
        pytest.param(frozenset({"openid"}), frozenset({"openid"}), id="6749-6 less"),
        pytest.param(GRANTED, GRANTED, id="6749-6 the same"),
        pytest.param(GRANTED | {"notes:write"}, None, id="6749-6 more"),
        pytest.param(frozenset({"files:read"}), None, id="6749-6 something else"),
    ],
)
def test_a_refresh_gets_no_more_than_was_granted(asked, answer):
    error = refused(narrow_scope, GRANTED, asked)
    if answer is None:
        assert (error.error, error.refusal) == (ErrorCode.INVALID_SCOPE, Refusal.SCOPE_NOT_GRANTED)
    else:
        assert narrow_scope(GRANTED, asked) == answer


@given(granted=st.frozensets(WORDS), asked=st.none() | st.frozensets(WORDS))
def test_narrowing_never_widens(granted, asked):
    if refused(narrow_scope, granted, asked) is None:
        assert narrow_scope(granted, asked) <= granted


ALL = frozenset({"openid", "notes:read", "notes:write", "mail:send"})


@pytest.mark.parametrize(
    ("verified", "resources", "effective"),
    [
        pytest.param(True, [NOTES, MAIL], ALL, id="a verified user has all"),
        pytest.param(False, [NOTES, MAIL], ALL - {"notes:write"}, id="an unverified one lacks what needs verification"),
        pytest.param(False, [MAIL], ALL, id="a resource that needs none asks for none"),
        pytest.param(False, [], ALL, id="no resource"),
    ],
)
def test_the_effective_scope_is_what_the_user_may_have_now(verified, resources, effective):
    assert effective_scope(ALL, replace(USER, email_verified=verified), resources) == effective
