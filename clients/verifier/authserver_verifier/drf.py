"""Authentication and permission classes of Django REST framework.

`DEFAULT_AUTHENTICATION_CLASSES = ["authserver_verifier.drf.BearerAuthentication"]`, and the verifier's arguments in
`settings.AUTHSERVER_VERIFIER`. After that `request.auth` is the `AccessToken` and `request.user` a `TokenUser`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission

from authserver_verifier.claims import AccessToken
from authserver_verifier.django import authorize, get_verifier
from authserver_verifier.refusals import IssuerUnavailableError, Refusal, RequestRefusedError, TokenRefusedError
from authserver_verifier.requirement import Requirement, require

if TYPE_CHECKING:  # rest_framework.views reads the settings that name this module: not before this module is whole
    from rest_framework.request import Request
    from rest_framework.response import Response


@dataclass(frozen=True, slots=True)
class TokenUser:
    """Whoever a token speaks for: a user of the issuer's, or a client. There is no row of it in this API's database.

    `pk`, `id` and `username` are the token's `sub`. To have your own user model instead, override
    `BearerAuthentication.get_user`.
    """

    token: AccessToken
    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    @property
    def pk(self) -> str:
        """The subject; throttles and logs go by it."""
        return self.token.subject

    id = pk
    username = pk

    def __str__(self) -> str:
        """Return the subject."""
        return self.token.subject


class BearerAuthentication(BaseAuthentication):  # type: ignore[misc]  # Django REST framework ships no types
    """Takes the access token of a request, of the Bearer or the DPoP scheme.

    A request without any is anonymous, as everywhere in Django REST framework: permissions decide about it, and where
    they refuse it the answer is 401 with our challenge.
    """

    def authenticate(self, request: "Request") -> tuple[Any, AccessToken] | None:
        """Return user and token, or None for a request without one. Raises `Refused`."""
        try:
            access_token = authorize(request._request, Requirement())  # noqa: SLF001  # Django's, under the framework's
        except RequestRefusedError as refused:
            if refused.refusal is Refusal.NO_TOKEN:
                return None
            raise Refused(refused) from None
        return self.get_user(access_token), access_token

    def authenticate_header(self, request: "Request") -> str:  # noqa: ARG002  # the framework's signature
        """Return the challenge for a request without a token."""
        return TokenRefusedError(Refusal.NO_TOKEN).headers(get_verifier().challenge)["www-authenticate"]

    def get_user(self, access_token: AccessToken) -> Any:  # noqa: ANN401  # a subclass gives its own model's
        """Return what becomes `request.user`."""
        return TokenUser(access_token)


class Refused(APIException):  # type: ignore[misc]  # Django REST framework ships no types
    """A refusal as Django REST framework answers it, with its status, its members and its challenge."""

    def __init__(self, refused: RequestRefusedError) -> None:
        super().__init__(refused.members(), refused.error)
        self.status_code = refused.status
        self.headers = refused.headers(get_verifier().challenge)
        if "www-authenticate" in self.headers:
            self.auth_header = self.headers["www-authenticate"]
        if isinstance(refused, IssuerUnavailableError):
            self.wait = refused.retry_after


class _TokenPermission(BasePermission):  # type: ignore[misc]  # Django REST framework ships no types
    """Lets requests through whose token meets a requirement; one without a token is answered 401."""

    def has_permission(self, request: "Request", view: Any) -> bool:  # noqa: ANN401  # any view
        """Tell whether the request may go on. Raises `Refused`, with the challenge that says what is missing."""
        if not isinstance(request.auth, AccessToken):
            return False
        try:
            get_verifier().check(request.auth, self.requirement_of(request, view))
        except RequestRefusedError as refused:
            raise Refused(refused) from None
        return True

    def requirement_of(self, request: "Request", view: Any) -> Requirement:  # noqa: ANN401  # any view
        """Return what this request needs."""
        raise NotImplementedError


def requires(*scopes: str, acr_values: Collection[str] = (), max_age: int | None = None) -> type[BasePermission]:
    """Return a permission class: `permission_classes = [requires("notes.read")]`."""
    requirement = require(scopes, acr_values, max_age)

    class Requires(_TokenPermission):
        def requirement_of(self, request: "Request", view: Any) -> Requirement:  # noqa: ANN401, ARG002  # as above
            return requirement

    return Requires


class HasScopes(_TokenPermission):
    """A permission class that goes by the view's `required_scopes`: a list, or a dictionary of lists by method.

    A view without it, or a method that is not in it, needs a token and no scope in particular.
    """

    def requirement_of(self, request: "Request", view: Any) -> Requirement:  # noqa: ANN401  # any view
        """Return the scopes that the view names for the request's method."""
        scopes = getattr(view, "required_scopes", ())
        if isinstance(scopes, dict):
            scopes = scopes.get(request.method, ())
        return require(scopes)


def exception_handler(error: Exception, context: dict[str, Any]) -> "Response | None":
    """The framework's own handler, and all headers of a refusal: `EXCEPTION_HANDLER` for APIs with DPoP nonces."""
    from rest_framework.views import exception_handler as default  # noqa: PLC0415  # as above

    response: Response | None = default(error, context)
    if response is not None and isinstance(error, Refused):
        for name, value in error.headers.items():
            if name != "content-type":
                response.headers[name] = value
    return response
