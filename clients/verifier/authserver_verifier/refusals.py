"""Why a request is refused: what the client reads (RFC 6750 §3) and which rule fired, for the log and the tests."""

import json
from dataclasses import dataclass
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
    REVOKED = "revoked"
    STATUS_ELSEWHERE = "status_elsewhere"
    BOUND_TO_A_KEY = "bound_to_a_key"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_WRONG = "certificate_wrong"
    DPOP_DOWNGRADED = "dpop_downgraded"
    DPOP_NOT_BOUND = "dpop_not_bound"
    DPOP_REQUIRED = "dpop_required"
    DPOP_KEY_WRONG = "dpop_key_wrong"
    DPOP_PROOF_MISSING = "dpop_proof_missing"
    DPOP_PROOF_REPEATED = "dpop_proof_repeated"
    DPOP_PROOF_MALFORMED = "dpop_proof_malformed"
    DPOP_SIGNATURE_WRONG = "dpop_signature_wrong"
    DPOP_METHOD_WRONG = "dpop_method_wrong"
    DPOP_URL_WRONG = "dpop_url_wrong"
    DPOP_TOKEN_WRONG = "dpop_token_wrong"  # noqa: S105  # a rule's name
    DPOP_TIME_WRONG = "dpop_time_wrong"
    DPOP_REPLAYED = "dpop_replayed"
    DPOP_NONCE_NEEDED = "dpop_nonce_needed"
    SCOPE_INSUFFICIENT = "scope_insufficient"
    AUTHENTICATION_TOO_WEAK = "authentication_too_weak"
    AUTHENTICATION_TOO_OLD = "authentication_too_old"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    STATUS_UNAVAILABLE = "status_unavailable"


# Only what helps an honest client: the rest of the refusals answer alike, and the log tells them apart.
_DESCRIPTIONS = {
    Refusal.NO_TOKEN: "an access token is needed in the Authorization header",
    Refusal.HEADER_REPEATED: "the Authorization header was sent more than once",
    Refusal.HEADER_MALFORMED: "the Authorization header must be: Bearer or DPoP, one space, the access token",
    Refusal.TOKEN_NOT_IN_HEADER: "send the access token in the Authorization header",
    Refusal.TWO_TOKENS: "the access token was sent in two places; send it in the Authorization header only",
    Refusal.TYPE_WRONG: "this is not an access token (its typ is not at+jwt)",
    Refusal.AUDIENCE_WRONG: "the access token is for another audience",
    Refusal.EXPIRED: "the access token has expired",
    Refusal.REVOKED: "the access token was revoked",
    Refusal.BOUND_TO_A_KEY: "the access token is bound to a key that cannot be proved here",
    Refusal.CERTIFICATE_MISSING: "the access token is bound to a client certificate, and the request came without one",
    Refusal.CERTIFICATE_WRONG: "the access token is bound to another client certificate",
    Refusal.DPOP_DOWNGRADED: "the access token is bound to a key: send it with the DPoP scheme and a proof",
    Refusal.DPOP_NOT_BOUND: "the access token is not bound to a DPoP key",
    Refusal.DPOP_REQUIRED: "only access tokens bound to a DPoP key are taken here",
    Refusal.DPOP_KEY_WRONG: "the access token is bound to another key than the DPoP proof's",
    Refusal.DPOP_PROOF_MISSING: "a DPoP header with a proof is needed",
    Refusal.DPOP_PROOF_REPEATED: "the DPoP header was sent more than once",
    Refusal.DPOP_SIGNATURE_WRONG: "the DPoP proof's signature is wrong",
    Refusal.DPOP_METHOD_WRONG: "the DPoP proof is for another HTTP method",
    Refusal.DPOP_URL_WRONG: "the DPoP proof is for another URL",
    Refusal.DPOP_TOKEN_WRONG: "the DPoP proof is for another access token",
    Refusal.DPOP_TIME_WRONG: "the DPoP proof was not made just now",
    Refusal.DPOP_REPLAYED: "the DPoP proof was used before",
    Refusal.DPOP_NONCE_NEEDED: "the DPoP proof needs the nonce that comes with this answer",
    Refusal.DPOP_PROOF_MALFORMED: "the DPoP proof is not valid",
    Refusal.SCOPE_INSUFFICIENT: "the access token does not carry the scope that this request needs",
    Refusal.AUTHENTICATION_TOO_WEAK: "the user has to sign in another way",
    Refusal.AUTHENTICATION_TOO_OLD: "the user has to sign in again",
    Refusal.ISSUER_UNAVAILABLE: "the issuer's keys cannot be had at the moment; try again later",
    Refusal.STATUS_UNAVAILABLE: "whether the token was revoked cannot be told at the moment; try again later",
}
_INVALID_REQUEST = frozenset(
    {Refusal.HEADER_REPEATED, Refusal.HEADER_MALFORMED, Refusal.TOKEN_NOT_IN_HEADER, Refusal.TWO_TOKENS}
)
_INVALID_PROOF = frozenset(
    {
        Refusal.DPOP_PROOF_MISSING,
        Refusal.DPOP_PROOF_REPEATED,
        Refusal.DPOP_PROOF_MALFORMED,
        Refusal.DPOP_SIGNATURE_WRONG,
        Refusal.DPOP_METHOD_WRONG,
        Refusal.DPOP_URL_WRONG,
        Refusal.DPOP_TOKEN_WRONG,
        Refusal.DPOP_TIME_WRONG,
        Refusal.DPOP_REPLAYED,
    }
)
_NEEDS_DPOP = frozenset({Refusal.DPOP_DOWNGRADED, Refusal.DPOP_REQUIRED})
_ERRORS: dict[Refusal, tuple[int, str | None]] = {
    **dict.fromkeys(_INVALID_REQUEST, (400, "invalid_request")),
    **dict.fromkeys(_INVALID_PROOF, (401, "invalid_dpop_proof")),
    Refusal.NO_TOKEN: (401, None),
    Refusal.DPOP_NONCE_NEEDED: (401, "use_dpop_nonce"),
    Refusal.SCOPE_INSUFFICIENT: (403, "insufficient_scope"),
    Refusal.AUTHENTICATION_TOO_WEAK: (401, "insufficient_user_authentication"),
    Refusal.AUTHENTICATION_TOO_OLD: (401, "insufficient_user_authentication"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """How an API names itself in `WWW-Authenticate`: its realm, the URL of its metadata, the DPoP algorithms it takes.

    `metadata_url` is None where it publishes none (RFC 9728 §5.1), `dpop_algorithms` empty where it takes no DPoP.
    """

    realm: str
    metadata_url: str | None = None
    dpop_algorithms: tuple[str, ...] = ()
    bearer: bool = True


class RequestRefusedError(Exception):
    """A request that gets no answer but this one: a status, headers and a JSON body.

    No token, claim or key is ever part of the message, so it may be logged as it is. `is_dpop` says that the request
    came with the DPoP scheme, in which the answer is then given; the verifier sets it.
    """

    status: int
    error: str | None

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.description = _DESCRIPTIONS.get(refusal, "the access token is not valid")
        self.is_dpop = False

    def headers(self, challenge: Challenge) -> dict[str, str]:
        """The response's own headers, names in lower case."""
        raise NotImplementedError

    def members(self) -> dict[str, str]:
        """The `error`, where there is one, and the description that the challenge carries too."""
        members = {"error": self.error} if self.error else {}
        return {**members, "error_description": self.description}

    def body(self) -> bytes:
        """The members as a JSON object."""
        return json.dumps(self.members()).encode()


class TokenRefusedError(RequestRefusedError):
    """A protocol no (RFC 6750 §3.1): 400 `invalid_request`, 401 `invalid_token` or 403 `insufficient_scope`.

    401 is also `invalid_dpop_proof` and `use_dpop_nonce` (RFC 9449 §7.1, §9) and `insufficient_user_authentication`
    (RFC 9470 §3). A request without any token gets 401 and a challenge that names no error: it did nothing wrong yet.

    `scope`, `acr_values` (space-separated both) and `max_age` (seconds) are what the request needs; `nonce` is the one
    that the next DPoP proof has to carry.
    """

    def __init__(
        self,
        refusal: Refusal,
        *,
        scope: str = "",
        acr_values: str = "",
        max_age: int | None = None,
        nonce: str | None = None,
    ) -> None:
        super().__init__(refusal)
        self.scope = scope
        self.acr_values = acr_values
        self.max_age = max_age
        self.nonce = nonce
        self.status, self.error = _ERRORS.get(refusal, (401, "invalid_token"))

    def headers(self, challenge: Challenge) -> dict[str, str]:
        """`WWW-Authenticate` always, with at least the realm: the scheme may not stand alone (RFC 6750 §3)."""
        parameters = {"realm": challenge.realm}
        if self.error:
            parameters |= {"error": self.error, "error_description": self.description}
        if self.scope:
            parameters["scope"] = self.scope
        if self.acr_values:
            parameters["acr_values"] = self.acr_values
        if self.max_age is not None:
            parameters["max_age"] = str(self.max_age)
        if challenge.metadata_url:
            parameters["resource_metadata"] = challenge.metadata_url
        headers = {
            "www-authenticate": ", ".join(self._challenges(challenge, parameters)),
            "cache-control": "no-store",
            "content-type": "application/json",
        }
        if self.nonce is not None:
            headers["dpop-nonce"] = self.nonce
        return headers

    def _challenges(self, challenge: Challenge, parameters: dict[str, str]) -> list[str]:
        """One challenge in the scheme that was used, or all there are for a request that used none."""
        asks_dpop = self.is_dpop or self.refusal in _NEEDS_DPOP or not challenge.bearer
        takes_dpop = bool(challenge.dpop_algorithms)
        challenges = []
        if not (asks_dpop and takes_dpop):
            challenges.append(_format("Bearer", parameters))
        if takes_dpop and (asks_dpop or self.refusal is Refusal.NO_TOKEN):
            challenges.append(_format("DPoP", parameters | {"algs": " ".join(challenge.dpop_algorithms)}))
        return challenges


class IssuerUnavailableError(RequestRefusedError):
    """The issuer would have to be asked and cannot be: 503, for the token may well be good.

    `retry_after` is whole seconds, at least 1: before that the issuer is not asked again.
    """

    status = 503
    error = "temporarily_unavailable"

    def __init__(self, retry_after: int, refusal: Refusal = Refusal.ISSUER_UNAVAILABLE) -> None:
        super().__init__(refusal)
        self.retry_after = max(1, retry_after)

    def headers(self, challenge: Challenge) -> dict[str, str]:  # noqa: ARG002  # one shape for every refusal
        """`Retry-After`, and no challenge: another token would not help."""
        return {
            "retry-after": str(self.retry_after),
            "cache-control": "no-store",
            "content-type": "application/json",
        }


def _format(scheme: str, parameters: dict[str, str]) -> str:
    return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
