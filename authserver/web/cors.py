"""Which scripts of other origins may read an answer (Fetch §3.2). Never with credentials, never for ``null``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from authserver.web.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

CorsPolicy: TypeAlias = Literal["none", "public", "clients", "first_party"]

_PREFLIGHT_SECONDS: Final = "600"


class Cors:
    """Who may read which answers.

    ``public`` documents are for everybody, ``clients`` answers for the origins of registered public clients, and
    ``first_party`` ones for those among them that are the organisation's own.
    """

    def __init__(self, is_client_origin: Callable[[str], bool], is_first_party_origin: Callable[[str], bool]) -> None:
        """Take the questions whether an origin belongs to a registered client, and to one of our own."""
        self._is_origin_of = {"clients": is_client_origin, "first_party": is_first_party_origin}

    def headers(self, policy: CorsPolicy, origin: str | None) -> tuple[tuple[str, str], ...]:
        """Return what the answer says to the browser, nothing where the origin may not read it."""
        if policy == "none" or origin is None or origin == "null":
            return ()
        if policy == "public":
            return (("access-control-allow-origin", "*"),)
        if self._is_origin_of[policy](origin):
            return (
                ("access-control-allow-origin", origin),
                ("access-control-expose-headers", "WWW-Authenticate, Retry-After, Request-Id"),
                ("vary", "Origin"),
            )
        return (("vary", "Origin"),)

    def preflight(self, policy: CorsPolicy, methods: frozenset[str], origin: str | None) -> Answer:
        """Answer OPTIONS; the origin's own header is added to every answer by :meth:`headers`."""
        if not any(name == "access-control-allow-origin" for name, _ in self.headers(policy, origin)):
            return Answer(status=204)
        return Answer(
            status=204,
            headers=(
                ("access-control-allow-methods", ", ".join(sorted(methods))),
                ("access-control-allow-headers", "Authorization, Content-Type, DPoP, Request-Id"),
                ("access-control-max-age", _PREFLIGHT_SECONDS),
            ),
        )
