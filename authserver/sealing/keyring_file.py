"""The sealing key file: the one secret outside the database.

One key a line, ``id:base64(32 bytes)``; the first is current, the others still open what they sealed. Blank lines and
lines that start with ``#`` are skipped. The file is never made or changed behind an operator's back.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING, Final

from authserver.sealing.box import KEY_BYTES, Box

if TYPE_CHECKING:
    from pathlib import Path

_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_OWNER_ONLY: Final = 0o600
MAX_BYTES: Final = 16 * 1024


class SealingKeyError(Exception):
    """The sealing key cannot be used; the text is for the operator and says what to do."""


def load_box(path: Path) -> Box:
    """Read the key file; raise :class:`SealingKeyError` where it is missing, malformed, or open to others."""
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
    return _parse(text, path)


def create(path: Path, *, sealed_rows_exist: bool) -> Box:
    """Make a new key file with one random key, mode 0600, and return its box.

    Raise :class:`SealingKeyError` where the file exists, or where the database already holds rows that only another
    key can open (``sealed_rows_exist``): a new key would hide the loss until the first restart.
    """
    if sealed_rows_exist:
        message = (
            f"{path}: the database holds rows sealed with a key that is not here. Bring that key file back from the "
            "backup; a new key cannot open them. To start over, use an empty database."
        )
        raise SealingKeyError(message)
    key_id, key = secrets.token_hex(4), secrets.token_bytes(KEY_BYTES)
    line = f"{key_id}:{base64.b64encode(key).decode()}\n"
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
    return Box({key_id: key}, current=key_id)


def _check_status(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        message = f"{path}: the sealing key is not a regular file."
        raise SealingKeyError(message)
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~_OWNER_ONLY:
        message = f"{path}: the sealing key file has mode {mode:04o}; others may use it. Run: chmod 600 {path}"
        raise SealingKeyError(message)


def _parse(text: bytes, path: Path) -> Box:
    if len(text) > MAX_BYTES:
        message = f"{path}: the sealing key file is larger than {MAX_BYTES} bytes."
        raise SealingKeyError(message)
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.decode("ascii", errors="replace").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key_id, _, encoded = line.strip().partition(":")
        key = _decode(encoded)
        if not _KEY_ID.fullmatch(key_id) or key is None or key_id in keys:
            # the line itself is a secret, even a broken one
            message = (
                f"{path}, line {number}: expected `id:base64 of {KEY_BYTES} bytes` with an id of its own "
                "(letters, digits, _ and -). Bring the file back from the backup."
            )
            raise SealingKeyError(message)
        keys[key_id] = key
    if not keys:
        message = f"{path}: the sealing key file holds no key. Bring it back from the backup."
        raise SealingKeyError(message)
    return Box(keys, current=next(iter(keys)))


def _decode(encoded: str) -> bytes | None:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None
