"""What a request needs beside a valid token: scopes, and how and how lately the user signed in (RFC 9470)."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from authserver_verifier.claims import AccessToken, parse_seconds
from authserver_verifier.refusals import Refusal, TokenRefusedError

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """All of `scopes`, one of `acr_values` (empty: any), and a sign-in at most `max_age` seconds ago (None: any)."""

    scopes: frozenset[str] = frozenset()
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None

    def check(self, token: AccessToken, now: float, leeway: float) -> None:
        """Refuse with 403 `insufficient_scope` or 401 `insufficient_user_authentication`. `now` is Unix seconds.

        A token that does not say how or when the user signed in meets no requirement about it (RFC 9470 §4).
        """
        if not self.scopes <= token.scope:
            raise TokenRefusedError(Refusal.SCOPE_INSUFFICIENT, scope=self.scope)
        if self.acr_values and token.claims.get("acr") not in self.acr_values:
            raise self._challenge(Refusal.AUTHENTICATION_TOO_WEAK)
        if self.max_age is not None:
            signed_in = parse_seconds(token.claims, "auth_time") if "auth_time" in token.claims else None
            if signed_in is None or now > signed_in + self.max_age + leeway:
                raise self._challenge(Refusal.AUTHENTICATION_TOO_OLD)

    @property
    def scope(self) -> str:
        """The scopes as the wire spells them, space-separated."""
        return " ".join(sorted(self.scopes))

    def _challenge(self, refusal: Refusal) -> TokenRefusedError:
        return TokenRefusedError(refusal, acr_values=" ".join(self.acr_values), max_age=self.max_age)


def require(scopes: Collection[str], acr_values: Collection[str] = (), max_age: int | None = None) -> Requirement:
    """Return the requirement. Raise ValueError for what is no scope token (RFC 6749 §3.3), acr value or age."""
    for scope in scopes:
        if not SCOPE_TOKEN.fullmatch(scope):
            raise ValueError(f"not a scope: {scope!r} (several scopes are several arguments)")
    if isinstance(acr_values, str):
        raise ValueError(f"acr_values is a list: [{acr_values!r}]")  # noqa: TRY004  # one kind of error for all
    for value in acr_values:
        if not SCOPE_TOKEN.fullmatch(value):
            raise ValueError(f"not an acr value: {value!r}")
    if max_age is not None and (isinstance(max_age, bool) or max_age < 0):
        raise ValueError("max_age is seconds, 0 or more")
    return Requirement(scopes=frozenset(scopes), acr_values=tuple(acr_values), max_age=max_age)
