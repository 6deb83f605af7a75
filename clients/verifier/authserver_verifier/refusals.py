"""Why a request is refused: what the client reads (RFC 6750 §3) and which rule fired, for the log and the tests."""

import json
from enum import StrEnum


class Refusal(StrEnum):
    """The rule that refused. The value is the name in the log; it says more than the client is told."""

    NO_TOKEN = "no_token"  # noqa: S105  # a rule's name
    HEADER_REPEATED = "header_repeated"
    HEADER_MALFORMED = "header_malformed"
    TOKEN_NOT_IN_HEADER = "token_not_in_header"  # noqa: S105  # a rule's name
    TWO_TOKENS = "two_tokens"
    TOKEN_TOO_LONG = "token_too_long"  # noqa: S105  # a rule's name
    NOT_COMPACT = "not_compact"
    NOT_CANONICAL = "not_canonical"
    JSON_MALFORMED = "json_malformed"
    NAME_REPEATED = "name_repeated"
    HEADER_CRITICAL = "header_critical"
    TYPE_WRONG = "type_wrong"
    ALGORITHM_NOT_ALLOWED = "algorithm_not_allowed"
    KEY_ID_MALFORMED = "key_id_malformed"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE_WRONG = "signature_wrong"
    CLAIM_MALFORMED = "claim_malformed"
    ISSUER_WRONG = "issuer_wrong"
    AUDIENCE_WRONG = "audience_wrong"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_THE_FUTURE = "issued_in_the_future"
    BOUND_TO_A_KEY = "bound_to_a_key"
    SCOPE_INSUFFICIENT = "scope_insufficient"
    ISSUER_UNAVAILABLE = "issuer_unavailable"


# Only what helps an honest client: the rest of the refusals answer alike, and the log tells them apart.
_DESCRIPTIONS = {
    Refusal.NO_TOKEN: "an access token is needed in the Authorization header",
    Refusal.HEADER_REPEATED: "the Authorization header was sent more than once",
    Refusal.HEADER_MALFORMED: "the Authorization header must be: Bearer, one space, the access token",
    Refusal.TOKEN_NOT_IN_HEADER: "send the access token in the Authorization header",
    Refusal.TWO_TOKENS: "the access token was sent in two places; send it in the Authorization header only",
    Refusal.TYPE_WRONG: "this is not an access token (its typ is not at+jwt)",
    Refusal.AUDIENCE_WRONG: "the access token is for another audience",
    Refusal.EXPIRED: "the access token has expired",
    Refusal.BOUND_TO_A_KEY: "the access token is bound to a key and cannot be used as a bearer token",
    Refusal.SCOPE_INSUFFICIENT: "the access token does not carry the scope that this request needs",
    Refusal.ISSUER_UNAVAILABLE: "the issuer's keys cannot be had at the moment; try again later",
}
_INVALID_REQUEST = frozenset(
    {Refusal.HEADER_REPEATED, Refusal.HEADER_MALFORMED, Refusal.TOKEN_NOT_IN_HEADER, Refusal.TWO_TOKENS}
)


class RequestRefusedError(Exception):
    """A request that gets no answer but this one: a status, headers and a JSON body.

    `realm` and `scope` are filled in by the verifier that raises it to a framework; no token, claim or key is ever part
    of the message, so it may be logged as it is.
    """

    status: int
    error: str | None

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.description = _DESCRIPTIONS.get(refusal, "the access token is not valid")

    def headers(self, realm: str) -> dict[str, str]:
        """The response's own headers; `realm` names the protected resource in the challenge."""
        raise NotImplementedError

    def body(self) -> bytes:
        """A JSON object with the `error` (where there is one) and the description that the challenge carries too."""
        members = {"error": self.error} if self.error else {}
        return json.dumps({**members, "error_description": self.description}).encode()


class TokenRefusedError(RequestRefusedError):
    """A protocol no (RFC 6750 §3.1): 400 `invalid_request`, 401 `invalid_token` or 403 `insufficient_scope`.

    A request without any token gets 401 and a challenge that names no error: it did nothing wrong yet.
    """

    def __init__(self, refusal: Refusal, *, scope: str = "") -> None:
        """`scope` is what the request needed, space-separated; it is told with `insufficient_scope` only."""
        super().__init__(refusal)
        self.scope = scope
        if refusal is Refusal.NO_TOKEN:
            self.status, self.error = 401, None
        elif refusal is Refusal.SCOPE_INSUFFICIENT:
            self.status, self.error = 403, "insufficient_scope"
        elif refusal in _INVALID_REQUEST:
            self.status, self.error = 400, "invalid_request"
        else:
            self.status, self.error = 401, "invalid_token"

    def headers(self, realm: str) -> dict[str, str]:
        """`WWW-Authenticate` always, with at least the realm: the scheme may not stand alone (RFC 6750 §3)."""
        parameters = {"realm": realm}
        if self.error:
            parameters |= {"error": self.error, "error_description": self.description}
        if self.scope:
            parameters["scope"] = self.scope
        challenge = "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
        return {"www-authenticate": challenge, "cache-control": "no-store", "content-type": "application/json"}


class IssuerUnavailableError(RequestRefusedError):
    """No key is at hand and the issuer cannot be asked: 503, for the token may well be good.

    `retry_after` is whole seconds, at least 1: before that the issuer is not asked again.
    """

    status = 503
    error = "temporarily_unavailable"

    def __init__(self, retry_after: int) -> None:
        super().__init__(Refusal.ISSUER_UNAVAILABLE)
        self.retry_after = retry_after

    def headers(self, realm: str) -> dict[str, str]:  # noqa: ARG002  # one shape for every refusal
        """`Retry-After`, and no challenge: another token would not help."""
        return {
            "retry-after": str(self.retry_after),
            "cache-control": "no-store",
            "content-type": "application/json",
        }
