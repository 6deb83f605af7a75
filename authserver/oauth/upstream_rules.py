"""What is believed of another provider's answers, and what may be linked (OIDC Core §3.1.3.7, RFC 9207, RFC 9700 §4.4).

Nobody is recognised by an e-mail address: only by what a provider calls the subject, which it gives to one person.
"""

from __future__ import annotations

import hmac
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from authlib.oidc.core.util import create_half_hash

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.upstream import Endpoints, Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from authserver.oauth.params import Params
    from authserver.oauth.upstream import Provider
    from authserver.oauth.values import User

LEEWAY: Final = 60  # seconds that the provider's clock may be off
MAX_SUBJECT: Final = 255  # OIDC Core §2
MAX_TEXT: Final = 200
MAX_ADDRESS: Final = 1000
_NOT_IN_A_URL: Final = frozenset(' #"<>\\^`{|}')
_ACCOUNT_NAMES: Final = ("preferred_username", "login", "email", "name")


def discovery_address(issuer: str) -> str:
    """Return where an issuer publishes its discovery document (OpenID Connect Discovery §4)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def read_endpoints(document: Mapping[str, Any], issuer: str, may_use_http: Callable[[str], bool]) -> Endpoints:
    """Return where a discovery document leads; raise ValueError where it is another issuer's, or says too little.

    The issuer must be spelled as it was asked for, or one provider could answer in the name of another (OpenID Connect
    Discovery §4.3).
    """
    if document.get("issuer") != issuer:
        raise ValueError("the discovery document is another issuer's")
    addresses: dict[str, str | None] = {}
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        address = document.get(name)
        if address is None and name == "userinfo_endpoint":
            addresses[name] = None
        elif not isinstance(address, str) or not is_endpoint(address, may_use_http):
            raise ValueError(f"the discovery document has no {name} that can be used")
        else:
            addresses[name] = address
    return Endpoints(
        authorization=addresses["authorization_endpoint"] or "",
        token=addresses["token_endpoint"] or "",
        userinfo=addresses["userinfo_endpoint"],
        jwks=addresses["jwks_uri"],
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def is_endpoint(address: str, may_use_http: Callable[[str], bool]) -> bool:
    """Tell whether an address can be an endpoint of a provider; it may go into a redirect as it is.

    >>> [is_endpoint(one, lambda _: False) for one in ("https://id.example/authorize?tenant=1", "https:///x")]
    [True, False]
    """
    try:
        split = urlsplit(address)
        has_host = bool(split.hostname) and split.port != 0
    except ValueError:
        return False
    is_plain = address.isascii() and address.isprintable() and not set(address) & _NOT_IN_A_URL
    is_bare = "@" not in split.netloc and len(address) <= MAX_ADDRESS
    return has_host and is_plain and is_bare and (split.scheme == "https" or may_use_http(address))


def read_code(params: Params, provider: Provider, endpoints: Endpoints) -> str:
    """Return the code of an authorization response; the ``state`` has been claimed (RFC 6749 §4.1.2, RFC 9207 §2.4).

    Who answered is looked at first: an error of another provider is no answer either. A provider without an issuer is
    told by the address that it answers at.
    """
    issuer = params.get("iss")
    if provider.issuer is not None and (issuer is not None or endpoints.names_itself) and issuer != provider.issuer:
        raise _refuse("the answer names another issuer", Refusal.UPSTREAM_ISSUER)
    error = params.get("error")
    if error == "access_denied":
        raise _refuse("the person did not allow it", Refusal.UPSTREAM_DENIED)
    code = params.get("code")
    if error is not None or code is None:
        raise _refuse("the provider answered with an error", Refusal.UPSTREAM_REFUSED)
    return code


def check_id_token(
    claims: Mapping[str, Any],
    *,
    alg: str,
    provider: Provider,
    nonce: str,
    access_token: str,
    now: datetime,
) -> str:
    """Return the subject of an ID token whose signature is right; raise ``UPSTREAM_TOKEN`` (OIDC Core §3.1.3.7)."""
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    party = claims.get("azp")
    if claims.get("iss") != provider.issuer:
        raise _bad_token("it is another issuer's")
    if not isinstance(audiences, list) or provider.client_id not in audiences:
        raise _bad_token("it is meant for another client")
    if party != provider.client_id and (party is not None or len(audiences) > 1):
        raise _bad_token("it was issued to another client")
    _check_times(claims, now)
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), nonce.encode()):
        raise _bad_token("it was not made for this sign-in")
    half_hash = claims.get("at_hash")
    if half_hash is not None and half_hash != _half_hash(access_token, alg):
        raise _bad_token("it came with another access token")
    subject = read_subject(claims.get("sub"))
    if subject is None:
        raise _bad_token("it names no subject")
    return subject


def read_subject(value: object) -> str | None:
    """Return a subject as it is stored, None for what cannot be one: a text, or a whole number as at GitHub.

    >>> read_subject(583231), read_subject(""), read_subject(True)
    ('583231', None, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_SUBJECT:
        return None
    return None if any(unicodedata.category(character)[0] == "C" for character in value) else value


def read_profile(subject: str, claims: Mapping[str, Any]) -> Profile:
    """Return what claims, or a provider's own words, say of a person; only ``true`` verifies an address."""
    names = (read_text(claims.get(name)) for name in _ACCOUNT_NAMES)
    return Profile(
        subject=subject,
        account_name=next((name for name in names if name is not None), None),
        name=read_text(claims.get("name")),
        email=read_text(claims.get("email")),
        email_verified=claims.get("email_verified") is True,
    )


def read_emails(document: object) -> tuple[str | None, bool]:
    """Return the main address of a list as GitHub gives it, a verified one if there is one, and whether it is."""
    entries = [entry for entry in document if isinstance(entry, dict)] if isinstance(document, list) else []
    usable = [entry for entry in entries if read_text(entry.get("email")) is not None]
    usable.sort(key=lambda entry: (entry.get("verified") is True, entry.get("primary") is True), reverse=True)
    if not usable:
        return None, False
    return read_text(usable[0]["email"]), usable[0].get("verified") is True


def read_text(value: object) -> str | None:
    """Return a stranger's text as one line of at most 200 characters, None where nothing is left to read."""
    if not isinstance(value, str):
        return None
    text = "".join(character for character in value if unicodedata.category(character)[0] != "C").strip()
    return unicodedata.normalize("NFC", text)[:MAX_TEXT] or None


def judge_auth_time(claimed: object, *, asked_at: datetime | None, now: datetime) -> datetime | None:
    """Return when the person proved who they are (``auth_time``), as far as the provider says so; None: just now.

    One that says nothing is taken to have asked just now. ``asked_at`` is when a fresh proof was asked for: a time
    after it counts as now too, so that the clocks of two servers need not agree to the second.
    """
    if isinstance(claimed, bool) or not isinstance(claimed, int) or not 0 <= claimed < now.timestamp():
        return None
    moment = datetime.fromtimestamp(claimed, UTC)
    return None if asked_at is not None and moment >= asked_at - timedelta(seconds=LEEWAY) else moment


def check_may_link(user: User) -> None:
    """Refuse to link an account that claims an address without having verified it.

    Whoever made it with somebody else's address would keep a way in, after its owner has set a new password.
    """
    if user.email is not None and not user.email_verified:
        raise _refuse("the account's address is not verified", Refusal.UPSTREAM_LINK_UNVERIFIED)


def check_may_unlink(*, has_other_way: bool) -> None:
    """Refuse to take away the last way in; another one is a password, and whatever else signs in alone."""
    if not has_other_way:
        raise _refuse("nobody could sign in any more", Refusal.UPSTREAM_LAST_WAY)


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    moment = now.timestamp()
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if not {"exp", "iat"} <= times.keys() or not all(type(time) in (int, float) for time in times.values()):
        raise _bad_token("a time is missing or no number")
    if moment >= times["exp"] + LEEWAY:
        raise _bad_token("it has expired")
    if max(times["iat"], times.get("nbf", moment)) > moment + LEEWAY:
        raise _bad_token("it is from the future")


def _half_hash(access_token: str, alg: str) -> str | None:
    half_hash: bytes | None = create_half_hash(access_token, "EdDSA" if alg == "Ed25519" else alg)
    return None if half_hash is None else half_hash.decode()


def _bad_token(why: str) -> OAuthError:
    return _refuse(f"the ID token cannot be accepted: {why}", Refusal.UPSTREAM_TOKEN)


def _refuse(description: str, refusal: Refusal) -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, description, refusal)
