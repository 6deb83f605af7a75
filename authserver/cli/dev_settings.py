"""The settings of ``authserver dev``: stand in for the built-in defaults, and never touch ``keys/``."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

DEV_DATABASE: Final = Path("var/dev.sqlite3")
DEV_SEALING_KEY: Final = Path("var/dev-sealing.key")
ISSUER_PORT: Final = 9000
API_PORT: Final = 9001
WEB_PORT: Final = 9002


def dev_defaults(port: int = ISSUER_PORT, api_port: int = API_PORT, web_port: int = WEB_PORT) -> Mapping[str, object]:
    """Return the defaults; the environment and ``authserver.toml`` still come first."""
    return {
        "issuer": f"http://localhost:{port}",
        "database_url": f"sqlite:///{DEV_DATABASE}",
        "sealing_key_file": DEV_SEALING_KEY,
        "jwks_max_age": timedelta(seconds=10),  # a rotation can be watched
        "log_level": "WARNING",  # what was printed at the start stays in sight
        "drain_seconds": timedelta(0),
        "outbound_allow": (f"localhost:{port}", f"localhost:{api_port}", f"localhost:{web_port}"),
    }
