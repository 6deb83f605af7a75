"""Answers nginx's `auth_request`: may this request pass? 204 with the subject, or the refusal with its challenge.

python clients/nginx/verify.py --issuer http://localhost:9000 --audience http://localhost:9006 --port 9007

It listens on this machine only: who may ask it what is nginx's decision.
"""

import argparse
import os
from urllib.parse import parse_qs, unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authserver_verifier import ProtectedRequest, RequestRefusedError, Verifier, require


def create_app(issuer: str, audience: str) -> Starlette:
    """Return the application. `audience` is the URL at which clients reach nginx."""
    verify = Verifier(issuer=issuer, audience=audience, metadata={})

    async def check(request: Request) -> Response:
        """Check the request that nginx tells about: `/check?scope=…`, its method and URI in X-Original headers."""
        scopes = parse_qs(request.url.query).get("scope", [])
        path, _, query = request.headers.get("x-original-uri", "/").partition("?")  # no URL: //a/b is a path here
        described = ProtectedRequest(
            method=request.headers.get("x-original-method", "GET"),
            path=unquote(path),
            query=query.encode(),
            headers=tuple(request.headers.raw),
        )
        try:
            token = await verify.authorize_async(described, require(scopes))
        except RequestRefusedError as refused:
            return Response(refused.body(), refused.status, refused.headers(verify.challenge))
        return Response(status_code=204, headers={"x-subject": token.subject, "x-client": token.client_id})

    return Starlette(routes=[Route("/check", check), verify.starlette_metadata()])


def main() -> None:
    """Serve until interrupted. Options win over the environment's ISSUER, AUDIENCE and PORT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", default=os.environ.get("ISSUER", "http://localhost:9000"))
    parser.add_argument("--audience", default=os.environ.get("AUDIENCE", "http://localhost:9006"))
    parser.add_argument("--port", type=int, default=os.environ.get("PORT", "9007"))
    options = parser.parse_args()
    try:
        app = create_app(options.issuer, options.audience)
    except ValueError as error:
        parser.error(str(error))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
