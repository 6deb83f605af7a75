"""GET /status and GET /status/{list} (draft-ietf-oauth-status-list-21 §8, §9). Both are answered from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.status_list import LIST_TYPE, build_aggregation, parse_list_number
from authserver.phases import UnavailableError
from authserver.web.accept import liking
from authserver.web.answers import Answer, has_already, json_answer

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.oauth.params import Params

MEDIA_TYPE: Final = f"application/{LIST_TYPE}"
MAX_AGE: Final = 2  # seconds: with a verifier's ten and our one, a revoked token is refused everywhere within 15
_AGGREGATION_MAX_AGE: Final = 300
_VARY: Final = ("vary", "Accept")


async def aggregation(call: Call, form: Params) -> Answer:  # noqa: ARG001 - the contract
    """Answer with the addresses of all lists (§9.3)."""
    document = build_aggregation(call.services.settings.issuer, call.services.status_lists.lists)
    return json_answer(document, headers=(("cache-control", f"public, max-age={_AGGREGATION_MAX_AGE}"),))


async def status_list(call: Call, form: Params) -> Answer:
    """Answer with a signed list (§8.2), or 304 where the reader has it already (RFC 9110 §13.1.2).

    404 for a list that there is not, 406 for whoever reads no ``statuslist+jwt``, 501 for the past (§8.4), 503 where
    the last list has ended and this process has not heard from its database.
    """
    number = parse_list_number(call.facts.path_parameter)
    lists = call.services.status_lists
    if number is None or number > lists.lists:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "there is no such status list", Refusal.STATUS_LIST_UNKNOWN, status=404
        )
    if form.get("time") is not None:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST,
            "only the current status list is served",
            Refusal.STATUS_LIST_OF_THE_PAST,
            status=501,
        )
    if liking(call.facts.header(b"accept"), MEDIA_TYPE).weight == 0:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST,
            f"status lists are served as {MEDIA_TYPE}",
            Refusal.MEDIA_TYPE_NOT_OFFERED,
            status=406,
        )
    signed = lists.get(call.services.live.keyring, number, now=call.now)
    if signed is None:
        raise UnavailableError("the last status list has ended", refusal=Refusal.SERVER_STALE)
    headers = (("etag", signed.etag), ("cache-control", f"public, max-age={MAX_AGE}"), _VARY)
    if has_already(call.facts.header(b"if-none-match"), signed.etag):
        return Answer(status=304, headers=headers)
    content = (("content-type", MEDIA_TYPE), ("x-content-type-options", "nosniff"))
    return Answer(headers=(*content, *headers), body=signed.token)
