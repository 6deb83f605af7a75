"""The examples in docstrings say what happens."""

import doctest
import importlib
from pathlib import Path

import pytest

import authserver

HOME = Path(authserver.__file__).parent
MODULES = [
    ".".join((HOME.name, *path.relative_to(HOME).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(HOME.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("module", MODULES)
def test_an_example_holds(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted
    assert not result.failed
