"""Add a passkey to an account, give it another name, or remove it; each for somebody who has just signed in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from authserver.ids import uuid7
from authserver.language import N_
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.passkey_rules import MAX_PASSKEYS, Passkey, suggest_name
from authserver.passkeys import build_creation, check_registration, find_relying_party, parse_registration
from authserver.steps.account import hold_account
from authserver.steps.audit_trail import record
from authserver.steps.passkeys import Occasion, claim_challenge, get_relying_party, make_challenge
from authserver.steps.second_factor import tell_of_change
from authserver.steps.sign_out import end_all
from authserver.store import passkeys
from authserver.web.user_agent import describe_browser

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from authserver.feature import Call
    from authserver.passkeys import Registration
    from authserver.steps.account import Visit
    from authserver.store.engine import Tx

_ADD: Final = "add"
_NAMELESS: Final = N_("Passkey")


def ask_passkey(call: Call, visit: Visit, known: Sequence[Passkey]) -> str | None:
    """Return what the page asks the browser to make, as JSON; None where there can be none, or no more."""
    party = find_relying_party(call.services.settings.issuer)
    if party is None or len(known) >= MAX_PASSKEYS:
        return None
    user = visit.user
    creation = build_creation(
        party,
        make_challenge(call, _adding(visit)),
        user_id=user.id,
        name=user.username,
        display_name=user.name or user.username,
        known=known,
    )
    return json.dumps(creation)


async def add_passkey(call: Call, visit: Visit, text: str) -> None:
    """Store a new passkey of the user.

    Raise ``PARAMETER_MALFORMED``, ``PASSKEY_CHALLENGE``, ``PASSKEY_ORIGIN``, ``PASSKEY_UNPROVEN``,
    ``PASSKEY_UNVERIFIED``, ``PASSKEY_KNOWN`` or ``PASSKEYS_TOO_MANY``. A refusal commits: the challenge stays used.
    """
    registration = parse_registration(text)
    async with call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        try:
            passkey = await _store(call, tx, visit, registration)
        except OAuthError as error:
            refusal = error
        else:
            detail = {"name": passkey.name}
            await record(call, tx, "passkey_added", user_id=user.id, session_id=visit.session.id, detail=detail)
            await tell_of_change(call, tx, user, "passkey_added", name=passkey.name)
            return
    raise refusal


async def rename_passkey(call: Call, visit: Visit, passkey_id: UUID, name: str) -> bool:
    """Give a passkey another name; False where the user has no such passkey."""
    async with call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        if not await passkeys.rename(tx, user.id, passkey_id, name):
            return False
        detail = {"name": name}
        await record(call, tx, "passkey_renamed", user_id=user.id, session_id=visit.session.id, detail=detail)
    return True


async def remove_passkey(call: Call, visit: Visit, passkey_id: UUID) -> bool:
    """Remove a passkey; everywhere else is signed out (SECURITY row 100). False where the user has no such passkey."""
    async with call.services.engine.begin() as tx:
        user = await hold_account(tx, visit)
        name = await passkeys.remove(tx, user.id, passkey_id)
        if name is None:
            return False
        event = "passkey_removed"
        await end_all(call, tx, user.id, event, keep_session=visit.session.id, detail={"name": name})
        await tell_of_change(call, tx, user, event, name=name)
    return True


def _adding(visit: Visit) -> Occasion:
    return Occasion(what=_ADD, binding=visit.session.id.bytes)


async def _store(call: Call, tx: Tx, visit: Visit, registration: Registration) -> Passkey:
    """Decide on a new passkey and store it; the user's row is held."""
    party = get_relying_party(call)
    await claim_challenge(call, tx, registration.challenge, _adding(visit))
    key = check_registration(registration, party)
    if len(await passkeys.list_of_user(tx, visit.user.id)) >= MAX_PASSKEYS:
        raise OAuthError(ErrorCode.ACCESS_DENIED, "there are as many as there can be", Refusal.PASSKEYS_TOO_MANY)
    browser = describe_browser(call.facts.header(b"user-agent"))
    passkey = Passkey(
        id=uuid7(call.now),
        user_id=visit.user.id,
        credential_id=key.credential_id,
        public_key=key.public_key,
        sign_count=key.sign_count,
        aaguid=key.aaguid,
        transports=key.transports,
        backup_eligible=key.backup_eligible,
        backed_up=key.backed_up,
        name=suggest_name(key.aaguid, browser) or call.services.pages.words(_NAMELESS),
        created_at=await tx.now(),
        last_used_at=None,
    )
    if not await passkeys.add(tx, passkey):
        raise OAuthError(ErrorCode.ACCESS_DENIED, "this passkey is somebody's already", Refusal.PASSKEY_KNOWN)
    return passkey
