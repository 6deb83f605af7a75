"""One good value of each kind; every test changes one thing of it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from authserver.oauth.errors import OAuthError
from authserver.oauth.params import Params
from authserver.oauth.values import (
    AuthMethod,
    AuthorizationCode,
    Client,
    ClientSecret,
    ClientType,
    Resource,
    Session,
    Transaction,
    User,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
ISSUER = "https://issuer.example"
SECRET = "s3cret-of-256-bits"

# RFC 7636 appendix B, verbatim
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

NOTES = Resource(
    identifier="https://notes.example",
    name="Notes",
    scope=frozenset({"notes:read", "notes:write"}),
    verified_scope=frozenset({"notes:write"}),
)
MAIL = Resource(identifier="https://mail.example/api", name="Mail", scope=frozenset({"mail:send", "shared"}))
FILES = Resource(identifier="urn:example:files", name="Files", scope=frozenset({"files:read", "shared"}))
KNOWN = (NOTES, MAIL, FILES)

WEB = Client(
    client_id="web-client",
    client_name="Notes on the web",
    redirect_uris=("https://app.example/callback",),
    post_logout_redirect_uris=("https://app.example/goodbye",),
    grant_types=frozenset({"authorization_code", "refresh_token"}),
    scope=frozenset(
        {"openid", "profile", "email", "offline_access", "notes:read", "notes:write", "mail:send", "shared"}
    ),
    secrets=(ClientSecret(secret_hash=hashlib.sha256(SECRET.encode()).digest(), created_at=NOW, expires_at=None),),
    created_at=NOW,
    updated_at=NOW,
)
NATIVE = Client(
    client_id="native-client",
    client_name="Notes on the desk",
    type=ClientType.NATIVE,
    application_type="native",
    redirect_uris=("http://127.0.0.1/callback", "http://[::1]/callback", "com.example.notes:/callback"),
    post_logout_redirect_uris=("http://127.0.0.1/goodbye",),
    token_endpoint_auth_method=AuthMethod.NONE,
    grant_types=frozenset({"authorization_code", "refresh_token"}),
    scope=frozenset({"openid", "notes:read"}),
    created_at=NOW,
    updated_at=NOW,
)
USER = User(
    id=UUID("01890000-0000-7000-8000-000000000001"),
    username="ada",
    email="ada@example.com",
    email_verified=True,
    created_at=NOW - timedelta(days=100),
    updated_at=NOW - timedelta(days=100),
)
SESSION = Session(
    id=UUID("01890000-0000-7000-8000-000000000002"),
    user_id=USER.id,
    auth_time=NOW - timedelta(hours=1),
    acr="aal1",
    amr=("pwd",),
    created_at=NOW - timedelta(hours=1),
    last_seen_at=NOW - timedelta(minutes=1),
    expires_at=NOW + timedelta(days=29),
)
TRANSACTION = Transaction(
    id=UUID("01890000-0000-7000-8000-000000000003"),
    browser_hash=b"browser",
    client_id=WEB.client_id,
    parameters="",
    created_at=NOW - timedelta(minutes=2),
    expires_at=NOW + timedelta(minutes=58),
)
CODE = AuthorizationCode(
    code_hash=b"code",
    client_id=WEB.client_id,
    grant_id=UUID("01890000-0000-7000-8000-000000000004"),
    user_id=USER.id,
    session_id=SESSION.id,
    redirect_uri="https://app.example/callback",
    redirect_uri_given=True,
    scope=frozenset({"openid", "notes:read"}),
    resources=(NOTES.identifier,),
    code_challenge=CHALLENGE,
    nonce=None,
    auth_time=SESSION.auth_time,
    acr="aal1",
    amr=("pwd",),
    created_at=NOW - timedelta(seconds=10),
    expires_at=NOW + timedelta(seconds=50),
    uses=1,
)


def params(**values: str | list[str] | None) -> Params:
    """Return parameters as a request brings them; None leaves one out, a list repeats it."""
    pairs = [
        (name, one)
        for name, value in values.items()
        if value is not None
        for one in (value if isinstance(value, list) else [value])
    ]
    return Params.parse(urlencode(pairs))


def refused(function: Callable[..., object], *args: object, **kwargs: object) -> OAuthError | None:
    """Call a function that may refuse; return the refusal, or None where there was none. Anything else is a bug."""
    try:
        function(*args, **kwargs)
    except OAuthError as error:
        return error
    return None
