"""What a serving process tells the allocator and the garbage collector, so that it starts fast and stays small.

glibc gives each thread an arena of its own and keeps what was freed in it: 19 MiB for every thread that ever hashed a
password, for good. With one arena the threads share one such piece, and it can be given back. On other C libraries
there is nothing to tell, and nothing is told.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8  # mallopt(3)


def use_one_arena() -> bool:
    """Have every thread allocate from one arena; tell whether the C library knows of any. Before the first thread."""
    libc = ctypes.CDLL(None)
    return hasattr(libc, "mallopt") and libc.mallopt(_M_ARENA_MAX, 1) == 1


def give_back() -> None:
    """Return what is free to the system. Takes a millisecond, and the next large allocation some more."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def begin_start() -> None:
    """Collect no garbage for now: starting makes two hundred thousand objects, and nearly none of them is garbage."""
    gc.disable()


def end_start() -> None:
    """Collect garbage again."""
    gc.enable()


def keep() -> None:
    """Never look for garbage again among all there is now: what a server has made to start lives as long as it."""
    gc.freeze()
