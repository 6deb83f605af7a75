"""Plug-ins that wrap sealing keys: a hardware token or a key management service opens them, and nothing else can.

A plug-in is an entry point of the group ``authserver.sealing_key``: a callable without arguments that returns a
:class:`KeyWrapper`. It imports nothing of this program and reads its own settings. The sealing key file then holds
``id:NAME:base64(wrapped key)``; the plug-in is asked once, when the file is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

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


def wrap(name: str, key: bytes) -> bytes:
    """Have the plug-in of a name wrap a key; raise :class:`WrapError` where it cannot, or does not unwrap it again."""
    wrapped = _ask(name, lambda wrapper: wrapper.wrap(key))
    if unwrap(name, wrapped) != key:
        raise WrapError("what it wrapped, it does not unwrap")
    return wrapped


def unwrap(name: str, wrapped: bytes) -> bytes:
    """Have the plug-in of a name unwrap a key; raise :class:`WrapError` where it cannot."""
    return _ask(name, lambda wrapper: wrapper.unwrap(wrapped))


def _ask(name: str, deed: Callable[[KeyWrapper], bytes]) -> bytes:
    wrapper = _find_wrapper(name)
    try:
        return bytes(deed(wrapper()))
    except Exception as error:  # a stranger's code: whatever it raises is told in one line, and nothing starts
        raise WrapError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _find_wrapper(name: str) -> Callable[[], KeyWrapper]:
    """Return what makes the plug-in of a name; raise :class:`WrapError` where none or more than one is installed."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - most installations have no plug-in

    if not _NAME.fullmatch(name):
        raise WrapError("its name has other characters than letters, digits, _, . and -")
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if len(found) != 1:
        known = ", ".join(sorted(point.name for point in entry_points(group=GROUP))) or "none"
        count = "several distributions bring it" if found else "it is not installed"
        raise WrapError(f"{count} in this environment (installed: {known})")
    try:
        return cast("Callable[[], KeyWrapper]", found[0].load())
    except (ImportError, AttributeError) as error:
        raise WrapError(f"it cannot be loaded: {error}") from error
