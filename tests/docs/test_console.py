"""What README and the tutorials tell a reader to type is typed, and what they promise is compared."""

import pytest

from tests.architecture.source import ROOT, relative
from tests.docs.console import reader
from tests.docs.markdown import commands, matches

PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs/tutorials").glob("*.md"))]
    if commands(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_the_commands_of_a_page_do_what_it_says(page, tmp_path):
    with reader(tmp_path) as person:
        assert list(person.follow(relative(page), commands(page.read_text(encoding="utf-8"))))


def test_there_are_pages_to_try():
    assert ROOT / "README.md" in PAGES


def test_a_command_that_fails_or_prints_something_else_is_noticed(tmp_path):
    page = "```console\n$ X=900\n$ echo $X:9000; false\n900:9000\n```\n"
    with reader(tmp_path) as person:
        kept, failed = [person.type(command) for command in commands(page)]
        assert kept == ("", 0)
        assert failed == (person.here("900:9000\n"), 1)
    assert not matches("900:9000", failed[0])
