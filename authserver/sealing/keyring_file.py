"""The sealing key ring: the one secret outside the database, in a file or in the environment.

One key a line, ``id:base64(32 bytes)``, or ``id:PLUG-IN:base64(wrapped key)`` for a key that only a plug-in can unwrap;
the first is current, the others still open what they sealed. Blank lines and lines that start with ``#`` are skipped.
The file is never made or changed behind an operator's back.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from authserver.sealing.box import KEY_BYTES, Box
from authserver.sealing.wrapping import WrapError, unwrap, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_OWNER_ONLY: Final = 0o600
_GROUP_READS: Final = 0o040
VARIABLE: Final = "AUTHSERVER_SEALING_KEY"
MAX_BYTES: Final = 16 * 1024


class SealingKeyError(ValueError):
    """The sealing key cannot be used; the text is for the operator and says what to do."""


def open_box(settings: Settings) -> Box:
    """Read the ring from where the settings say: ``SEALING_KEY`` itself, else the file; raise SealingKeyError."""
    if settings.sealing_key is not None:
        # the environment of a running process never changes: there is nothing to read anew
        keys = _parse(settings.sealing_key.replace(",", "\n").encode(), VARIABLE)
        return Box(keys, current=next(iter(keys)))
    return load_box(settings.sealing_key_file)


def load_box(path: Path) -> Box:
    """Read the key file; raise :class:`SealingKeyError` where it is missing, malformed, or open to others."""
    keys = _read(path)
    return Box(keys, current=next(iter(keys)), reread=lambda: _read(path))


def create(path: Path, *, sealed_rows_exist: bool, plug_in: str | None = None) -> Box:
    """Make a new key file with one random key, mode 0600, and return its box. ``plug_in`` names what wraps the key.

    Raise :class:`SealingKeyError` where the file exists, or where the database already holds rows that only another
    key can open (``sealed_rows_exist``): a new key would hide the loss until the first restart.
    """
    if sealed_rows_exist:
        message = (
            f"{path}: the database holds rows sealed with a key that is not here. Bring that key file back from the "
            "backup; a new key cannot open them. To start over, use an empty database."
        )
        raise SealingKeyError(message)
    _, line = _new_line(path, plug_in)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    except FileExistsError as error:
        message = f"{path}: a sealing key file is there already; it is never overwritten."
        raise SealingKeyError(message) from error
    except OSError as error:
        message = f"{path}: the sealing key file cannot be made ({error.strerror})."
        raise SealingKeyError(message) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return load_box(path)


def add_key(path: Path, *, plug_in: str | None = None) -> str:
    """Put a new random key on top of the file, so that it is current, and return its id; the others stay below it.

    The file is replaced whole: whoever reads it meanwhile sees the one or the other. Raise SealingKeyError where the
    file cannot be read or written; then nothing has changed.
    """
    _read(path)
    key_id, line = _new_line(path, plug_in)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        kept = path.read_text(encoding="ascii")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(line + kept)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        message = f"{path}: the sealing key file cannot be written ({error.strerror}). Nothing was changed."
        raise SealingKeyError(message) from error
    return key_id


def _new_line(path: Path, plug_in: str | None) -> tuple[str, str]:
    """Return the id and the line of a new random key."""
    key_id, key = secrets.token_hex(4), secrets.token_bytes(KEY_BYTES)
    if plug_in is None:
        return key_id, f"{key_id}:{base64.b64encode(key).decode()}\n"
    try:
        wrapped = wrap(plug_in, key)
    except WrapError as error:
        raise _plug_in_failed(path, plug_in, error) from error
    return key_id, f"{key_id}:{plug_in}:{base64.b64encode(wrapped).decode()}\n"


def _read(path: Path) -> Mapping[str, bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        message = (
            f"{path}: there is no sealing key file. On a new installation run `authserver init`. Where a database "
            "exists already, bring its key back from the backup: another key cannot open it."
        )
        raise SealingKeyError(message) from error
    except OSError as error:
        message = (
            f"{path}: the sealing key file cannot be read ({error.strerror}). Let the server's user own it: chmod 600."
        )
        raise SealingKeyError(message) from error
    try:
        _check_status(os.fstat(descriptor), path)
        text = os.read(descriptor, MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    return _parse(text, str(path))


def _check_status(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        message = f"{path}: the sealing key is not a regular file."
        raise SealingKeyError(message)
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~(_OWNER_ONLY | (_GROUP_READS if _is_credential(path) else 0)):
        message = f"{path}: the sealing key file has mode {mode:04o}; others may use it. Run: chmod 600 {path}"
        raise SealingKeyError(message)


def _is_credential(path: Path) -> bool:
    """Tell whether systemd has laid this file out for this service alone: a list says so, which looks like a group."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.resolve().parent == Path(folder or "").resolve()


def _parse(text: bytes, place: str) -> Mapping[str, bytes]:
    if len(text) > MAX_BYTES:
        message = f"{place}: the sealing key file is larger than {MAX_BYTES} bytes."
        raise SealingKeyError(message)
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.decode("ascii", errors="replace").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key_id, _, rest = line.strip().partition(":")
        plug_in, is_wrapped, encoded = rest.rpartition(":")
        material = _decode(encoded)
        if material is not None and is_wrapped and _KEY_ID.fullmatch(key_id):
            material = _unwrap(plug_in, material, f"{place}, line {number}")
        if not _KEY_ID.fullmatch(key_id) or material is None or len(material) != KEY_BYTES or key_id in keys:
            # the line itself is a secret, even a broken one
            message = (
                f"{place}, line {number}: expected `id:base64 of {KEY_BYTES} bytes` with an id of its own "
                "(letters, digits, _ and -). Bring it back from the backup."
            )
            raise SealingKeyError(message)
        keys[key_id] = material
    if not keys:
        message = f"{place}: the sealing key file holds no key. Bring it back from the backup."
        raise SealingKeyError(message)
    return keys


def _unwrap(plug_in: str, wrapped: bytes, place: str) -> bytes:
    try:
        return unwrap(plug_in, wrapped)
    except WrapError as error:
        raise _plug_in_failed(place, plug_in, error) from error


def _plug_in_failed(place: object, plug_in: str, error: WrapError) -> SealingKeyError:
    return SealingKeyError(f"{place}: the plug-in {plug_in!r} that wraps the sealing key failed: {error}")


def _decode(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
