"""Plug-ins that wrap sealing keys: a hardware token or a key management service opens them, and nothing else can.

A plug-in is an entry point of the group ``authserver.sealing_key``: a callable without arguments that returns a
:class:`KeyWrapper`. It imports nothing of this program and reads its own settings. The sealing key file then holds
``id:NAME:base64(wrapped key)``; the plug-in is asked once, when the file is read.
"""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import Final, Protocol, cast

GROUP: Final = "authserver.sealing_key"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class WrapError(Exception):
    """A key cannot be wrapped or unwrapped; the text is for the operator."""


class KeyWrapper(Protocol):
    """What a plug-in gives. Both may raise anything; the server then does not start, and tells it in one line."""

    def wrap(self, key: bytes) -> bytes:
        """Return a key of 32 bytes so that only :meth:`unwrap` makes sense of it; at most 4 KiB."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the key."""


def find_wrapper(name: str) -> KeyWrapper:
    """Return the plug-in of a name, ready; raise :class:`WrapError` where none or more than one is installed."""
    if not _NAME.fullmatch(name):
        raise WrapError("its name has other characters than letters, digits, _, . and -")
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if len(found) != 1:
        known = ", ".join(sorted(point.name for point in entry_points(group=GROUP))) or "none"
        count = "several distributions bring it" if found else "it is not installed"
        raise WrapError(f"{count} in this environment (installed: {known})")
    return cast("KeyWrapper", found[0].load()())
