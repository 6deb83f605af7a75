"""All that this app says to the issuer: sign in, take the answer, renew the tokens, sign out; and whose word it takes.

Authlib's client brings discovery, PKCE (RFC 7636), state, nonce, the code exchange and the ID token's checks.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.integrations.starlette_client import OAuth, OAuthError
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from sessions import session_of

if TYPE_CHECKING:
    from sessions import Session
    from starlette.requests import Request
    from starlette.responses import Response

# Renew a little early, so that the API does not see a token in its last second.
LEEWAY: Final = 5
TIMEOUT: Final = 10
REFETCH_EVERY: Final = 30  # seconds


class SignedOutError(Exception):
    """The issuer gives no more tokens for this session (or there never were any): sign in again."""


class IssuerError(Exception):
    """The issuer said no, said something that does not fit, or nothing; ``title`` and the text are for a person."""

    def __init__(self, title: str, text: str, *, status: int = 400) -> None:
        """Take what the page will show, and the HTTP status it is shown with."""
        super().__init__(text)
        self.title = title
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How this app is registered at its issuer (``authserver clients create``)."""

    issuer: str
    client_id: str
    client_secret: str | None
    scope: str
    resource: str
    base_url: str

    @property
    def redirect_uri(self) -> str:
        """Where the issuer sends the browser back to."""
        return f"{self.base_url}/callback"

    @property
    def signed_out_uri(self) -> str:
        """Where the issuer sends the browser after signing out."""
        return f"{self.base_url}/signed-out"


class Issuer:
    """The issuer as this app knows it."""

    def __init__(self, registration: Registration) -> None:
        """Prepare the client; the issuer's metadata is fetched at its first use."""
        self.registration = registration
        self._refetch_after = 0.0  # by the monotonic clock
        method = "client_secret_basic" if registration.client_secret else "none"
        self._client = OAuth().register(
            "issuer",
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            server_metadata_url=f"{registration.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": registration.scope,
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": method,
                "timeout": TIMEOUT,
            },
        )

    async def sign_in(self, request: Request) -> Response:
        """Send the browser to the issuer; state, nonce and code verifier stay in the session."""
        await self._metadata()
        response: Response = await self._client.authorize_redirect(
            request, self.registration.redirect_uri, resource=self.registration.resource
        )
        return response

    async def finish_sign_in(self, request: Request) -> None:
        """Check the issuer's answer and put the tokens into a fresh session.

        ``iss`` is compared before anything else: an answer of another issuer must not reach this one (RFC 9207 §2.4).
        """
        metadata = await self._metadata()
        answered_by = request.query_params.get("iss")
        must_name_itself = metadata.get("authorization_response_iss_parameter_supported", False)
        if answered_by != metadata["issuer"] and (must_name_itself or answered_by is not None):
            raise IssuerError("This answer is not from our issuer", "Please start the sign-in again from this app.")
        try:
            token = await self._client.authorize_access_token(request)
        except httpx2.HTTPError as error:
            raise _silence() from error
        except OAuthError as error:
            raise _refusal(error) from error
        except (AuthlibBaseError, JoseError, ValueError) as error:
            raise IssuerError(
                "The issuer's answer could not be checked", "Please sign in again.", status=502
            ) from error
        if "userinfo" not in token:
            raise IssuerError("The issuer did not say who you are", "It sent no ID token.", status=502)
        claims = dict(token["userinfo"])
        user = await self._ask_who(metadata, token["access_token"], claims)
        session = session_of(request)
        session.clear()
        session.renew_id()
        _remember(session, token)
        session["user"] = user
        session["sid"] = claims.get("sid")  # the issuer's session: a logout token will name it

    async def renew(self, session: Session, *, even_if_valid: bool) -> None:
        """Replace the session's tokens by new ones, if they have expired or ``even_if_valid``.

        One request of a session at a time: a second tab waits and then works with what the first one got. The token
        to present is read under the lock, so no tab ever sends one that another tab has already used.
        """
        async with session.lock:
            if "tokens" not in session:  # never there, or signed out while we waited
                raise SignedOutError
            tokens = session["tokens"]
            if not even_if_valid and time.time() < tokens["expires_at"] - LEEWAY:
                return
            if "refresh_token" not in tokens:
                session.clear()
                raise SignedOutError
            try:
                token = await self._fetch_successor(tokens["refresh_token"], session["user"])
            except OAuthError as error:
                if error.error != "invalid_grant":
                    raise _refusal(error) from error
                session.clear()
                raise SignedOutError from error
            _remember(session, token)

    async def sign_out(self, session: Session) -> str:
        """Forget everything, revoke the refresh token, and return where to send the browser to sign out there too."""
        async with session.lock:
            tokens = session.get("tokens", {})
            session.clear()
        metadata = await self._metadata()
        if "refresh_token" in tokens and "revocation_endpoint" in metadata:
            with suppress(httpx2.HTTPError):  # the issuer ends the grant together with its session, a line further on
                await self._revoke(metadata["revocation_endpoint"], tokens["refresh_token"])
        if "end_session_endpoint" not in metadata:
            return self.registration.signed_out_uri
        logout = await self._client.create_logout_url(
            post_logout_redirect_uri=self.registration.signed_out_uri,
            id_token_hint=tokens.get("id_token"),
            client_id=self.registration.client_id,
        )
        return str(logout["url"])

    async def verify(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return header and claims of a JWT that the issuer signed; raise JoseError or ValueError for any other.

        Its keys are fetched again for one that is not known, but seldom: anybody may send us tokens.
        """
        metadata = await self._metadata()
        offered = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
        registry = JWSRegistry(algorithms=[alg for alg in offered if alg[:2] in {"RS", "PS", "ES", "Ed"}])
        try:
            try:
                found = jwt.decode(token, KeySet.import_key_set(await self._client.fetch_jwk_set()), registry=registry)
            except InvalidKeyIdError:
                if time.monotonic() < self._refetch_after:
                    raise
                self._refetch_after = time.monotonic() + REFETCH_EVERY
                keys = await self._client.fetch_jwk_set(force=True)
                found = jwt.decode(token, KeySet.import_key_set(keys), registry=registry)
        except httpx2.HTTPError as error:
            raise _silence() from error
        return found.header, found.claims

    async def _metadata(self) -> dict[str, Any]:
        try:
            metadata: dict[str, Any] = await self._client.load_server_metadata()
        except (httpx2.HTTPError, ValueError) as error:
            raise _silence() from error
        if metadata.get("issuer") != self.registration.issuer:  # OpenID Connect Discovery §4.3
            raise IssuerError("This app is set up wrongly", "Its issuer calls itself by another name.", status=502)
        return metadata

    async def _ask_who(self, metadata: dict[str, Any], access_token: str, user: dict[str, Any]) -> dict[str, Any]:
        """Add what UserInfo says to the ID token's claims: with a code flow name and e-mail stand there only.

        An answer about another ``sub`` must not be used (OIDC Core §5.3.2); without an answer the claims must do.
        """
        if "userinfo_endpoint" not in metadata:
            return user
        headers = {"Authorization": f"Bearer {access_token}"}
        try:
            response = await self._client.get(metadata["userinfo_endpoint"], withhold_token=True, headers=headers)
            claims: dict[str, Any] = response.raise_for_status().json()
        except (httpx2.HTTPError, ValueError):
            return user
        if claims.get("sub") != user["sub"]:
            raise _about_someone_else()
        return user | claims

    async def _fetch_successor(self, refresh_token: str, user: dict[str, Any]) -> dict[str, Any]:
        await self._metadata()
        try:
            token: dict[str, Any] = await self._client.fetch_access_token(
                grant_type="refresh_token", refresh_token=refresh_token
            )
            # A new ID token is checked like the first one, and must be about the same person (OIDC Core §12.2).
            claims = await self._client.parse_id_token(token, nonce=None)
        except httpx2.HTTPError as error:
            raise _silence() from error
        except OAuthError:
            raise
        except (AuthlibBaseError, JoseError, ValueError) as error:
            raise IssuerError(
                "The issuer's answer could not be checked", "Please sign in again.", status=502
            ) from error
        if claims is not None and claims["sub"] != user["sub"]:
            raise _about_someone_else()
        return token

    async def _revoke(self, endpoint: str, refresh_token: str) -> None:
        registration = self.registration
        async with AsyncOAuth2Client(
            registration.client_id,
            registration.client_secret,
            revocation_endpoint_auth_method="client_secret_basic" if registration.client_secret else "none",
            timeout=TIMEOUT,
        ) as client:
            await client.revoke_token(endpoint, refresh_token, token_type_hint="refresh_token")  # noqa: S106 - a kind


def _remember(session: dict[str, Any], token: dict[str, Any]) -> None:
    """Keep the newest pair; an answer without a new refresh or ID token leaves the old one in place (RFC 6749 §6)."""
    kept = ("access_token", "refresh_token", "id_token", "expires_at")
    session["tokens"] = {**session.get("tokens", {}), **{name: token[name] for name in kept if name in token}}
    session["renewals"] = session.get("renewals", -1) + 1


def _refusal(error: OAuthError) -> IssuerError:
    if error.error == "access_denied":
        return IssuerError("You are not signed in", "You did not allow this app to sign you in.")
    if error.error == "mismatching_state":
        return IssuerError("This sign-in is over", "It took too long, or began in another tab. Please start again.")
    return IssuerError(
        "The issuer did not sign you in", f"It answered: {error.error}. {error.description or ''}".strip()
    )


def _silence() -> IssuerError:
    return IssuerError("The issuer does not answer", "Please try again in a moment; nothing was lost.", status=503)


def _about_someone_else() -> IssuerError:
    return IssuerError("The issuer's answer is about someone else", "Please sign in again.", status=502)
