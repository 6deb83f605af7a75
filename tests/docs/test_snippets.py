"""Python, JSON and TOML on the pages can be copied: they parse, and what they import exists."""

import ast
import importlib
import json
import tomllib

import pytest
from django.conf import settings

from tests.architecture.source import ROOT, relative
from tests.docs.markdown import fences, pages

if not settings.configured:
    settings.configure()  # Django's modules ask for settings as soon as they are imported

SNIPPETS = [
    pytest.param(language, text, id=f"{relative(page)}:{line}")
    for page in pages(ROOT)
    for language in ("python", "json", "toml")
    for line, text in fences(page.read_text(encoding="utf-8"), language)
]


@pytest.mark.parametrize(("language", "text"), SNIPPETS)
def test_a_snippet_parses_and_imports_what_exists(language, text):
    if language == "json":
        json.loads(text)
    elif language == "toml":
        tomllib.loads(text)
    else:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
