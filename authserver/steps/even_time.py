"""Answers that take as long whatever the database knows (SECURITY row 104).

After the same statements what is left still differs by tenths of a millisecond, and that is an answer to whoever asks
often enough.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from authserver.phases import forbid_open_transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVEN_SECONDS: Final = 0.05  # several times what the work takes on an idle machine; it costs no CPU


@asynccontextmanager
async def even_time() -> AsyncIterator[None]:
    """Let the block take :data:`EVEN_SECONDS`, however it ends. Work that takes longer is not hidden."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + EVEN_SECONDS
    try:
        yield
    finally:
        forbid_open_transaction("a wait")
        await asyncio.sleep(ends_at - loop.time())
