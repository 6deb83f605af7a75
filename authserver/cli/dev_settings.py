"""The settings of ``authserver dev``: stand in for the built-in defaults, and never touch ``keys/``.

Each issuer has its own data, because signing keys are sealed for one issuer: another port is another issuer.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from authserver.settings import INBOX

ISSUER_PORT: Final = 9000
API_PORT: Final = 9001
WEB_PORT: Final = 9002
SPA_ORIGIN: Final = "http://localhost:9003"  # where clients/spa is served when it is started
_FOLDER: Final = Path("var")


def dev_database(port: int = ISSUER_PORT) -> Path:
    """Return the file of the issuer at a port: ``var/dev.sqlite3``, or ``var/dev-9100.sqlite3`` for another port."""
    return _FOLDER / f"{_stem(port)}.sqlite3"


def dev_sealing_key(port: int = ISSUER_PORT) -> Path:
    """Return the sealing key file that belongs to :func:`dev_database`."""
    return _FOLDER / f"{_stem(port)}-sealing.key"


def dev_defaults(port: int = ISSUER_PORT, api_port: int = API_PORT, web_port: int = WEB_PORT) -> Mapping[str, object]:
    """Return the defaults; other settings of the environment come before them."""
    return {
        "issuer": f"http://localhost:{port}",
        "database_url": f"sqlite:///{dev_database(port)}",
        "sealing_key_file": dev_sealing_key(port),
        "jwks_max_age": timedelta(seconds=10),  # a rotation can be watched
        "log_level": "WARNING",  # what was printed at the start stays in sight
        "drain_seconds": timedelta(0),
        "smtp_url": INBOX,
        "sign_up": "open",
        "outbound_allow": (f"localhost:{port}", f"localhost:{api_port}", f"localhost:{web_port}"),
    }


def _stem(port: int) -> str:
    return "dev" if port == ISSUER_PORT else f"dev-{port}"
