"""Size: a file or a function that has grown too long is two of them."""

import ast

import pytest

from tests.architecture.source import parse, python_files, relative

LONGEST_FILE = 400
LONGER = {"authserver/store/tables.py": 600}  # the whole schema stays on one page
LONGEST_FUNCTION = 60
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "managers", "misc", "util", "helper"}


@pytest.mark.parametrize("path", python_files("authserver", "clients", "tests"), ids=relative)
def test_no_file_and_no_function_is_too_long(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= LONGER.get(relative(path), LONGEST_FILE), f"{relative(path)} has {len(lines)} lines: split it"
    long = [
        f"{node.name} ({length} lines)"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long, f"{relative(path)}: {', '.join(long)}"


@pytest.mark.parametrize("path", python_files("authserver", "clients"), ids=relative)
def test_no_module_has_a_name_that_says_nothing(path):
    assert not FORBIDDEN_NAMES & {path.stem, *path.parent.parts}


@pytest.mark.parametrize("path", python_files("authserver"), ids=relative)
def test_every_module_class_and_public_function_says_what_it_gives(path):
    if path.name != "__init__.py":
        assert ast.get_docstring(parse(path)), f"{relative(path)} has no docstring"
    bare = [
        node.name
        for node in parse(path).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert not bare, f"{relative(path)}: {', '.join(bare)}"
