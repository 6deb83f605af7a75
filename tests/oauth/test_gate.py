"""The one gate before anything is issued: SECURITY rows 21 and 36."""

from dataclasses import replace

import pytest

from authserver.oauth.errors import ErrorCode, Refusal
from authserver.oauth.gate import get_user, may_issue
from tests.oauth.examples import NOW, SESSION, USER, WEB, refused


@pytest.mark.parametrize(
    ("user", "session"),
    [
        pytest.param(USER, SESSION, id="a code"),
        pytest.param(USER, None, id="a refresh"),
        pytest.param(None, None, id="client_credentials"),
        pytest.param(USER, replace(SESSION, expires_at=NOW), id="a session that merely expired"),
    ],
)
def test_what_was_not_cut_off_may_be_issued(user, session):
    may_issue(WEB, user, session)


@pytest.mark.attack(21, 36)
@pytest.mark.parametrize("error", [ErrorCode.INVALID_GRANT, ErrorCode.ACCESS_DENIED])
@pytest.mark.parametrize(
    ("user", "session", "refusal"),
    [
        pytest.param(replace(USER, disabled_at=NOW), SESSION, Refusal.USER_DISABLED, id="disabled user"),
        pytest.param(replace(USER, deleted_at=NOW), None, Refusal.USER_GONE, id="deleted user"),
        pytest.param(replace(USER, delete_at=NOW), SESSION, Refusal.USER_GONE, id="on their way out"),
        pytest.param(
            replace(USER, disabled_at=NOW, deleted_at=NOW), SESSION, Refusal.USER_GONE, id="disabled, then deleted"
        ),
        pytest.param(USER, replace(SESSION, ended_at=NOW), Refusal.SESSION_ENDED, id="logged out"),
    ],
)
def test_nothing_is_issued_for_a_user_or_session_that_was_cut_off(user, session, refusal, error):
    found = refused(may_issue, WEB, user, session, error=error)
    assert (found.error, found.refusal) == (error, refusal)


@pytest.mark.attack(21, 36, 58)
@pytest.mark.parametrize("cut", [{"disabled_at": NOW}, {"deleted_at": NOW}])
def test_nothing_is_issued_to_a_client_that_was_cut_off(cut):
    found = refused(may_issue, replace(WEB, **cut), USER, SESSION)
    assert (found.error, found.refusal) == (ErrorCode.INVALID_CLIENT, Refusal.CLIENT_DISABLED)


def test_a_user_whose_row_is_gone_is_refused():
    assert get_user(USER) is USER
    found = refused(get_user, None)
    assert (found.error, found.refusal) == (ErrorCode.INVALID_GRANT, Refusal.USER_GONE)
