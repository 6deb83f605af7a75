"""What operators see of logout notices, and have done again."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert

from authserver.ids import uuid7
from authserver.operations import logout_notices
from authserver.operations.errors import OperationError, Problem
from authserver.store.tables import LogoutNotices
from tests.operations.rows import audited, make_user


async def add(operator, **changed) -> UUID:
    """Store a notice that waits, with these columns changed."""
    async with operator.engine.begin() as tx:
        now = await tx.now()
        values = {
            "id": uuid7(now),
            "client_id": "demo",
            "session_id": uuid7(now),
            "user_id": UUID(int=1),
            "state": "waiting",
            "attempts": 0,
            "next_attempt_at": now,
            "claim": None,
            "created_at": now,
            "settled_at": None,
            "last_answer": None,
        } | changed
        await tx.execute(insert(LogoutNotices).values(values))
    return values["id"]


async def test_notices_are_listed_by_state_client_and_user_the_youngest_first(operator):
    user = await make_user(operator)
    waiting = await add(operator, user_id=user.id)
    again = await add(operator, last_answer="503", client_id="other")
    refused = await add(operator, state="refused", last_answer="400")

    async def ids(**which):
        return [each.id for each in await logout_notices.find_all(operator, **which)]

    assert await ids() == [refused, again, waiting]
    for state, expected in (("waiting", waiting), ("trying again", again), ("refused", refused)):
        assert await ids(state=state) == [expected]
    assert await ids(client_id="other") == [again]
    assert await ids(user="ann") == [waiting]
    assert await ids(limit=2) == [refused, again]


@pytest.mark.parametrize("state", ["refused", "failed"])
async def test_what_was_refused_or_given_up_is_tried_again_with_all_its_tries(operator, state):
    notice_id = await add(operator, state=state, attempts=11, last_answer="503")
    retried = await logout_notices.retry(operator, str(notice_id))
    assert (retried.state, retried.attempts, retried.told_state) == ("waiting", 0, "trying again")
    assert await audited(operator) == ["logout_notice_retried"]


async def test_what_waits_for_its_next_try_is_tried_now(operator):
    async with operator.engine.read() as tx:
        now = await tx.now()
    notice_id = await add(operator, attempts=4, last_answer="503", next_attempt_at=now + timedelta(hours=2))
    retried = await logout_notices.retry(operator, str(notice_id))
    assert (retried.attempts, retried.next_attempt_at - now < timedelta(minutes=1)) == (4, True)


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"state": "delivered"}, "has heard"), ({"claim": UUID(int=3)}, "is being delivered at this moment")],
)
async def test_what_cannot_be_tried_again_says_why(operator, changed, words):
    notice_id = await add(operator, **changed)
    with pytest.raises(OperationError, match=words) as caught:
        await logout_notices.retry(operator, str(notice_id))
    assert caught.value.problem is Problem.CONFLICT


async def test_all_that_failed_is_tried_again_at_once(operator):
    assert await logout_notices.retry_all_failed(operator) == 0
    for state in ("failed", "refused", "delivered", "waiting"):
        await add(operator, state=state)
    assert await logout_notices.retry_all_failed(operator) == 2
    assert await audited(operator) == ["logout_notice_retried"]


@pytest.mark.parametrize(
    ("notice_id", "problem"), [("nonsense", Problem.INVALID), (str(UUID(int=5)), Problem.NOT_FOUND)]
)
async def test_an_id_that_names_nothing_is_said(operator, notice_id, problem):
    with pytest.raises(OperationError) as caught:
        await logout_notices.retry(operator, notice_id)
    assert caught.value.problem is problem
    assert "logout-notices list" in str(caught.value.fix)
