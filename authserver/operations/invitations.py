"""Invitations: whose address an operator has put on the list may make an account at /signup (DESIGN §2).

An invitation is no secret. The mail that goes out holds none: who follows its link has nothing but the address, and the
code that proves it comes later, by another mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from authserver.ids import uuid7
from authserver.language import LANGUAGES, is_offered
from authserver.operations import clients
from authserver.operations.errors import OperationError, Problem
from authserver.operations.user_rules import parse_email
from authserver.settings import SignUp
from authserver.store import audit, invitations, users
from authserver.store.invitations import Invitation
from authserver.store.outbox import Mail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.operations.operator import Operator
    from authserver.store.engine import Tx

DEFAULT_LIFETIME: Final = timedelta(days=7)
MAX_LIFETIME: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An invitation whose mail is on its way; ``is_renewed`` where the address had one before."""

    invitation: Invitation
    is_renewed: bool


async def create(
    operator: Operator,
    email: str,
    *,
    lifetime: timedelta = DEFAULT_LIFETIME,
    locale: str | None = None,
    client_id: str | None = None,
) -> Invited:
    """Invite the owner of an address, or renew their invitation, and mail them; ``client_id``: to which app."""
    address = parse_email(email)
    if not timedelta(seconds=1) <= lifetime <= MAX_LIFETIME:
        longest = int(MAX_LIFETIME.total_seconds())
        raise OperationError(f"An invitation is open for 1 to {longest} seconds.", field="expires_in")
    if locale is not None and not is_offered(locale):
        raise OperationError(
            f"There is no language {locale!r}.", field="locale", fix=f"One of: {', '.join(sorted(LANGUAGES))}"
        )
    if operator.settings.sign_up is SignUp.OFF:
        raise OperationError(
            "Nobody can sign up here: AUTHSERVER_SIGN_UP is off.",
            problem=Problem.CONFLICT,
            fix="Set AUTHSERVER_SIGN_UP=invite and restart the server.",
        )
    app = (await clients.get(operator, client_id)).client_name if client_id is not None else None
    async with operator.begin() as tx:
        now = await tx.now()
        new = Invitation(id=uuid7(now), email=address, created_at=now, expires_at=now + lifetime)
        invitation = await invitations.put(tx, new)
        await _refuse_owner(tx, address)  # after: an account that is being made by this invitation is waited for
        await operator.mail(tx, _write(operator, invitation, locale=locale, app=app))
        await audit.add(
            tx,
            "invitation_created",
            actor=operator.actor,
            client_id=client_id,
            detail={"invitation": str(invitation.id), "expires_in": int(lifetime.total_seconds())},
        )
    return Invited(invitation=invitation, is_renewed=invitation.id != new.id)


async def find_all(operator: Operator) -> Sequence[Invitation]:
    """Return every invitation that is kept, accepted and expired ones too."""
    async with operator.engine.read() as tx:
        return await invitations.list_all(tx)


async def revoke(operator: Operator, email: str) -> None:
    """Take an open invitation back; an account that was made by it stays."""
    address = parse_email(email)
    async with operator.begin() as tx:
        invitation_id = await invitations.revoke(tx, address)
        if invitation_id is None:
            raise OperationError(
                f"There is no open invitation for {address}.",
                problem=Problem.NOT_FOUND,
                fix="See: authserver invitations list",
            )
        detail = {"invitation": str(invitation_id)}
        await audit.add(tx, "invitation_revoked", actor=operator.actor, detail=detail)


async def _refuse_owner(tx: Tx, address: str) -> None:
    owner = await users.find_owner(tx, address)
    if owner is not None:
        raise OperationError(
            f"The account {owner.username} has verified this address.",
            problem=Problem.CONFLICT,
            field="email",
            fix=f"See: authserver users show {owner.id}",
        )


def _write(operator: Operator, invitation: Invitation, *, locale: str | None, app: str | None) -> Mail:
    query = urlencode({"email": invitation.email})
    link = {"link": f"{operator.settings.issuer}/signup?{query}"}
    return Mail(
        kind="invitation",
        to=invitation.email,
        locale=locale,
        parameters=link | ({"app": app} if app is not None else {}),
        expires_at=invitation.expires_at,
    )
