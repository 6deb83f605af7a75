"""Serves the sample page: files, and where its issuer and its API are. Any static web server would do.

python clients/spa/serve.py --issuer http://localhost:9000 --client-id demo-spa --api http://localhost:9001 --port 9003
"""

from __future__ import annotations

import argparse
import json
import os
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

HERE: Final = Path(__file__).parent
LOOK: Final = HERE.parent / "web_app" / "static"  # both samples look alike
FILES: Final = {
    "/": (HERE / "index.html", "text/html; charset=utf-8"),
    "/callback": (HERE / "index.html", "text/html; charset=utf-8"),
    "/app.js": (HERE / "app.js", "text/javascript; charset=utf-8"),
    "/oidc.js": (HERE / "oidc.js", "text/javascript; charset=utf-8"),
    "/vault.js": (HERE / "vault.js", "text/javascript; charset=utf-8"),
    "/app.css": (LOOK / "app.css", "text/css; charset=utf-8"),
    "/icon.svg": (LOOK / "icon.svg", "image/svg+xml"),
}


def build_policy(issuer: str, api: str) -> str:
    """Return the Content-Security-Policy: no script but the page's own, and nobody to talk to but these two.

    Tokens lie where every script of the page can read them, so this line is what keeps them.
    """
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {issuer} {api}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def make_server(options: argparse.Namespace) -> ThreadingHTTPServer:
    """Return the server; it listens already."""
    config = {"issuer": options.issuer, "client_id": options.client_id, "scope": options.scope, "api": options.api}
    policy = build_policy(options.issuer, options.api)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/config.json":
                self._answer(HTTPStatus.OK, json.dumps(config).encode(), "application/json")
            elif path in FILES:
                file, media_type = FILES[path]
                self._answer(HTTPStatus.OK, file.read_bytes(), media_type)
            else:
                self._answer(HTTPStatus.NOT_FOUND, b"There is no such page.\n", "text/plain")

        def _answer(self, status: HTTPStatus, body: bytes, media_type: str) -> None:
            self.send_response(status)
            for name, value in (
                ("Content-Type", media_type),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", policy),
                ("Cache-Control", "no-cache"),
                ("Referrer-Policy", "no-referrer"),
                ("X-Content-Type-Options", "nosniff"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: an address can hold an authorization code."""

    return ThreadingHTTPServer((options.host, options.port), Handler)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; each option may come from the environment variable of its name instead."""
    parser = argparse.ArgumentParser(description="A sample page that signs people in without a server of its own.")
    environment = os.environ.get
    parser.add_argument("--issuer", default=environment("ISSUER", "http://localhost:9000"))
    parser.add_argument("--client-id", default=environment("CLIENT_ID", "demo-spa"))
    parser.add_argument("--scope", default=environment("SCOPE", "openid profile offline_access api:read api:write"))
    parser.add_argument("--api", default=environment("API", "http://localhost:9001"), help="the API to ask")
    parser.add_argument("--host", default=environment("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(environment("PORT", "9003")))
    return parser.parse_args(arguments)


def main() -> None:
    """Serve until interrupted."""
    options = parse_arguments()
    with make_server(options) as server:
        print(f"The sample page is at http://localhost:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
