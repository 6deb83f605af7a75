"""One good value of each kind; each test changes one thing of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from authserver.oauth.mailed_code_rules import MailedCode, Purpose
from authserver.oauth.second_factor_rules import PendingSignIn
from authserver.oauth.upstream import Identity, Provider, ProviderKind, UpstreamSignIn
from authserver.oauth.values import (
    AuthMethod,
    AuthorizationCode,
    Client,
    ClientSecret,
    ClientType,
    Grant,
    Lifetimes,
    LogoutScope,
    RefreshMode,
    RefreshPolicy,
    Resource,
    Session,
    Transaction,
    User,
)
from authserver.sealing.records import SigningKey
from authserver.store.invitations import Invitation
from authserver.store.sign_ups import SignUp

NOW = datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)
FUTURE = datetime(2126, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)  # whatever the database's clock says
PAST = datetime(2001, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)
USER_ID = UUID("01a1fd00-0000-7000-8000-000000000001")
SESSION_ID = UUID("01a1fd00-0000-7000-8000-000000000002")
GRANT_ID = UUID("01a1fd00-0000-7000-8000-000000000003")
TRANSACTION_ID = UUID("01a1fd00-0000-7000-8000-000000000004")

CLIENT = Client(
    client_id="notes-web",
    client_name="Notes ✎",
    type=ClientType.SPA,
    application_type="web",
    redirect_uris=("https://notes.example/cb", "https://notes.example/cb2"),
    post_logout_redirect_uris=("https://notes.example/",),
    token_endpoint_auth_method=AuthMethod.NONE,
    token_endpoint_auth_signing_alg="ES256",
    grant_types=frozenset({"authorization_code", "refresh_token"}),
    response_types=frozenset({"code"}),
    scope=frozenset({"openid", "notes:read"}),
    secrets=(ClientSecret(secret_hash=b"1" * 32, created_at=NOW, expires_at=FUTURE),),
    jwks={"keys": [{"kty": "EC"}]},
    jwks_uri="https://notes.example/jwks",
    id_token_signed_response_alg="RS256",
    default_max_age=timedelta(seconds=3600),
    require_auth_time=True,
    backchannel_logout_uri="https://notes.example/out",
    backchannel_logout_session_required=True,
    client_uri="https://notes.example/",
    contacts=("Ann <ann@notes.example>",),
    software_id="notes",
    software_version="1.0",
    profile="oidc",
    lifetimes=Lifetimes(access_token=timedelta(seconds=60), refresh_token_absolute=timedelta(days=400)),
    refresh_token_mode=RefreshMode.KEEP,
    refresh_token_policy=RefreshPolicy.STRICT,
    logout_scope=LogoutScope.SESSION,
    first_party=True,
    introspects=("https://api.example/",),
    introspection_signed_response_alg="ES256",
    self_registered=True,
    registration_token_hash=b"r" * 32,
    created_at=NOW,
    updated_at=NOW,
)
RESOURCE = Resource(
    identifier="https://api.example/",
    name="Notes API",
    scope=frozenset({"notes:read", "notes:write"}),
    verified_scope=frozenset({"notes:write"}),
    access_token_lifetime=timedelta(seconds=120),
)
USER = User(
    id=USER_ID,
    username="Ann",
    email="Ann@Example.org",
    email_verified=True,
    password_hash="$argon2id$",
    name="Ann Onymous",
    created_at=NOW,
    updated_at=NOW,
)
SESSION = Session(
    id=SESSION_ID,
    user_id=USER_ID,
    auth_time=NOW,
    acr="aal1",
    amr=("pwd",),
    created_at=NOW,
    last_seen_at=NOW,
    expires_at=FUTURE,
)
CODE = AuthorizationCode(
    code_hash=b"c" * 32,
    client_id=CLIENT.client_id,
    grant_id=GRANT_ID,
    user_id=USER_ID,
    session_id=SESSION_ID,
    redirect_uri="https://notes.example/cb",
    redirect_uri_given=True,
    scope=frozenset({"openid", "notes:read"}),
    resources=("https://api.example/",),
    code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    nonce="n-0S6_WzA2Mj",
    auth_time=NOW,
    acr="aal1",
    amr=("pwd", "otp"),
    created_at=NOW,
    expires_at=FUTURE,
)
GRANT = Grant(
    id=GRANT_ID,
    client_id=CLIENT.client_id,
    user_id=USER_ID,
    session_id=SESSION_ID,
    scope=frozenset({"openid", "notes:read"}),
    resources=("https://api.example/",),
    acr="aal1",
    amr=("pwd",),
    auth_time=NOW,
    secret_hash=b"s" * 32,
    generation=0,
    rotated_at=NOW,
    expires_at=FUTURE,
    created_at=NOW,
    bound_key="jkt:0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
    status_index=7,
)
TRANSACTION = Transaction(
    id=TRANSACTION_ID,
    browser_hash=b"b" * 32,
    client_id=CLIENT.client_id,
    parameters="response_type=code&client_id=notes-web",
    created_at=NOW,
    expires_at=FUTURE,
)
KEY = SigningKey(
    kid="thumbprint",
    alg="ES256",
    generation=1,
    public_jwk={"kty": "EC", "kid": "thumbprint", "alg": "ES256", "use": "sig"},
    sealed_private=b"sealed",
    publish_at=PAST,
    sign_from=NOW,
)

INVITATION = Invitation(
    id=UUID("01a1fd00-0000-7000-8000-000000000017"), email="new@example.org", created_at=NOW, expires_at=FUTURE
)
SIGN_UP = SignUp(
    id=UUID("01a1fd00-0000-7000-8000-000000000007"),
    email="new@example.org",
    name="Newcomer",
    password_hash="$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
    locale="de",
    created_at=NOW,
    expires_at=FUTURE,
)
MAILED_CODE = MailedCode(
    id=UUID("01a1fd00-0000-7000-8000-000000000008"),
    purpose=Purpose.RESET_PASSWORD,
    user_id=None,
    sign_up_id=None,
    email="ann@example.org",
    code_hash=b"c" * 32,
    link_hash=b"l" * 32,
    browser_hash=b"b" * 32,
    transaction_id=None,
    mail_id=None,
    attempts=0,
    created_at=NOW,
    expires_at=FUTURE,
)
PENDING = PendingSignIn(
    id=UUID("01a1fd00-0000-7000-8000-00000000000f"),
    user_id=USER.id,
    binding_hash=b"browser",
    client_id=None,
    transaction_id=None,
    session_id=None,
    amr=("pwd",),
    shared_computer=False,
    attempts=0,
    created_at=NOW,
    expires_at=FUTURE,
)
TOTP = {"user_id": USER.id, "sealed": b"sealed", "last_step": 0, "created_at": PAST, "confirmed_at": PAST}
UPSTREAM_PROVIDER = Provider(
    slug="hub",
    kind=ProviderKind.OAUTH,
    label="Hub",
    position=1,
    client_id="we",
    sealed_secret=b"sealed",
    auth_method=AuthMethod.BASIC,
    scope=("read:user", "user:email"),
    issuer=None,
    authorization_endpoint="https://hub.example/authorize",
    token_endpoint="https://hub.example/token",
    userinfo_endpoint="https://hub.example/user",
    emails_endpoint=None,
    subject_field="id",
    allow_sign_up=True,
    trust_email=False,
    created_at=PAST,
    updated_at=PAST,
)
UPSTREAM_SIGN_IN = UpstreamSignIn(
    id=UUID("01a1fd00-0000-7000-8000-000000000010"),
    state_hash=b"s" * 32,
    provider="hub",
    browser_hash=b"b" * 32,
    session_id=None,
    transaction_id=None,
    asked_anew=False,
    created_at=NOW,
    expires_at=FUTURE,
)
IDENTITY = Identity(
    provider="hub", subject="583231", user_id=USER.id, account_name="octocat", created_at=NOW, last_used_at=None
)
