"""The reference pages of the manual, built from the code that they describe.

``python -m tests.docs.generate`` writes them; a test compares what is committed with what is built here.
"""

import contextlib
import inspect
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

MADE = "<!-- made by `python -m tests.docs.generate`; change the code it describes -->\n\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |\n"

    return line(head) + "|" + "---|" * len(head) + "\n" + "".join(line(row) for row in rows)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def settings_page() -> str:
    """Every setting, its default and what is allowed."""
    from authserver.settings import describe

    rows = []
    names = {setting.name for setting in describe()}
    for setting in describe():
        default = "must be set" if setting.default is None else _code(setting.default) or "none"
        unit = f" ({setting.unit})" if setting.unit else ""
        name = _code(setting.name) + (
            f" or {_code(setting.name + '_FILE')}" if setting.is_secret and setting.name + "_FILE" not in names else ""
        )
        rows.append((name, default + unit, setting.allowed, setting.meaning))
    return (
        "# Settings\n\n"
        + MADE
        + "The environment comes before `authserver.toml` (in the working directory, or where `AUTHSERVER_CONFIG` says), and\n"
        "that before the defaults. In the file, names are written small and without `AUTHSERVER_`: `issuer = 'https://…'`.\n"
        "An unknown name or a wrong value stops the start; all errors are shown at once, each with the place it came from.\n"
        "A secret may be read from a file instead: the same name with `_FILE` at its end.\n"
        "Per client or resource, several lifetimes can be set differently: see `authserver clients create --help`.\n\n"
        + _table(("Setting", "Default", "Allowed", "Meaning"), rows)
    )  # fmt: skip


def env_example() -> str:
    """A commented `.env` with every setting at its default."""
    from authserver.settings import describe

    lines = [
        "# Settings of the issuer; docs/reference/settings.md says the same at length.",
        "# Copy to .env: `docker compose` reads it. Lines that begin with # are defaults.",
        "",
    ]
    for setting in describe():
        lines += [f"# {setting.meaning}", f"# allowed: {setting.allowed}"]
        example = f"{setting.name}=http://localhost:9000" if setting.default is None else None
        lines += [example or f"#{setting.name}={setting.default}", ""]
    return "\n".join(lines)


def refusals_page() -> str:
    """Every refusal, the section it implements and what happened."""
    from authserver.oauth.errors import ErrorCode, Refusal

    rows = [(_code(refusal.value), refusal.source, refusal.meaning) for refusal in Refusal]
    return (
        "# Errors and refusals\n\n"
        + MADE
        + "A client reads an *error code*, one of: "
        + ", ".join(_code(code.value) for code in ErrorCode)
        + ". Two situations that an attacker must not tell apart share one code and one description.\n\n"
        "The operator reads the *refusal*, the rule that fired: it is in the log's event for the request (`refusal`, beside\n"
        "`request_id`, which the error page and the `Request-Id` header show) and never on the wire.\n\n"
        + _table(("Refusal", "Where it comes from", "What happened"), rows)
    )


def endpoints_page() -> str:
    """Every path that a feature declares."""
    from authserver.app import FEATURES

    operations = _operations_of_the_api()
    rows = []
    for feature in FEATURES:
        for endpoint in feature.endpoints:
            document = (endpoint.handler.__doc__ or "").strip().splitlines()
            does = operations.get(endpoint.path) or (document[0] if document else "")
            methods = ", ".join(sorted(endpoint.methods))
            kind = "page" if endpoint.errors == "page" else "JSON"
            rows.append((_code(endpoint.path), methods, kind, feature.name, does))
    return (
        "# Endpoints\n\n"
        + MADE
        + 'A client should read the addresses from `/.well-known/openid-configuration`. "Errors" says whether a refusal is\n'
        "JSON for a program or a page for a person.\n\n"
        + _table(("Path", "Methods", "Errors", "Feature", "What it does"), sorted(rows))
    )


def _operations_of_the_api() -> dict[str, str]:
    """What the operations of ``/api`` say of themselves, by path: one handler passes all of them on."""
    from authserver.features.api.application import build_document

    paths = json.loads(build_document("https://issuer.example"))["paths"]
    return {
        re.sub(r"{\w+}", "*", path): " ".join(f"{operation['summary']}." for operation in operations.values())
        for path, operations in paths.items()
    }


def _walk(command: Any, words: tuple[str, ...], parent: Any) -> Iterator[tuple[str, ...]]:
    yield words
    if not hasattr(command, "list_commands"):
        return
    context = command.context_class(command, info_name=words[-1], parent=parent)
    for name in command.list_commands(context):
        yield from _walk(command.get_command(context, name), (*words, name), context)


def cli_page() -> str:
    """Every command with its own help text."""
    from typer.main import get_command

    from authserver.cli.root import app, run

    sections = []
    os.environ["COLUMNS"] = "100"
    for words in _walk(get_command(app), ("authserver",), None):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            run([*words[1:], "--help"])
        text = "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())
        sections.append(f"## {' '.join(words)}\n\n```text\n{text}\n```\n")
    return (
        "# Command line\n\n"
        + MADE
        + "Exit codes: 0 done, 1 failed, 2 wrong usage or wrong settings, 130 after Ctrl-C. Results go to stdout, everything\n"
        "else to stderr. `--json` prints one JSON document; `authserver NOUN VERB --help` prints what stands here.\n\n"
        + "\n".join(sections)
    )


def tables_page() -> str:
    """Every table of the schema with its columns; a column's meaning is the comment on its line."""
    from sqlalchemy.dialects import postgresql

    from authserver.store import tables

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's factory has no types
    sections = []
    for name, model in sorted(vars(tables).items()):
        if not hasattr(model, "__table__"):
            continue
        comments = dict(re.findall(r"^ +(\w+): .*?  # (.+)$", inspect.getsource(model), re.MULTILINE))
        rows = [
            (
                _code(column.name),
                column.type.compile(dialect=dialect).lower() + (", may be null" if column.nullable else ""),
                comments.get(column.name, ""),
            )
            for column in model.__table__.columns
        ]
        sections.append(
            f"## {model.__tablename__}\n\n{inspect.getdoc(model)}\n\n" + _table(("Column", "Type", "Meaning"), rows)
        )
        assert name == model.__name__
    return (
        "# Tables\n\n"
        + MADE
        + "The schema is declared in `authserver/store/tables.py`, the same on SQLite and on PostgreSQL (whose types stand here).\n"
        "It is the server's own: read it for reports, write it through the command line. Secrets stand there as hashes, keys\n"
        "sealed, times in UTC.\n\n" + "\n".join(sections)
    )


PAGES: dict[str, Callable[[], str]] = {
    ".env.example": env_example,
    "docs/reference/cli.md": cli_page,
    "docs/reference/endpoints.md": endpoints_page,
    "docs/reference/refusals.md": refusals_page,
    "docs/reference/settings.md": settings_page,
    "docs/reference/tables.md": tables_page,
}
