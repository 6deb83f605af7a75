"""The reference says what the code does: nothing is missing, nothing is made up."""

import pytest

from tests.architecture.source import ROOT
from tests.docs.reference import PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_says(name):
    committed = (ROOT / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "run: python -m tests.docs.generate"
