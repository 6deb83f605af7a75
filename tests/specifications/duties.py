"""The tables beside this file: what each specification asks of a server, and the tests that hold it.

One TOML file per specification::

    title = "RFC 7636: Proof Key for Code Exchange"

    [[duty]]
    section = "4.6"
    duty = "Refuse a code whose verifier does not fit the challenge, as invalid_grant."
    tests = ["tests/oauth/test_pkce.py::test_a_bad_verifier_is_refused[7636-4.6 absent]"]

``duty`` says it in our words. A test is named by file and function; the part in brackets is the ``id`` of one case.
"""

import ast
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One sentence of a specification that binds a server."""

    specification: str
    section: str
    text: str
    tests: tuple[str, ...]


def load_duties(folder: Path = TABLES) -> list[Duty]:
    """Return the duties of every table in a folder; an unknown key in one is an error."""
    return [duty for path in sorted(folder.glob("*.toml")) for duty in _load(path)]


def find_faults(duty: Duty, root: Path = ROOT) -> list[str]:
    """Return what is wrong with one duty: no words, no test, or a test that does not exist."""
    faults = []
    if not duty.section or not duty.text.endswith("."):
        faults.append("say the section, and the duty in a sentence")
    if not duty.tests:
        faults.append("no test holds it")
    return faults + [f"there is no {test}" for test in duty.tests if not _exists(test, root)]


def _load(path: Path) -> Iterator[Duty]:
    document = tomllib.loads(path.read_text())
    if set(document) != {"title", "duty"}:
        message = f"{path.name}: a table has a title and duties"
        raise ValueError(message)
    for entry in document["duty"]:
        if set(entry) != {"section", "duty", "tests"}:
            message = f"{path.name}: a duty has section, duty and tests, not {sorted(entry)}"
            raise ValueError(message)
        yield Duty(specification=path.stem, section=entry["section"], text=entry["duty"], tests=tuple(entry["tests"]))


def _exists(test: str, root: Path) -> bool:
    file, _, name = test.partition("::")
    function, bracket, case = name.partition("[")
    path = root / file
    if not path.is_file():
        return False
    texts = _read(path).get(function)
    return texts is not None and (not bracket or case.removesuffix("]") in texts)


@cache
def _read(path: Path) -> dict[str, frozenset[str]]:
    """Return a file's test functions (``Class::name`` inside a class), each with the strings of its decorators.

    A case is one of these. Where a decorator names a list of the module, the strings of that list count too.
    """
    tree = ast.parse(path.read_text())
    lists = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {name: frozenset(_texts(function.decorator_list, lists)) for name, function in _functions(tree.body, "")}


def _texts(nodes: Sequence[ast.AST], lists: dict[str, ast.expr]) -> Iterator[str]:
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name) and node.id in lists:
            yield from _texts([lists[node.id]], lists)


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{node.name}::")
