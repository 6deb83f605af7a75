"""The APIs that tokens are for: each scope word belongs to one of them."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from authserver.oauth.values import Resource
from authserver.operations import resources
from authserver.operations.errors import OperationError, Problem
from authserver.operations.resources import ResourceChanges, parse_words
from tests.operations.rows import audited

NOTES = Resource(
    identifier="https://notes.example.org",
    name="Notes",
    scope=frozenset({"notes:read", "notes:write"}),
    verified_scope=frozenset({"notes:write"}),
    access_token_lifetime=timedelta(seconds=120),
)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"identifier": "notes"}, "identifier", id="8707-2 not absolute"),
        pytest.param({"identifier": "https://notes.example.org#x"}, "identifier", id="8707-2 with a fragment"),
        pytest.param({"identifier": "https://notes.example.org/ x"}, "identifier", id="no URI"),
        pytest.param({"identifier": "https://n.example/" + "x" * 500}, "identifier", id="too long"),
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"name": "x" * 201}, "name", id="a name too long"),
        pytest.param({"name": "Notes\x1b[2J"}, "name", id="a name that steers a terminal"),
        pytest.param({"scope": frozenset({"openid"}), "verified_scope": frozenset()}, "scope", id="OpenID's own scope"),
        pytest.param({"verified_scope": frozenset({"mail"})}, "verified_scope", id="verified scope of nobody"),
        pytest.param({"access_token_lifetime": timedelta(seconds=9)}, "access_token_lifetime", id="too short"),
        pytest.param(
            {"access_token_lifetime": timedelta(days=1, seconds=1)}, "access_token_lifetime", id="too long a life"
        ),
    ],
)
async def test_a_resource_that_breaks_a_rule_is_not_registered(operator, changed, field):
    with pytest.raises(OperationError) as refused:
        await resources.create(operator, replace(NOTES, **changed))
    assert refused.value.field == field
    assert await resources.find_all(operator) == ()


@pytest.mark.parametrize("text", ["", " ", 'a"b', "a\\b", "ä", "a\tb", "\x00"])
def test_a_scope_word_with_characters_a_scope_cannot_have_is_refused(text):
    with pytest.raises(OperationError) as refused:
        parse_words([text])
    assert refused.value.field == "scope"


def test_scope_words_come_one_by_one_or_in_one_text():
    assert parse_words(["a b", "c", "a"]) == {"a", "b", "c"}


async def test_a_resource_is_kept_as_it_was_given(operator):
    await resources.create(operator, NOTES)
    assert await resources.get(operator, NOTES.identifier) == NOTES
    assert await resources.find_all(operator) == (NOTES,)
    assert await audited(operator) == ["resource_created"]


async def test_an_identifier_is_taken_once(operator):
    await resources.create(operator, NOTES)
    with pytest.raises(OperationError) as refused:
        await resources.create(operator, replace(NOTES, scope=frozenset(), verified_scope=frozenset()))
    assert refused.value.problem is Problem.CONFLICT


async def test_a_scope_word_belongs_to_one_resource(operator):
    await resources.create(operator, NOTES)
    mail = replace(NOTES, identifier="https://mail.example.org", scope=frozenset({"mail", "notes:read"}))
    with pytest.raises(OperationError) as refused:
        await resources.create(operator, replace(mail, verified_scope=frozenset()))
    assert refused.value.field == "scope"
    await resources.create(operator, replace(mail, scope=frozenset({"mail"}), verified_scope=frozenset()))
    with pytest.raises(OperationError):
        await resources.update(operator, mail.identifier, ResourceChanges(add_scope=frozenset({"notes:write"})))
    assert (await resources.get(operator, mail.identifier)).scope == {"mail"}


async def test_of_two_who_want_one_scope_word_at_once_one_is_refused(operator):
    mail = replace(NOTES, identifier="https://mail.example.org")
    results = await asyncio.gather(
        resources.create(operator, NOTES), resources.create(operator, mail), return_exceptions=True
    )
    assert sorted(isinstance(result, OperationError) for result in results) == [False, True]
    assert len(await resources.find_all(operator)) == 1


async def test_an_update_is_judged_by_its_result(operator):
    await resources.create(operator, NOTES)
    changes = ResourceChanges(
        name="Mine", add_scope=frozenset({"notes:admin"}), remove_scope=frozenset({"notes:write"})
    )
    after = await resources.update(operator, NOTES.identifier, changes)
    assert after.scope == {"notes:read", "notes:admin"}
    assert after.verified_scope == frozenset(), "a word that goes leaves the verified ones too"
    with pytest.raises(OperationError):
        await resources.update(operator, NOTES.identifier, ResourceChanges(verified_scope=frozenset({"notes:write"})))
    reset = await resources.update(operator, NOTES.identifier, ResourceChanges(reset_lifetime=True))
    assert reset.access_token_lifetime is None
    assert await resources.get(operator, NOTES.identifier) == reset


async def test_a_deleted_resource_leaves_its_words_to_others(operator):
    await resources.create(operator, NOTES)
    await resources.delete(operator, NOTES.identifier)
    with pytest.raises(OperationError) as refused:
        await resources.get(operator, NOTES.identifier)
    assert refused.value.problem is Problem.NOT_FOUND
    await resources.create(operator, replace(NOTES, identifier="https://other.example.org"))
    assert (await audited(operator)) == ["resource_created", "resource_deleted", "resource_created"]
