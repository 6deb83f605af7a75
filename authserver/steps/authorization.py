"""A sign-in under way: the request as it came, who is in the browser, and what comes next.

Login and consent store their results and send the browser back to ``/authorize/{id}``; each step asks here, and nothing
is decided from what a form carried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.ids import parse_uuid
from authserver.oauth.authorization_request import parse_authorization_request, parse_client_id
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.interaction import asks_for_acr, next_step
from authserver.oauth.params import Params
from authserver.oauth.second_factor_rules import OFFERED_ACRS
from authserver.oauth.values import ResponseMode
from authserver.steps.browser_session import find_signed_in
from authserver.steps.id_token_hint import read_hint
from authserver.store import consents, passkeys, second_factors, transactions
from authserver.web.answers import redirect_answer
from authserver.web.edge import URL_LIMIT
from authserver.web.page_language import prefer_asked

if TYPE_CHECKING:
    from datetime import datetime

    from authserver.feature import Call
    from authserver.oauth.authorization_request import Checked
    from authserver.oauth.interaction import NextStep, SignedIn
    from authserver.oauth.response_mode import AuthorizationResponse
    from authserver.oauth.values import AuthorizationRequest, Client, Consent, Transaction
    from authserver.store.engine import Tx
    from authserver.web.answers import Answer

TRANSACTION_LIFETIME: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a sign-in stands."""

    request: AuthorizationRequest
    transaction: Transaction
    signed_in: SignedIn | None
    step: NextStep
    now: datetime  # the database's clock, by which the step was chosen


async def check_request(call: Call, form: Params) -> AuthorizationRequest:
    """Parse and check an authorization request against the clients and resources of this moment."""
    directory = call.services.directory
    client = await directory.find_client_fresh(parse_client_id(form))
    request = parse_authorization_request(form, client, directory.resources)
    prefer_asked(request.ui_locales)
    return request


async def load_progress(call: Call, transaction_id: str | None, browser_hash: bytes | None) -> Progress:
    """Return where a stored sign-in stands, checked anew from its own parameters.

    Only the browser that began it may go on (SECURITY row 11). Raise ``TRANSACTION_UNKNOWN``, ``TRANSACTION_EXPIRED``,
    or whatever is wrong with the request by now.
    """
    async with call.services.engine.read() as tx:
        transaction = await _find_transaction(tx, transaction_id, browser_hash)
    request = await check_request(call, Params.parse(transaction.parameters))
    hint_subject = read_hint(call, request)
    async with call.services.engine.begin() as tx:
        return await judge(call, tx, request, transaction, hint_subject)


async def judge(
    call: Call, tx: Tx, request: AuthorizationRequest, transaction: Transaction, hint_subject: str | None
) -> Progress:
    """Load who is in this browser, and ask what is next for this request."""
    signed_in = await find_signed_in(call, tx)
    if signed_in is not None and asks_for_acr(request):
        user_id = signed_in.user.id
        has_second_factor = await second_factors.has_second_factor(tx, user_id) or await passkeys.has_any(tx, user_id)
        signed_in = replace(signed_in, has_second_factor=has_second_factor)
    consent = None
    if signed_in is not None and not request.client.first_party:
        consent = await consents.find(tx, signed_in.user.id, request.client.client_id)
    return weigh(call, request, transaction, hint_subject, signed_in, consent, await tx.now())


def weigh(
    call: Call,
    request: AuthorizationRequest,
    transaction: Transaction,
    hint_subject: str | None,
    signed_in: SignedIn | None,
    consent: Consent | None,
    now: datetime,
) -> Progress:
    """Ask the interaction rules what is next; ``now`` is the database's clock, read with all that is passed in."""
    step = next_step(
        request,
        transaction=transaction,
        signed_in=signed_in,
        consent=consent,
        hint_subject=hint_subject,
        offered_acrs=OFFERED_ACRS,
        session_idle=call.services.settings.session_idle_lifetime,
        now=now,
    )
    return Progress(request=request, transaction=transaction, signed_in=signed_in, step=step, now=now)


def respond(call: Call, client: Client, response: AuthorizationResponse, **log: str) -> Answer:
    """Send the browser back to the client with a code or a refusal, in the mode it asked for."""
    log = {"client": client.client_id, **log}
    if response.response_mode is ResponseMode.FORM_POST:
        page = call.services.pages.render(
            "form_post.html",
            title="Continue",
            transaction=True,
            action=response.redirect_uri,
            parameters=response.parameters,
            client_name=client.client_name,
        )
        return replace(page, log=log)
    return redirect_answer(response.location, log=log)


def respond_error(call: Call, checked: Checked, error: OAuthError) -> Answer:
    """Send a refusal to the client; the redirect URI has been checked."""
    response = checked.build_error(error, call.services.settings.issuer)
    return respond(call, checked.client, response, error=error.error.value, refusal=error.refusal.value)


async def _find_transaction(tx: Tx, transaction_id: str | None, browser_hash: bytes | None) -> Transaction:
    key = parse_uuid(transaction_id)
    if key is None or browser_hash is None:
        raise _unknown_transaction()
    transaction = await transactions.find(tx, key, browser_hash)
    if transaction is None:
        raise _unknown_transaction()
    if await tx.now() >= transaction.expires_at:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST,
            "this sign-in took too long; start again",
            Refusal.TRANSACTION_EXPIRED,
            start_again=_start_again(transaction),
        )
    return transaction


def _start_again(transaction: Transaction) -> str | None:
    """Return where the app's request can be made anew; None where it has had its answer, or is too long to be a URL."""
    if transaction.finished_at is not None or transaction.denied_at is not None:
        return None
    address = f"/authorize?{transaction.parameters}"
    return address if len(address) <= URL_LIMIT else None


def _unknown_transaction() -> OAuthError:
    return OAuthError(
        ErrorCode.INVALID_REQUEST,
        "no such sign-in is under way in this browser; start again",
        Refusal.TRANSACTION_UNKNOWN,
    )
