"""Errors of the JSON APIs as problem details (RFC 9457): one form for every refusal, all faults of a body at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.web.answers import NO_STORE, Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

MEDIA_TYPE: Final = "application/problem+json"

# The rules that may be named to whoever asks: they are about what was sent. The others say more than they should know.
NAMED: Final = frozenset(
    {
        Refusal.ADDRESS_TAKEN,
        Refusal.BODY_MALFORMED,
        Refusal.BODY_TOO_LARGE,
        Refusal.CLIENT_NOT_FIRST_PARTY,
        Refusal.CONTENT_TYPE_WRONG,
        Refusal.FIELDS_INVALID,
        Refusal.MAILED_CODE_EXPIRED,
        Refusal.MAILED_CODE_TRIED_TOO_OFTEN,
        Refusal.MAILED_CODE_UNKNOWN,
        Refusal.MAILED_CODE_USED,
        Refusal.MAILED_CODE_WRONG,
        Refusal.METHOD_NOT_ALLOWED,
        Refusal.PASSKEY_CHALLENGE,
        Refusal.PASSKEY_COPIED,
        Refusal.PASSKEY_NOT_OFFERED,
        Refusal.PASSKEY_OF_ANOTHER,
        Refusal.PASSKEY_ORIGIN,
        Refusal.PASSKEY_UNKNOWN,
        Refusal.PASSKEY_UNPROVEN,
        Refusal.PASSKEY_UNVERIFIED,
        Refusal.PASSWORD_REFUSED,
        Refusal.PASSWORD_WRONG,
        Refusal.PATH_UNKNOWN,
        Refusal.SECOND_FACTOR_NEEDED,
        Refusal.SECOND_FACTOR_OVER,
        Refusal.SECOND_FACTOR_WRONG,
        Refusal.SIGN_UP_BY_INVITATION,
        Refusal.SIGN_UP_NOT_OFFERED,
        Refusal.THROTTLED,
        Refusal.TOKEN_MISSING,
        Refusal.TOKEN_EXPIRED,
        Refusal.USERNAME_TAKEN,
        Refusal.USER_DISABLED,
    }
)


# OAuth has other statuses for these. A 401 needs a challenge, and a browser answers that of Basic with a window.
_FORBIDDEN: Final = frozenset({(ErrorCode.ACCESS_DENIED, 400), (ErrorCode.INVALID_CLIENT, 401)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with one member of a body. ``pointer`` names it (RFC 6901)."""

    pointer: str
    code: str
    detail: str


class InvalidFieldsError(OAuthError):
    """A body whose members cannot be taken; all their faults at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Keep the faults."""
        noun = "member" if len(faults) == 1 else "members"
        super().__init__(
            ErrorCode.INVALID_REQUEST,
            f"{len(faults)} {noun} of the body cannot be taken",
            Refusal.FIELDS_INVALID,
            status=422,
        )
        self.faults = tuple(faults)


class SecondFactorNeededError(OAuthError):
    """The password was right, and there are no tokens yet: the next request brings ``auth_session`` and the factor."""

    def __init__(self, auth_session: str, following: str) -> None:
        """Keep the secret that stands for the sign-in under way, and the words for what it waits for, one of them."""
        super().__init__(
            ErrorCode.ACCESS_DENIED,
            "the password is right; the second factor is missing",
            Refusal.SECOND_FACTOR_NEEDED,
            status=401,
            headers=(("www-authenticate", "Bearer"),),  # RFC 9110 §15.5.2 wants one; no window opens for this
        )
        self.members: dict[str, str] = {"auth_session": auth_session, "next": following}


def public_code(error: OAuthError) -> str:
    """Return the ``code`` of a problem: the rule where it may be named, else the protocol's word for its kind."""
    return error.refusal.value if error.refusal in NAMED else error.error.value


def problem_answer(error: OAuthError, *, issuer: str, request_id: str) -> Answer:
    """Return the problem for a refusal. ``type`` is an address of this server that says what the code means."""
    code = public_code(error)
    is_forbidden = (error.error, error.status) in _FORBIDDEN
    status = HTTPStatus(403 if is_forbidden else error.status)
    document: dict[str, object] = {
        "type": f"{issuer}/docs/problems/{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": error.description,
        "code": code,
        "request_id": request_id,
    }
    if isinstance(error, InvalidFieldsError):
        document["errors"] = [
            {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail} for fault in error.faults
        ]
    if isinstance(error, SecondFactorNeededError):
        document |= error.members
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    own = [header for header in error.headers if not is_forbidden or header[0] != "www-authenticate"]
    headers = (("content-type", MEDIA_TYPE), ("x-content-type-options", "nosniff"), *NO_STORE, *own)
    return Answer(status=int(status), headers=(*headers, *_rate_limit(error)), body=body)


def _rate_limit(error: OAuthError) -> tuple[tuple[str, str], ...]:
    """Say the wait once more in the words of draft-ietf-httpapi-ratelimit-headers, for clients that read those."""
    if error.status != HTTPStatus.TOO_MANY_REQUESTS or not error.retry_after:
        return ()
    return (("ratelimit", f'"tries";r=0;t={error.retry_after}'),)
