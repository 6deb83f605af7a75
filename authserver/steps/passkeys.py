"""A passkey proves who somebody is: alone, or after the first factor (DESIGN §8, SECURITY rows 104, 107 and 116).

What is asked for is the same for everybody, so nothing tells who has one. A challenge belongs to one page of one
browser, or to one app of the organisation, and is used up by whatever comes back with it. There is nothing to guess, so
no try is counted: whoever locks an account's password does not lock its passkeys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.passkey_origins import app_origins
from authserver.oauth.passkey_rules import AMR_PASSKEY
from authserver.oauth.second_factor_rules import ACR_TWO_FACTORS, strengthen
from authserver.passkeys import (
    RelyingParty,
    build_request,
    check_assertion,
    find_relying_party,
    parse_assertion,
    spell,
)
from authserver.sealing.opaque import hash_secret
from authserver.sealing.passkey_challenge import find_end, new_challenge
from authserver.steps.audit_trail import record
from authserver.steps.browser_session import NO_BROWSER, begin_session, find_browser_hash
from authserver.steps.decided import decide
from authserver.steps.second_factor import load_begun, sign_in_over, start_strong_session
from authserver.store import passkeys, replays, second_factors, users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.passkey_rules import Passkey
    from authserver.oauth.second_factor_rules import PendingSignIn
    from authserver.oauth.values import Client, User
    from authserver.passkeys import Assertion
    from authserver.steps.browser_session import Browser, Started
    from authserver.steps.second_factor import Found
    from authserver.store.engine import Tx

_SIGN_IN: Final = "sign in"
_SECOND_FACTOR: Final = "second factor"
_APP_SIGN_IN: Final = "app sign in"
_APP_SECOND_FACTOR: Final = "app second factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a challenge is for: what is to be done, in which browser, session or app, and belonging to what there."""

    what: str
    binding: bytes
    place: UUID | None = None

    @property
    def purpose(self) -> str:
        """The words that the challenge's MAC covers."""
        return f"{self.what}|{self.binding.hex()}|{self.place or ''}"


def ask_sign_in(call: Call, browser: Browser, transaction_id: UUID | None) -> str | None:
    """Return what the sign-in page asks the browser for, as JSON; None where this server can have no passkeys."""
    party = find_relying_party(call.services.settings.issuer)
    if party is None:
        return None
    occasion = Occasion(what=_SIGN_IN, binding=browser.secret_hash, place=transaction_id)
    challenge = make_challenge(call, occasion)
    return json.dumps(build_request(party, challenge, verify=True))


def ask_second_factor(call: Call, browser: Browser, found: Found) -> str | None:
    """Return what the page of the second factor asks the browser for, as JSON; None where the user has no passkey.

    The first factor was right, so it may say which ones the user has.
    """
    party = find_relying_party(call.services.settings.issuer)
    if party is None or not found.passkeys:
        return None
    occasion = Occasion(what=_SECOND_FACTOR, binding=browser.secret_hash, place=found.pending.id)
    challenge = make_challenge(call, occasion)
    return json.dumps(build_request(party, challenge, allowed=found.passkeys, verify=False))


def signal_unknown(call: Call, text: str) -> str:
    """Return what tells the browser that a passkey is not known here, as JSON (WebAuthn Level 3 §5.1.10.1)."""
    about = {"rpId": get_relying_party(call).rp_id, "credentialId": spell(parse_assertion(text).credential_id)}
    return json.dumps({"method": "signalUnknownCredential", "about": about})


async def sign_in_by_passkey(
    call: Call, text: str, *, shared_computer: bool, transaction_id: UUID | None = None
) -> Started:
    """Take what a passkey signed and begin the session, in one transaction: it is two factors by itself.

    Raise ``PARAMETER_MALFORMED`` or what :func:`prove` raises. A refusal commits: the challenge stays used.
    """
    assertion, party = parse_assertion(text), get_relying_party(call)
    occasion = _in_browser(call, _SIGN_IN, transaction_id)

    async def work(tx: Tx) -> Started | OAuthError:
        try:
            user = await prove(call, tx, assertion, party, occasion)
        except OAuthError as error:
            return error
        return await begin_session(
            call, tx, user, acr=ACR_TWO_FACTORS, amr=AMR_PASSKEY, shared_computer=shared_computer
        )

    return await decide(call.services.engine, work)


async def finish_by_passkey(call: Call, pending_id: str, text: str) -> tuple[Started, PendingSignIn]:
    """Take a passkey as the second factor; that its user is there is enough, since the first one says who.

    Raise what :func:`sign_in_by_passkey` raises, or ``SECOND_FACTOR_OVER``.
    """
    assertion, party = parse_assertion(text), get_relying_party(call)

    async def work(tx: Tx) -> tuple[Started, PendingSignIn] | OAuthError:
        pending = await load_begun(call, tx, pending_id)
        if pending is None or await tx.now() >= pending.expires_at:
            return sign_in_over()
        try:
            occasion = _in_browser(call, _SECOND_FACTOR, pending.id)
            user = await prove(call, tx, assertion, party, occasion, of=pending.user_id)
        except OAuthError as error:
            return error
        if not await second_factors.claim_pending(tx, pending):
            return sign_in_over()
        return await start_strong_session(call, tx, pending, user, strengthen(pending.amr, "pop"))

    return await decide(call.services.engine, work)


def ask_app_sign_in(call: Call, client: Client) -> Mapping[str, object]:
    """Return what an app of ours asks a browser or phone for. Raise ``PASSKEY_NOT_OFFERED``."""
    challenge = make_challenge(call, in_app(client))
    return build_request(get_app_party(call, client), challenge, verify=True)


def ask_app_second_factor(
    call: Call, client: Client, pending: PendingSignIn, allowed: Sequence[Passkey]
) -> Mapping[str, object]:
    """Return the same after the password, for one of the user's passkeys. Raise ``PASSKEY_NOT_OFFERED``."""
    party = get_app_party(call, client)
    if not allowed:
        raise _not_offered()
    return build_request(party, make_challenge(call, in_app(client, pending)), allowed=allowed, verify=False)


def find_app_party(call: Call, client: Client) -> RelyingParty | None:
    """Return who asks for passkeys in an app of ours; None where this server has none, or the app no origin."""
    party = find_relying_party(call.services.settings.issuer)
    origins = app_origins(client, party.rp_id, call.services.settings.passkey_origins) if party is not None else ()
    return replace(party, origins=origins) if party is not None and origins else None


def get_app_party(call: Call, client: Client) -> RelyingParty:
    """Return the same, or raise ``PASSKEY_NOT_OFFERED``."""
    party = find_app_party(call, client)
    if party is None:
        raise _not_offered()
    return party


def in_app(client: Client, pending: PendingSignIn | None = None) -> Occasion:
    """Return what an app's challenge is for: to sign in, or the second factor of a sign-in that waits for it.

    An app has no cookie. Alone a challenge is bound to the app, and after the password to its ``auth_session``.
    """
    what = _APP_SIGN_IN if pending is None else _APP_SECOND_FACTOR
    return Occasion(what=what, binding=client.client_id.encode(), place=pending.id if pending is not None else None)


def make_challenge(call: Call, occasion: Occasion) -> bytes:
    """Return a challenge for one use."""
    return new_challenge(call.services.subkeys, occasion.purpose, call.now)


async def claim_challenge(call: Call, tx: Tx, challenge: bytes, occasion: Occasion) -> None:
    """Use a challenge up; raise ``PASSKEY_CHALLENGE`` where it was made for something else, is too old or was used."""
    expires_at = find_end(call.services.subkeys, challenge, occasion.purpose)
    # by the database's clock, which used ones are purged by: none is forgotten while it would still be taken
    if expires_at is None or await tx.now() >= expires_at:
        raise _not_asked()
    if not await replays.claim(tx, hash_secret(challenge), expires_at):
        raise _not_asked()


def get_relying_party(call: Call) -> RelyingParty:
    """Return who asks for passkeys; where nobody can, no challenge was given out either."""
    party = find_relying_party(call.services.settings.issuer)
    if party is None:
        raise _not_asked()
    return party


async def prove(
    call: Call, tx: Tx, assertion: Assertion, party: RelyingParty, occasion: Occasion, *, of: UUID | None = None
) -> User:
    """Check what a passkey signed, note its use, and return its user, whose row is held.

    ``of`` is whose it has to be, None where the passkey itself says that: then it also has to verify its user. Raise
    ``PASSKEY_CHALLENGE``, ``PASSKEY_UNKNOWN``, ``PASSKEY_OF_ANOTHER``, ``PASSKEY_COPIED``, what
    :func:`~authserver.passkeys.check_assertion` raises, or ``USER_DISABLED`` after the right proof only. The caller
    commits nevertheless: the challenge stays used.
    """
    await claim_challenge(call, tx, assertion.challenge, occasion)
    passkey = await passkeys.find(tx, assertion.credential_id)
    if passkey is None:
        raise _unknown()
    _check_owner(assertion, passkey, of)
    user = await users.lock_for_share(tx, passkey.user_id)
    use = check_assertion(assertion, party, passkey.public_key, verify=of is None)
    if user is None or not user.may_sign_in:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this account is turned off", Refusal.USER_DISABLED)
    if not await passkeys.use(tx, passkey.id, sign_count=use.sign_count, backed_up=use.backed_up):
        if await passkeys.find(tx, passkey.credential_id) is None:
            raise _unknown()
        detail = {"name": passkey.name, "stored": passkey.sign_count, "sent": use.sign_count}
        await record(call, tx, "passkey_copied", user_id=user.id, detail=detail)
        raise OAuthError(ErrorCode.ACCESS_DENIED, "there may be a copy of this passkey", Refusal.PASSKEY_COPIED)
    return user


def _check_owner(assertion: Assertion, passkey: Passkey, of: UUID | None) -> None:
    """Refuse a passkey whose user is not who it says, or not who is asked (WebAuthn Level 3 §7.2 step 6)."""
    owner = passkey.user_id
    says_nothing = not assertion.user_handle and of is not None  # as a security key may that was told which user
    if of not in {None, owner} or not (says_nothing or assertion.user_handle == owner.bytes):
        raise OAuthError(
            ErrorCode.ACCESS_DENIED, "this passkey is not the user's who is asked", Refusal.PASSKEY_OF_ANOTHER
        )


def _in_browser(call: Call, what: str, place: UUID | None) -> Occasion:
    return Occasion(what=what, binding=find_browser_hash(call) or NO_BROWSER, place=place)


def _not_asked() -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, "this was not asked for just now", Refusal.PASSKEY_CHALLENGE)


def _not_offered() -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, "there is no passkey to ask for", Refusal.PASSKEY_NOT_OFFERED)


def _unknown() -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, "no account here has this passkey", Refusal.PASSKEY_UNKNOWN)
