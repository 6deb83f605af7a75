"""A way to another provider and back: begun in one browser, for one request of an app, and used once.

Prepare: the browser's return is claimed, then the provider is asked, with no transaction open. Decide: one transaction
signs somebody in, links an account, or keeps what a newcomer is to prove (steps/upstream_account.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from authserver.ids import uuid7
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.upstream import AWAY_LIFETIME, UpstreamSignIn
from authserver.oauth.upstream_rules import judge_auth_time, read_code
from authserver.sealing.opaque import Prefix, hash_secret, new_secret
from authserver.sealing.upstream import derive_nonce, derive_verifier
from authserver.steps.browser_session import find_browser_hash
from authserver.steps.mailed_codes import reserve_visit
from authserver.steps.upstream_account import Arrival, decide
from authserver.steps.upstream_client import (
    build_authorization_url,
    fetch_profile,
    find_endpoints,
    redeem_code,
)
from authserver.store import upstream_identities, upstream_sign_ins
from authserver.web.cookies import BROWSER

if TYPE_CHECKING:
    from uuid import UUID

    from authserver.feature import Call
    from authserver.oauth.params import Params
    from authserver.oauth.upstream import Provider
    from authserver.steps.upstream_account import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A browser that came back: ``sign_in`` is the way it began, None where it began none by this ``state``.

    ``is_claimed``: this is the first time, and the provider is the one it was sent to.
    """

    sign_in: UpstreamSignIn | None
    is_claimed: bool


async def begin(
    call: Call, slug: str, *, transaction_id: UUID | None = None, session_id: UUID | None = None, anew: bool = False
) -> str:
    """Store a way that begins in this browser and return where it leads.

    ``session_id`` is of the account that is to be linked. Raise ``UPSTREAM_PROVIDER_UNKNOWN``,
    ``UPSTREAM_UNAVAILABLE``, or ``THROTTLED`` where this network has tried too much.
    """
    provider = get_provider(call, slug)
    browser = call.facts.cookie(BROWSER)
    if browser is None:
        raise no_such_way()
    await reserve_visit(call)
    endpoints = await find_endpoints(call, provider)
    state = new_secret(Prefix.UPSTREAM_STATE)
    async with call.services.engine.begin() as tx:
        now = await tx.now()
        sign_in = UpstreamSignIn(
            id=uuid7(call.now),
            state_hash=hash_secret(state),
            provider=provider.slug,
            browser_hash=hash_secret(browser),
            session_id=session_id,
            transaction_id=transaction_id,
            asked_anew=anew,
            created_at=now,
            expires_at=now + AWAY_LIFETIME,
        )
        await upstream_sign_ins.add(tx, sign_in)
    return build_authorization_url(
        call,
        provider,
        endpoints,
        state=state,
        nonce=derive_nonce(browser, state),
        verifier=derive_verifier(browser, state),
        anew=anew,
    )


async def claim(call: Call, slug: str, params: Params) -> Returned:
    """Use the ``state`` up that a browser came back with; another browser's, or provider's, is left as it is."""
    state, browser_hash = params.get("state"), find_browser_hash(call)
    if state is None or browser_hash is None:
        return Returned(sign_in=None, is_claimed=False)
    async with call.services.engine.begin() as tx:
        claimed = await upstream_sign_ins.claim(tx, hash_secret(state), slug, browser_hash)
        if claimed is not None:
            return Returned(sign_in=claimed, is_claimed=True)
        found = await upstream_sign_ins.find_by_state(tx, hash_secret(state), browser_hash)
    return Returned(sign_in=found, is_claimed=False)


async def come_back(call: Call, sign_in: UpstreamSignIn, params: Params) -> Outcome:
    """Ask the provider who it was, and decide what comes of it; raise ``UPSTREAM_…`` or ``USER_DISABLED``.

    Who is known here signs in by the subject alone; the profile is asked for where it is needed.
    """
    provider = get_provider(call, sign_in.provider)
    endpoints = await find_endpoints(call, provider)
    code = read_code(params, provider, endpoints)
    browser, state = call.facts.cookie(BROWSER) or "", params.get("state") or ""
    proof = await redeem_code(
        call,
        provider,
        endpoints,
        code,
        nonce=derive_nonce(browser, state),
        verifier=derive_verifier(browser, state),
    )
    profile = None
    if proof.subject is None or sign_in.session_id is not None or not await _is_linked(call, provider, proof.subject):
        profile = await fetch_profile(call, provider, endpoints, proof)
    asked_at = sign_in.created_at if sign_in.asked_anew else None
    arrival = Arrival(
        provider=provider,
        sign_in=sign_in,
        subject=proof.subject or (profile.subject if profile is not None else ""),
        profile=profile,
        auth_time=judge_auth_time(proof.auth_time, asked_at=asked_at, now=call.now),
    )
    return await decide(call, arrival)


def get_provider(call: Call, slug: str) -> Provider:
    """Return a provider that people can sign in through at present; raise ``UPSTREAM_PROVIDER_UNKNOWN``."""
    provider = call.services.directory.find_provider(slug)
    if provider is None:
        raise OAuthError(
            ErrorCode.ACCESS_DENIED, "no such provider is known here", Refusal.UPSTREAM_PROVIDER_UNKNOWN, status=404
        )
    return provider


def no_such_way() -> OAuthError:
    """Return the refusal of a return to nothing that this browser began."""
    return OAuthError(ErrorCode.ACCESS_DENIED, "no such sign-in waits in this browser", Refusal.UPSTREAM_STATE)


async def _is_linked(call: Call, provider: Provider, subject: str) -> bool:
    async with call.services.engine.read() as tx:
        return await upstream_identities.find(tx, provider.slug, subject) is not None
