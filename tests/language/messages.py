"""Collect the words of pages, mails and code, bring each language's catalogue up to date, and compile it.

`python -m tests.language.messages` (or `make messages`) does so for every language; what is new comes without a
translation, what is gone goes. Collected are: `_("…")` and `ngettext("…", "…", n)` in templates; in Python `N_("…")`,
`words("…")`, `count_words("…", "…", n)`, and what a page is called by `title="…"` or asks a proof for by `what="…"`.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from authserver.language import DEFAULT, LANGUAGES, LOCALE
from tests.architecture.source import ROOT, parse, python_files, relative

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Message: TypeAlias = str | tuple[str, str]

TEMPLATES: Final = ("authserver/ui/templates", "authserver/mail/templates")
_KEYWORDS: Final = ("_", "gettext", "ngettext")
_OPTIONS: Final = {"trimmed": "true", "silent": "false"}


@cache
def collect() -> dict[Message, list[str]]:
    """Every message by its id, or by both forms where it has two, and the files that say it."""
    found: dict[Message, list[str]] = {}
    for path, message in _all():
        places = found.setdefault(message, [])
        if relative(path) not in places:
            places.append(relative(path))
    return found


def catalogue_path(tag: str) -> Path:
    return LOCALE / tag / "LC_MESSAGES" / "messages.po"


def read(tag: str) -> Catalog:
    with catalogue_path(tag).open("rb") as file:
        return read_po(file, locale=tag)


def update(tag: str) -> Catalog:
    """The catalogue of a language with exactly the messages there are, in the order of their ids."""
    path = catalogue_path(tag)
    before = read(tag) if path.exists() else Catalog(locale=tag)
    after = Catalog(locale=tag, charset="utf-8", fuzzy=False)
    after.creation_date = after.revision_date = before.creation_date
    for message, places in sorted(collect().items(), key=lambda item: _singular(item[0])):
        known = before.get(_singular(message))
        string = known.string if known is not None and isinstance(known.id, tuple) == isinstance(message, tuple) else ""
        after.add(message, string, locations=[(place, 0) for place in places])
    return after


def write(tag: str) -> None:
    catalogue = update(tag)
    path = catalogue_path(tag)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, include_lineno=False, omit_header=False, sort_output=False)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalogue)


def _all() -> Iterator[tuple[Path, Message]]:
    for path in python_files("authserver"):
        for message in _in_python(parse(path)):
            yield path, message
    for folder in TEMPLATES:
        for path in sorted(path for path in (ROOT / folder).rglob("*") if path.is_file()):
            with path.open("rb") as file:
                for _, function, said, _ in babel_extract(file, _KEYWORDS, (), _OPTIONS):
                    texts = said if isinstance(said, tuple) else (said,)
                    if function == "ngettext":
                        yield path, (texts[0], texts[1])
                    elif texts[0] is not None:  # None: a variable, whose words are marked where they are written
                        yield path, texts[0]


def _in_python(tree: ast.AST) -> Iterator[Message]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [_text(argument) for argument in node.args]
        if name in {"N_", "words"} and texts and texts[0]:
            yield texts[0]
        elif name == "count_words" and texts[0] and texts[1]:
            yield texts[0], texts[1]
        elif name in {"render", "render_account", "ask_proof"}:
            yield from (
                text
                for keyword in node.keywords
                if keyword.arg in {"title", "what"}
                for part in ast.walk(keyword.value)
                if (text := _text(part)) and _is_title(keyword.value, part)
            )


def _is_title(value: ast.expr, part: ast.AST) -> bool:
    """Tell whether a string is the title itself, or one of two that a condition chooses from."""
    return part is value or (isinstance(value, ast.IfExp) and part in {value.body, value.orelse})


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _singular(message: Message) -> str:
    return message if isinstance(message, str) else message[0]


if __name__ == "__main__":
    for each in LANGUAGES:
        if each != DEFAULT:
            write(each)
