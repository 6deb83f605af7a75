"""Static files under ``/static``: compressed, with an ETag, and cached for good under their fingerprinted address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from authserver.web.pages import STATIC, fingerprints

if TYPE_CHECKING:
    import os

    from starlette.responses import Response
    from starlette.types import ASGIApp, Scope

_IMMUTABLE: Final = "public, max-age=31536000, immutable"


class _FingerprintedFiles(StaticFiles):
    """``StaticFiles`` that lets a browser keep a file for a year when it was asked for by its fingerprint.

    A node of another version answers the address too, with its own file: not to be kept under that fingerprint.
    """

    def __init__(self) -> None:
        super().__init__(directory=STATIC)
        self._versions = fingerprints()

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Add the caching headers; a 304 carries them too."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("v", [""])[0]
        path = self.get_path(scope).replace("\\", "/")
        response.headers["Cache-Control"] = _IMMUTABLE if self._versions.get(path) == asked else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def static_files() -> ASGIApp:
    """Return the ASGI application to mount at ``/static``."""
    return GZipMiddleware(_FingerprintedFiles(), minimum_size=1000)
