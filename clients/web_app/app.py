"""A sample web app: it signs people in at the issuer, shows the tokens it got, and asks the sample API with them.

python clients/web_app/app.py --issuer http://localhost:9000 --client-id demo-web --port 9002 --api http://localhost:9001
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from base64 import urlsafe_b64decode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx2
import uvicorn
from issuer import TIMEOUT, Issuer, IssuerError, Registration, SignedOutError
from logout import LogoutTokenError, LogoutTokens
from sessions import ServerSessions, all_sessions_of, session_of
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

HERE: Final = Path(__file__).parent
TEMPLATES: Final = Jinja2Templates(HERE / "templates")


class WebApp:
    """The pages of the app."""

    def __init__(self, registration: Registration, api: str) -> None:
        """Take how the app is registered, and the API it asks."""
        self.registration = registration
        self.api = api
        self.issuer = Issuer(registration)
        self.logout_tokens = LogoutTokens(self.issuer)

    async def home(self, request: Request) -> Response:
        """Show who is signed in and both tokens; send everybody else to the issuer."""
        try:
            await self.issuer.renew(session_of(request), even_if_valid=False)
        except SignedOutError:
            return await self.issuer.sign_in(request)
        session = session_of(request)
        tokens = session["tokens"]
        return self._page(
            request,
            "home.html",
            user=session["user"],
            shown=[
                shown_token("Access token", tokens["access_token"]),
                shown_token("ID token", tokens["id_token"]),
            ],
            refresh_token=fingerprint(tokens["refresh_token"]) if "refresh_token" in tokens else None,
            renewals=session["renewals"],
            answer=session.pop("answer", None),
            api=self.api,
        )

    async def sign_in(self, request: Request) -> Response:
        """Begin signing in."""
        return await self.issuer.sign_in(request)

    async def callback(self, request: Request) -> Response:
        """Take the issuer's answer; a reload of it, or the answer to another tab, leads home when signed in already."""
        try:
            await self.issuer.finish_sign_in(request)
        except IssuerError:
            if "tokens" not in session_of(request):
                raise
        return RedirectResponse("/", status_code=303)

    async def experiment(self, request: Request) -> Response:
        """Renew the pair of tokens, ask the API with the new one, and show what it said on the home page."""
        await self._check_form(request)
        try:
            await self.issuer.renew(session_of(request), even_if_valid=True)
        except SignedOutError:
            return RedirectResponse("/login", status_code=303)
        session = session_of(request)
        session["answer"] = await self._ask_api(session["tokens"]["access_token"])
        return RedirectResponse("/#answer", status_code=303)

    async def sign_out(self, request: Request) -> Response:
        """Sign out here and at the issuer."""
        await self._check_form(request)
        return RedirectResponse(await self.issuer.sign_out(session_of(request)), status_code=303)

    async def backchannel_logout(self, request: Request) -> Response:
        """Take the issuer's word that a session is over (OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8).

        200 says that it is over here too, 400 that the token is not to be believed; the issuer repeats neither.
        """
        async with request.form(max_files=0, max_fields=10) as form:
            token = str(form.get("logout_token", ""))
        try:
            ended = await self.logout_tokens.check(token)
        except LogoutTokenError as error:
            problem = {"error": "invalid_request", "error_description": str(error)}
            return JSONResponse(problem, status_code=400, headers={"Cache-Control": "no-store"})
        all_sessions_of(request).end(ended.means)
        return PlainTextResponse("", headers={"Cache-Control": "no-store"})

    async def signed_out(self, request: Request) -> Response:
        """Say that it is done; the issuer sends the browser here."""
        return self._page(request, "signed_out.html")

    async def healthz(self, _: Request) -> Response:
        """Tell that the process answers; it says nothing about the issuer."""
        return JSONResponse({"status": "ok"})

    async def show_error(self, request: Request, error: Exception) -> Response:
        """Show a problem as a page."""
        if isinstance(error, IssuerError):
            return self._page(request, "error.html", status=error.status, title=error.title, text=str(error))
        status = error.status_code if isinstance(error, HTTPException) else 500
        titles = {403: "This form is too old", 404: "There is no such page", 405: "That is not possible here"}
        title = titles.get(status, "Something went wrong on our side")
        return self._page(request, "error.html", status=status, title=title, text="Please go back and try again.")

    async def _ask_api(self, access_token: str) -> dict[str, Any]:
        asked_at = time.perf_counter()
        try:
            async with httpx2.AsyncClient(timeout=TIMEOUT) as client:
                response = await client.get(
                    f"{self.api}/experiment", headers={"Authorization": f"Bearer {access_token}"}
                )
        except httpx2.HTTPError:
            return {"status": None, "text": f"{self.api} does not answer.", "milliseconds": None}
        return {
            "status": response.status_code,
            "text": pretty(response.text),
            "challenge": response.headers.get("www-authenticate"),
            "milliseconds": round((time.perf_counter() - asked_at) * 1000),
        }

    async def _check_form(self, request: Request) -> None:
        """Take forms from our own pages only; SameSite=Lax keeps the cookie from others already."""
        async with request.form(max_files=0, max_fields=10) as form:
            given = str(form.get("csrf", ""))
        expected = session_of(request).get("csrf", "")
        if not expected or not secrets.compare_digest(given.encode(), expected.encode()):
            raise HTTPException(403)

    def _page(self, request: Request, template: str, *, status: int = 200, **values: object) -> Response:
        if "tokens" in session_of(request):
            values["csrf"] = session_of(request).setdefault("csrf", secrets.token_urlsafe(32))
        return TEMPLATES.TemplateResponse(
            request,
            template,
            {**values, "issuer": self.registration.issuer, "client_id": self.registration.client_id},
            status_code=status,
            headers={
                "Cache-Control": "no-store",
                "Content-Security-Policy": self._policy(),
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _policy(self) -> str:
        # The issuer stands in form-action because Chromium applies it to redirects too: signing out leads there.
        return (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action 'self' {self.registration.issuer}"
        )


def decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return a JWT's header and claims for showing, None where it is no JWT. That proves nothing about it."""
    try:
        header, claims = (json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")[:2])
    except ValueError:
        return None
    return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def shown_token(name: str, token: str) -> dict[str, Any]:
    """Return what the page shows of a token: header and claims, and its times in seconds since 1970."""
    parts = decoded(token)
    if parts is None:
        return {"name": name, "text": token, "issued_at": None, "age": None, "rest": None}
    header, claims = parts
    now = int(time.time())
    issued_at, expires_at = claims.get("iat"), claims.get("exp")
    return {
        "name": name,
        "text": json.dumps(header, indent=2) + "\n" + json.dumps(claims, indent=2, ensure_ascii=False),
        "issued_at": issued_at,
        "expires_at": expires_at,
        "age": max(0, now - issued_at) if isinstance(issued_at, int) else None,
        "rest": max(0, expires_at - now) if isinstance(expires_at, int) else None,
    }


def fingerprint(token: str) -> str:
    """Return what tells one refresh token from the next, and is of no use to whoever reads it on a screen."""
    return sha256(token.encode()).hexdigest()[:16]


def pretty(text: str) -> str:
    """Return JSON with line breaks, and anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text[:2000]


def create_app(registration: Registration, api: str) -> Starlette:
    """Return the ASGI application."""
    pages = WebApp(registration, api)
    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/login", pages.sign_in),
            Route("/callback", pages.callback),
            Route("/experiment", pages.experiment, methods=["POST"]),
            Route("/logout", pages.sign_out, methods=["POST"]),
            Route("/backchannel-logout", pages.backchannel_logout, methods=["POST"]),
            Route("/signed-out", pages.signed_out),
            Route("/healthz", pages.healthz),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[Middleware(ServerSessions, secure=registration.base_url.startswith("https://"))],
        exception_handlers=dict.fromkeys((IssuerError, HTTPException, Exception), pages.show_error),
    )


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; each option may come from the environment variable of its name instead."""
    parser = argparse.ArgumentParser(description="A web app that signs people in at an OpenID Connect issuer.")
    environment = os.environ.get
    parser.add_argument("--issuer", default=environment("ISSUER", "http://localhost:9000"))
    parser.add_argument("--client-id", default=environment("CLIENT_ID", "demo-web"))
    parser.add_argument("--client-secret-file", default=environment("CLIENT_SECRET_FILE"), help="or CLIENT_SECRET")
    parser.add_argument("--scope", default=environment("SCOPE", "openid profile email api:read"))
    parser.add_argument("--api", default=environment("API", "http://localhost:9001"), help="the API to ask")
    parser.add_argument("--resource", default=environment("RESOURCE"), help="the API's identifier, if not its address")
    parser.add_argument("--host", default=environment("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(environment("PORT", "9002")))
    parser.add_argument("--base-url", default=environment("BASE_URL"), help="how browsers reach this app")
    return parser.parse_args(arguments)


def registration_from(options: argparse.Namespace) -> Registration:
    """Return how the app is registered. A secret comes from a file or the environment: arguments show in ``ps``."""
    secret = os.environ.get("CLIENT_SECRET")
    if options.client_secret_file:
        secret = Path(options.client_secret_file).read_text().strip()
    return Registration(
        issuer=options.issuer.rstrip("/"),
        client_id=options.client_id,
        client_secret=secret or None,
        scope=options.scope,
        resource=options.resource or options.api.rstrip("/"),
        base_url=(options.base_url or f"http://localhost:{options.port}").rstrip("/"),
    )


def main() -> None:
    """Serve the app until it is stopped."""
    options = parse_arguments()
    registration = registration_from(options)
    if not urlsplit(registration.issuer).netloc:
        raise SystemExit(f"--issuer is not an address: {registration.issuer!r}")
    if not registration.client_id:
        raise SystemExit("--client-id is missing: `authserver clients create` prints one")
    app = create_app(registration, options.api.rstrip("/"))
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
