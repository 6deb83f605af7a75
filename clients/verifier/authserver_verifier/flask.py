"""Flask views that need an access token."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, g, request

from authserver_verifier.refusals import Refusal, RequestRefusedError, TokenRefusedError
from authserver_verifier.request import from_wsgi
from authserver_verifier.requirement import Requirement

if TYPE_CHECKING:
    from authserver_verifier.verifier import Verifier

View = Callable[..., Any]
Decorator = Callable[[View], View]

_FORM_TYPE = "application/x-www-form-urlencoded"


def decorator(verifier: "Verifier", requirement: Requirement) -> Decorator:
    """Return a decorator for views, async or not; they find the token as `flask.g.access_token`."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # a view's own arguments and answer
            try:
                g.access_token = verifier.authorize(from_wsgi(request.environ), requirement)
                if request.mimetype == _FORM_TYPE and "access_token" in request.form:
                    raise TokenRefusedError(Refusal.TWO_TOKENS)
            except RequestRefusedError as refused:
                return Response(refused.body(), refused.status, refused.headers(verifier.challenge))
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded

    return decorate


def metadata_blueprint(verifier: "Verifier") -> Blueprint:
    """Return the blueprint that answers the API's metadata (RFC 9728 §3), to anybody and from any origin."""
    blueprint = Blueprint("protected_resource_metadata", __name__)
    metadata = verifier.metadata

    @blueprint.get(verifier.metadata_path)
    def resource_metadata() -> Response:
        return Response(metadata, 200, {"access-control-allow-origin": "*"}, mimetype="application/json")

    return blueprint
