"""What goes in and out of ``/api``: the source of the OpenAPI document, with an example of each."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, Final, Literal
from uuid import UUID  # noqa: TC003 - the same

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from authserver.features.api import passkey_models
from authserver.features.api.passkey_models import SignedPasskey  # noqa: TC001 - the same

_EXAMPLE_ID: Final = "01890000-0000-7000-8000-00000000000a"

Text = Annotated[str, StringConstraints(min_length=1, max_length=320)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Name = Annotated[str, StringConstraints(max_length=200)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=32), Field(examples=["482 913"])]


def _example(*others: dict[str, Any], **members: Any) -> ConfigDict:  # noqa: ANN401 - JSON
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [members, *others]})


class ClientRequest(BaseModel):
    """Which of the organisation's own apps asks. A confidential one proves it; a public one can only name itself."""

    client_id: Text
    client_secret: Secret | None = None


class LoginRequest(ClientRequest):
    """A user name or a verified e-mail address, and its password; or a passkey alone.

    The second step has an `auth_session` in place of name and password, and the `code` or a `passkey`.
    """

    model_config = _example(
        {"client_id": "demo-phone", "passkey": passkey_models.EXAMPLE},
        {"client_id": "demo-phone", "auth_session": "asf_…", "code": "482 913"},
        {"client_id": "demo-phone", "auth_session": "asf_…", "passkey": passkey_models.EXAMPLE},
        client_id="demo-phone",
        username="ann@example.org",
        password="correct horse ann",  # noqa: S106
    )

    auth_session: Annotated[Secret | None, Field(description="From the 401 that asked for a second factor.")] = None
    passkey: Annotated[SignedPasskey | None, Field(description="Signed for a challenge of `/api/login/passkey`.")] = (
        None
    )
    code: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=64)] | None,
        Field(description="Of the authenticator app, or a recovery code.", examples=["482 913"], validate_default=True),
    ] = None
    username: Annotated[Text | None, Field(validate_default=True)] = None
    password: Annotated[Secret | None, Field(validate_default=True)] = None
    scope: Annotated[str | None, Field(description="All the client registered for APIs, unless named.")] = None
    resource: Annotated[list[Text] | None, Field(description="RFC 8707 §2.", max_length=20)] = None

    @field_validator("code")
    @classmethod
    def _belongs_to_a_session(cls, code: str | None, info: ValidationInfo) -> str | None:
        """Take a code and the session it is for together or not at all, and none where a passkey stands for it."""
        has_session = info.data.get("auth_session") is not None
        if code is not None and _has_passkey(info):
            raise PydanticCustomError("malformed", "the passkey stands for it already")
        if code is None and has_session and not _has_passkey(info):
            raise PydanticCustomError("missing", "Field required")
        if code is not None and not has_session:
            raise PydanticCustomError("malformed", "a code comes with the auth_session it was asked for with")
        return code

    @field_validator("username", "password")
    @classmethod
    def _belongs_to_the_first_step(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Ask for both where neither a session nor a passkey is brought along, and for none where one is."""
        has_session = info.data.get("auth_session") is not None
        standing = "auth_session" if has_session else "passkey" if _has_passkey(info) else None
        if value is None and standing is None:
            raise PydanticCustomError("missing", "Field required")
        if value is not None and standing is not None:
            raise PydanticCustomError("malformed", "the {standing} stands for it already", {"standing": standing})
        return value


def _has_passkey(info: ValidationInfo) -> bool:
    """Tell whether a passkey came along, one that could not be read too: that has a fault of its own."""
    return info.data.get("passkey", ...) is not None


class PasskeyRequest(ClientRequest):
    """Which app asks for a passkey; after the password also the `auth_session` of the sign-in that waits for one."""

    model_config = _example(client_id="demo-phone")

    auth_session: Annotated[Secret | None, Field(description="From the 401 that asked for a second factor.")] = None


class RegisterRequest(ClientRequest):
    """A new account. The address need not be proven for it to work; some scopes wait until it is."""

    model_config = _example(client_id="demo-phone", email="ann@example.org", password="correct horse ann", name="Ann")  # noqa: S106

    email: Text
    password: Secret
    username: Annotated[Text | None, Field(description="The address, unless named.")] = None
    name: Name = ""
    scope: str | None = None
    resource: Annotated[list[Text] | None, Field(max_length=20)] = None


class RefreshRequest(ClientRequest):
    """A refresh token, to be replaced by the one in the answer."""

    model_config = _example(client_id="demo-phone", refresh_token="asr_…")  # noqa: S106

    refresh_token: Secret
    scope: str | None = None
    resource: Annotated[list[Text] | None, Field(max_length=20)] = None


class LogoutRequest(ClientRequest):
    """A token of the grant that ends, the refresh token rather than the access token."""

    model_config = _example(client_id="demo-phone", token="asr_…")  # noqa: S106

    token: Secret


class VerifyRequest(ClientRequest):
    """The code from the mail, and the refresh token whose successor gets what the proven address opens."""

    model_config = _example(
        client_id="demo-phone",
        verification_id=_EXAMPLE_ID,
        code="482 913",
        refresh_token="asr_…",  # noqa: S106
    )

    verification_id: Text
    code: Code
    refresh_token: Secret


class ResendRequest(BaseModel):
    """Which code to replace; without one a first code is sent to whoever the access token is about."""

    model_config = _example(verification_id=_EXAMPLE_ID)

    verification_id: Text | None = None


class ForgotRequest(ClientRequest):
    """The address of an account, of which nobody learns whether there is one."""

    model_config = _example(client_id="demo-phone", email="ann@example.org")

    email: Text


class ResetRequest(ClientRequest):
    """The code from the mail, and the new password."""

    model_config = _example(
        client_id="demo-phone",
        reset_id=_EXAMPLE_ID,
        code="482 913",
        new_password="a longer phrase",  # noqa: S106
    )

    reset_id: Text
    code: Code
    new_password: Secret


class ChangePasswordRequest(BaseModel):
    """The old password and the new one."""

    model_config = _example(current_password="correct horse ann", new_password="a longer phrase")  # noqa: S106

    current_password: Secret
    new_password: Secret


class Tokens(BaseModel):
    """Both tokens (RFC 6749 §5.1)."""

    model_config = _example(
        access_token="eyJhbGciOiJFUzI1NiIs…",  # noqa: S106
        token_type="Bearer",  # noqa: S106
        expires_in=300,
        scope="api:read",
        refresh_token="asr_…",  # noqa: S106
    )

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(description="Seconds.")]
    scope: str
    refresh_token: str | None = None
    id_token: Annotated[str | None, Field(description="Where `openid` was asked for.")] = None


class Registered(Tokens):
    """Both tokens of the new account, and what its address is proven with."""

    model_config = _example(
        access_token="eyJhbGciOiJFUzI1NiIs…",  # noqa: S106
        token_type="Bearer",  # noqa: S106
        expires_in=300,
        scope="api:read",
        refresh_token="asr_…",  # noqa: S106
        verification_id=_EXAMPLE_ID,
    )

    verification_id: str


class CodeSent(BaseModel):
    """A code is on its way, if it may be sent; the answer is the same either way."""

    model_config = _example(id=_EXAMPLE_ID, expires_in=600, resend_in=30)

    id: Annotated[str, Field(description="`verification_id` or `reset_id` of the next request.")]
    expires_in: Annotated[int, Field(description="Seconds for which the code works.")]
    resend_in: Annotated[int, Field(description="Seconds until another one can be asked for.")]


class SignedOut(BaseModel):
    """What ended together with the old password."""

    model_config = _example(sessions_ended=1, grants_revoked=2)

    sessions_ended: int
    grants_revoked: int


class Profile(BaseModel):
    """Somebody's profile (OIDC Core §5.1)."""

    model_config = _example(
        sub=_EXAMPLE_ID, username="ann", email="ann@example.org", email_verified=True, name="Ann", locale="en"
    )

    sub: str
    username: str
    email: str | None
    email_verified: bool
    name: str | None
    given_name: str | None = None
    family_name: str | None = None
    middle_name: str | None = None
    nickname: str | None = None
    profile: str | None = None
    picture: str | None = None
    website: str | None = None
    gender: str | None = None
    birthdate: date | None = None
    zoneinfo: str | None = None
    locale: str | None = None
    phone_number: str | None = None
    phone_number_verified: bool = False
    address: str | None = None


class ProfileChanges(BaseModel):
    """What to change (RFC 7396): a member that is absent stays, null removes it. The address is not among them."""

    model_config = _example(name="Ann Example", locale="de", nickname=None)

    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    middle_name: str | None = None
    nickname: str | None = None
    profile: str | None = None
    picture: str | None = None
    website: str | None = None
    gender: str | None = None
    birthdate: str | None = None
    zoneinfo: str | None = None
    locale: str | None = None
    phone_number: str | None = None
    address: str | None = None


class Session(BaseModel):
    """One place where somebody is signed in: a browser, or an app of the organisation."""

    id: UUID
    kind: Literal["browser", "app"]
    name: Annotated[str, Field(description="The browser in words, or the app's name.")]
    created_at: datetime
    last_used_at: datetime
    is_current: Annotated[bool, Field(description="The one this request comes from.")]


class Sessions(BaseModel):
    """All of them, the youngest first."""

    model_config = _example(
        sessions=[
            {
                "id": _EXAMPLE_ID,
                "kind": "app",
                "name": "Phone app",
                "created_at": "2026-11-21T09:00:00Z",
                "last_used_at": "2026-11-21T09:05:00Z",
                "is_current": True,
            }
        ]
    )

    sessions: list[Session]


class FieldFault(BaseModel):
    """What is wrong with one member of the body."""

    pointer: Annotated[str, Field(description="RFC 6901.")]
    code: str
    detail: str


class ProblemDetails(BaseModel):
    """A refusal (RFC 9457)."""

    model_config = _example(
        type="https://login.example/docs/problems/password_wrong",
        title="Forbidden",
        status=403,
        detail="that e-mail or password is not right",
        code="password_wrong",
        request_id="01890000-0000-7000-8000-00000000000b",
    )

    type: Annotated[str, Field(description="An address that says what the code means.")]
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldFault] | None = None
