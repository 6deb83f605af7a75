"""Reads the settings: environment over file over defaults, all faults at once.

Reading them is done here and not by pydantic-settings, because each error must say where its value came from, and
because a misspelt name has to stop the start; the library overlooks unknown names in the environment.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from authserver.settings.description import extra_of
from authserver.settings.model import HIDDEN, NAMES, PREFIX, SECRETS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

CONFIG_FILE: Final = "authserver.toml"
CONFIG_NAME: Final = "AUTHSERVER_CONFIG"
_MAX_SHOWN: Final = 80


class SettingsError(Exception):
    """The settings cannot be used; the text has one line for each wrong setting."""


@dataclass(frozen=True, slots=True)
class _Value:
    """What was written for one setting, and where."""

    value: object
    origin: str


def load_settings(environ: Mapping[str, str], cwd: Path, *, defaults: Mapping[str, object] | None = None) -> Settings:
    """Read and check all settings; raise :class:`SettingsError` that names everything wrong at once.

    ``defaults`` stand in for the built-in ones (``authserver dev`` has its own). An empty environment variable counts
    as not set. Relative paths are the process's working directory's.
    """
    errors: list[str] = []
    values = {name: _Value(value, "default") for name, value in (defaults or {}).items()}
    values |= _read_file(environ, cwd, errors)
    values |= _read_environment(environ, errors)
    _read_secret_files(values, cwd, errors)
    try:
        settings = Settings(**{name: found.value for name, found in values.items() if name in NAMES})  # type: ignore[arg-type]  # pydantic checks
    except ValidationError as error:
        errors += _explain(error, values)
    else:
        if not errors:
            return settings
    raise SettingsError("\n".join(errors))


def _read_environment(environ: Mapping[str, str], errors: list[str]) -> dict[str, _Value]:
    known = {PREFIX + name.upper(): name for name in _writable_names()}
    found = {}
    for variable, value in environ.items():
        if variable in known:
            if value:
                found[known[variable]] = _Value(value, "environment")
        elif variable.upper().startswith(PREFIX) and variable != CONFIG_NAME:
            errors.append(_unknown(variable, (*known, CONFIG_NAME)))
    return found


def _read_file(environ: Mapping[str, str], cwd: Path, errors: list[str]) -> dict[str, _Value]:
    named = environ.get(CONFIG_NAME)
    path = cwd / (named or CONFIG_FILE)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            errors.append(f"{CONFIG_NAME}: there is no file {path}")
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        errors.append(f"{path}: cannot be read as TOML: {error}")
        return {}
    names = _writable_names()
    errors += [f"{path.name}: {_unknown(name, names)}" for name in table if name not in names]
    return {name: _Value(value, path.name) for name, value in table.items() if name in names}


def _read_secret_files(values: dict[str, _Value], cwd: Path, errors: list[str]) -> None:
    for secret in SECRETS:
        pointer = values.pop(f"{secret}_file", None)
        if pointer is None:
            continue
        variable = f"{PREFIX}{secret.upper()}_FILE"
        direct = values.get(secret)
        if direct is not None and direct.origin == pointer.origin:
            errors.append(f"{variable}: {PREFIX}{secret.upper()} is set too ({pointer.origin}); set one of them")
            continue
        try:
            text = (cwd / str(pointer.value)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            errors.append(
                f"{variable}: {_show(pointer.value)} ({pointer.origin}) cannot be read; allowed: a file with the value"
            )
            continue
        values[secret] = _Value(text, f"the file {pointer.value}")


def _writable_names() -> tuple[str, ...]:
    return (*NAMES, *(f"{secret}_file" for secret in sorted(SECRETS)))


def _unknown(name: str, known: Iterable[str]) -> str:
    by_capitals = {candidate.upper().removeprefix(PREFIX): candidate for candidate in known}
    nearest = difflib.get_close_matches(name.upper().removeprefix(PREFIX), by_capitals, n=1)
    return f"{name}: unknown" + (f"; did you mean {by_capitals[nearest[0]]}?" if nearest else "")


def _explain(error: ValidationError, values: Mapping[str, _Value]) -> list[str]:
    lines = {}
    for fault in error.errors(include_input=False, include_context=False, include_url=False):
        name = str(fault["loc"][0])
        allowed = extra_of(Settings.model_fields[name], "allowed")
        if name.endswith("_idle_lifetime"):
            allowed += f", and not above {PREFIX}{name.replace('_idle_', '_absolute_').upper()}"
        found = values.get(name)
        if found is None:
            seen = "is not set"
        else:
            seen = f"{'the value' if name in HIDDEN else _show(found.value)} ({found.origin}) is refused"
        lines[name] = f"{PREFIX}{name.upper()}: {seen}; allowed: {allowed}"
    return list(lines.values())


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
