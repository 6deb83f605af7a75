"""Every word of pages and mails is translated into every language that is offered, and nothing is left over."""

from __future__ import annotations

import io

import pytest
from babel.messages.mofile import write_mo

from authserver.language import DEFAULT, LANGUAGES, LOCALE, load_translations
from tests.language import messages
from tests.language.pseudo import PLACEHOLDER

TRANSLATED = [tag for tag in LANGUAGES if tag != DEFAULT]


def forms(text):
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_catalogue_has_exactly_the_messages_that_are_said(tag):
    listed = {message.id for message in messages.read(tag) if message.id}
    said = set(messages.collect())
    assert said - listed == set(), "new: run `make messages`, then translate"
    assert listed - said == set(), "gone: run `make messages`"


@pytest.mark.parametrize("tag", TRANSLATED)
def test_nothing_is_untranslated_or_guessed_and_the_same_is_filled_in(tag):
    for message in messages.read(tag):
        if not message.id:
            continue
        assert all(forms(message.string)), f"not translated: {message.id!r}"
        assert not message.fuzzy, f"guessed: {message.id!r}"
        wanted = set(PLACEHOLDER.findall(forms(message.id)[-1]))
        for form in forms(message.string):
            assert set(PLACEHOLDER.findall(form)) == wanted, f"{message.id!r} becomes {form!r}"
            assert "%" not in PLACEHOLDER.sub("", form)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_what_is_compiled_is_what_was_written(tag):
    compiled = io.BytesIO()
    write_mo(compiled, messages.read(tag))
    assert messages.catalogue_path(tag).with_suffix(".mo").read_bytes() == compiled.getvalue(), "run `make messages`"


def test_every_catalogue_belongs_to_a_language_that_is_offered():
    assert {path.name for path in LOCALE.iterdir() if path.is_dir()} == set(TRANSLATED)


def test_no_message_is_empty_or_needs_more_than_gettext_gives():
    for message in messages.collect():
        for form in forms(message):
            assert form.strip() == form != ""
            assert "%" not in PLACEHOLDER.sub("", form), f"a lone % in {form!r}"


def test_a_language_says_the_singular_and_the_plural():
    words = load_translations("de").ngettext
    one, many = "Too many tries. Wait %(seconds)s second.", "Too many tries. Wait %(seconds)s seconds."
    assert words(one, many, 1) != words(one, many, 2)
