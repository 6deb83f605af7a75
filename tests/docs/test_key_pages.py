"""The pages about keys are drills: what they tell an operator to type in an emergency is typed here (SECURITY B17)."""

import time

import pytest

from tests.architecture.source import ROOT
from tests.docs.console import reader
from tests.docs.markdown import commands

PROMISE = 60  # seconds until a revoked key is gone from every node


@pytest.mark.fault("B17")
@pytest.mark.parametrize("page", ["when-a-key-leaks.md", "rotate-keys.md"])
def test_the_drill_of_a_page_does_what_it_says(page, tmp_path):
    steps = commands((ROOT / "docs/how-to" / page).read_text(encoding="utf-8"))
    assert steps
    with reader(tmp_path) as person:
        revoked_at = None
        for step in person.follow(page, steps):
            if "--emergency --yes" in step.text:
                revoked_at = time.monotonic()
            if step.output == "gone\n":
                assert revoked_at is not None
                assert time.monotonic() - revoked_at < PROMISE
