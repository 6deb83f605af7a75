"""The log: one JSON object a line on standard output, or readable lines in development (DESIGN §10).

What strangers send ends up in it, so every value is escaped: no line break and no control character of a request can
forge a line or move a terminal's cursor (SECURITY row 126). Secrets are never passed to it in the first place.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, FilteringBoundLogger, Processor


@contextmanager
def _rich_hidden() -> Iterator[None]:
    """Let an import find no rich: structlog brings all of it where it is, for tracebacks that we do not draw."""
    found = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python notes that an import must fail
    try:
        yield
    finally:
        del sys.modules["rich"]
        if found is not None:
            sys.modules["rich"] = found


with _rich_hidden():
    import structlog

_QUIET: Final = ("authlib", "httpcore2", "httpx2", "sqlalchemy", "aiosqlite")  # their DEBUG lines hold tokens or rows
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=repr).encode


class _IntoStructlog(logging.Handler):
    """Hand what libraries log by the standard way to the one log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under its logger's name."""
        logger = structlog.get_logger(record.name)
        logger.log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of this name; each of its events is one line of the log."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def _to_json(_logger: object, _method: str, event: EventDict) -> str:
    """Render an event; structlog's own renderer makes an encoder each time: 1.7 us of each request."""
    return _encode(event)


def configure_logs(level: str, *, readable: bool = False) -> None:
    """Set the log up for this process; ``level`` is DEBUG, INFO, WARNING or ERROR."""
    number = logging.getLevelNamesMapping()[level]
    render: Processor = structlog.processors.KeyValueRenderer(key_order=["level", "event"]) if readable else _to_json
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            *([] if readable else [structlog.processors.TimeStamper(fmt="iso", utc=True)]),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_IntoStructlog()]
    root.setLevel(max(number, logging.INFO))
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
