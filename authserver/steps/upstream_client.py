"""What is said to another provider: where people are sent, and what a code is exchanged for.

Authlib's client writes the requests (RFC 6749 §4.1, RFC 7636, RFC 6750); ``outbound`` alone sends them, and nothing of
this is called while a transaction is open.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from authlib.oauth2.client import OAuth2Client

from authserver.jose.compact import TokenError, parse_json, parse_object
from authserver.jose.remote_keys import verify_upstream_id_token
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.upstream import Endpoints, Profile, ProviderKind
from authserver.oauth.upstream_rules import (
    check_id_token,
    discovery_address,
    read_emails,
    read_endpoints,
    read_profile,
    read_subject,
)
from authserver.oauth.values import AuthMethod
from authserver.outbound import Ask, OutboundError
from authserver.sealing.upstream import open_client_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authlib.oauth2.auth import ClientAuth

    from authserver.feature import Call
    from authserver.oauth.upstream import Provider
    from authserver.outbound import Outbound

ANSWER_BYTES: Final = 65_536
_MAX_TOKEN: Final = 8192


class Proof:
    """What the token endpoint of a provider gave for a code: whose it is, and a token to ask more with."""

    __slots__ = ("access_token", "auth_time", "claims", "subject")

    def __init__(self, access_token: str, subject: str | None, claims: Mapping[str, Any]) -> None:
        """Keep the claims of an ID token that was accepted; a provider without one names no subject yet."""
        self.access_token = access_token
        self.subject = subject
        self.claims = claims
        self.auth_time = claims.get("auth_time")


class _Client(OAuth2Client):  # type: ignore[misc]  # Authlib ships no types
    """Authlib's client with ``outbound`` for a session."""

    def __init__(self, outbound: Outbound, provider: Provider, secret: str | None, redirect_uri: str) -> None:
        super().__init__(
            session=None,
            client_id=provider.client_id,
            client_secret=secret,
            token_endpoint_auth_method=provider.auth_method.value,
            scope=" ".join(provider.scope),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )
        self.register_client_auth_method((AuthMethod.BASIC.value, _authenticate_by_basic))
        self._outbound = outbound

    async def _fetch_token(
        self, url: str, *, body: str, headers: Mapping[str, str], auth: ClientAuth, method: str
    ) -> dict[str, Any]:
        """Send the token request that Authlib has written; called by its ``fetch_token``, which has no body of it."""
        url, signed, body = auth.prepare(method, url, dict(headers), body)
        reply = await self._outbound.ask(
            Ask(url=url, method="POST", headers=signed, body=body.encode()), limit=ANSWER_BYTES
        )
        return parse_object(reply.body)

    async def fetch(self, url: str) -> bytes:
        """Return what an address says to the bearer of the token; only a good answer counts (RFC 6750)."""
        url, headers, _ = self.token_auth.prepare(url, {}, "")
        reply = await self._outbound.ask(Ask(url=url, headers=headers), limit=ANSWER_BYTES)
        if reply.status != 200:  # noqa: PLR2004 - OK
            raise OutboundError
        return reply.body


async def find_endpoints(call: Call, provider: Provider) -> Endpoints:
    """Return where a provider is asked; raise ``UPSTREAM_UNAVAILABLE`` where its discovery tells nothing usable."""
    if provider.kind is ProviderKind.OAUTH:
        return Endpoints(
            authorization=provider.authorization_endpoint or "",
            token=provider.token_endpoint or "",
            userinfo=provider.userinfo_endpoint,
        )
    issuer = provider.issuer or ""
    document = await call.services.upstream_documents.find(discovery_address(issuer))
    if document is None:
        raise unavailable("its discovery document cannot be had")
    try:
        return read_endpoints(document, issuer, call.services.outbound.may_use_http)
    except ValueError as error:
        raise unavailable(str(error)) from error


def build_authorization_url(
    call: Call, provider: Provider, endpoints: Endpoints, *, state: str, nonce: str, verifier: str, anew: bool
) -> str:
    """Return where the browser goes. ``anew`` asks for a fresh proof: ``max_age=0``, which OIDC alone knows.

    ``prompt=login`` would say the same, but some providers refuse what they do not know of ``prompt``.
    """
    of_oidc: dict[str, str] = {}
    if provider.kind is ProviderKind.OIDC:
        of_oidc = {"nonce": nonce} | ({"max_age": "0"} if anew else {})
    client = _make_client(call, provider, None)
    url: str
    url, _ = client.create_authorization_url(endpoints.authorization, state=state, code_verifier=verifier, **of_oidc)
    return url


async def redeem_code(
    call: Call, provider: Provider, endpoints: Endpoints, code: str, *, nonce: str, verifier: str
) -> Proof:
    """Exchange a code, and check the ID token that comes with it; raise ``UPSTREAM_…`` for whatever is wrong."""
    client = _open_client(call, provider)
    try:
        answer = await client.fetch_token(
            endpoints.token,
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
            redirect_uri=client.redirect_uri,
        )
    except (OutboundError, TokenError) as error:
        raise unavailable("its token endpoint gave no usable answer") from error
    access_token, token_type = answer.get("access_token"), answer.get("token_type", "bearer")
    if not isinstance(access_token, str) or not access_token.isascii() or not access_token.isprintable():
        raise _refuse("the token endpoint gave no access token", Refusal.UPSTREAM_REFUSED)
    if not isinstance(token_type, str) or token_type.lower() != "bearer" or len(access_token) > _MAX_TOKEN:
        raise _refuse("the token endpoint gave a token of another kind", Refusal.UPSTREAM_REFUSED)
    if provider.kind is ProviderKind.OAUTH:
        return Proof(access_token, None, {})
    id_token = answer.get("id_token")
    if not isinstance(id_token, str):
        raise _refuse("the token endpoint gave no ID token", Refusal.UPSTREAM_TOKEN)
    try:
        claims, alg = await verify_upstream_id_token(call.services.upstream_keys, endpoints.jwks or "", id_token)
    except TokenError as error:
        raise _refuse(f"the ID token cannot be accepted: {error}", Refusal.UPSTREAM_TOKEN) from error
    subject = check_id_token(claims, alg=alg, provider=provider, nonce=nonce, access_token=access_token, now=call.now)
    return Proof(access_token, subject, claims)


async def fetch_profile(call: Call, provider: Provider, endpoints: Endpoints, proof: Proof) -> Profile:
    """Return what the provider says of the person: its userinfo, which must be of the ID token's subject.

    OIDC Core §5.3.2: one of another subject is not used. Where there is no ID token, it alone names the subject.
    """
    client = _open_client(call, provider)
    client.token = {"access_token": proof.access_token, "token_type": "bearer"}
    claims = dict(proof.claims)
    try:
        if endpoints.userinfo is not None:
            document = parse_object(await client.fetch(endpoints.userinfo))
            subject = read_subject(document.get(provider.subject_field))
            if subject is None or proof.subject not in {None, subject}:
                raise _refuse("the userinfo is of no subject, or of another one", Refusal.UPSTREAM_PROFILE)
            claims |= document
        else:
            subject = proof.subject or ""
        if provider.emails_endpoint is not None:
            email, is_verified = read_emails(parse_json(await client.fetch(provider.emails_endpoint)))
            claims |= {"email": email, "email_verified": is_verified}
    except (OutboundError, TokenError) as error:
        raise unavailable("its userinfo gave no usable answer") from error
    return read_profile(subject, claims)


def unavailable(why: str) -> OAuthError:
    """Return the refusal where a provider gives no usable answer; the log of ``outbound`` knows more."""
    return _refuse(f"the provider cannot be used: {why}", Refusal.UPSTREAM_UNAVAILABLE)


def _open_client(call: Call, provider: Provider) -> _Client:
    sealed = provider.sealed_secret
    secret = open_client_secret(call.services.subkeys, sealed, provider.slug) if sealed is not None else None
    return _make_client(call, provider, secret)


def _make_client(call: Call, provider: Provider, secret: str | None) -> _Client:
    redirect_uri = f"{call.services.settings.issuer}{provider.callback_path}"
    return _Client(call.services.outbound, provider, secret, redirect_uri)


def _authenticate_by_basic(
    client: ClientAuth, _: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Write the Basic header; id and secret are form-encoded first, which Authlib leaves out (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    return uri, headers | {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}, body


def _refuse(description: str, refusal: Refusal) -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, description, refusal)
