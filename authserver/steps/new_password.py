"""A password that somebody chooses: what is refused, and the search among leaked ones (NIST SP 800-63B §3.1.1.2)."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from authserver.logs import get_logger
from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.outbound import OutboundError
from authserver.passwords import PasswordFault, find_fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from authserver.feature import Call

RANGE_BYTES: Final = 128 * 1024  # an answer has about a thousand lines of forty characters, more with padding
_PREFIX: Final = 5  # hexadecimal digits: all that leaves this server

log = get_logger("authserver.passwords")


class PasswordRefusedError(OAuthError):
    """A new password that is not taken; ``fault`` says why, for the words beside the field."""

    def __init__(self, fault: PasswordFault) -> None:
        """Keep the fault."""
        super().__init__(
            ErrorCode.INVALID_REQUEST,
            f"the new password cannot be taken: {fault.fault.replace('_', ' ')}",
            Refusal.PASSWORD_REFUSED,
            status=422,
        )
        self.fault = fault


async def find_password_fault(call: Call, password: str, about: Iterable[str | None] = ()) -> PasswordFault | None:
    """Return why a new password is not taken, None where it is; no transaction is open.

    ``about`` are words that somebody who knows the person would try: the address, the name.
    """
    fault = _find_guessable(call, password, about)
    if fault is None and await is_leaked(call, password):
        return PasswordFault(fault="leaked")
    return fault


async def check_new_password(call: Call, password: str, about: Iterable[str | None] = ()) -> None:
    """Raise :class:`PasswordRefusedError` for a new password that is not taken."""
    fault = await find_password_fault(call, password, about)
    if fault is not None:
        raise PasswordRefusedError(fault)


def refuse_guessable(call: Call, password: str, about: Iterable[str | None]) -> None:
    """Raise :class:`PasswordRefusedError` for one that somebody would guess who knows ``about``; nobody is asked."""
    if fault := _find_guessable(call, password, about):
        raise PasswordRefusedError(fault)


async def is_leaked(call: Call, password: str) -> bool:
    """Tell whether a password is in the collection of leaked ones, where the operator named one.

    The collection is told five digits of a SHA-1 and answers with all it has that begin so; which one was looked for
    stays here. Where it does not answer, the password is taken: a service of others must not close ours.
    """
    url = call.services.settings.breached_passwords_url
    if url is None:
        return False
    normal = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    digest = hashlib.sha1(normal, usedforsecurity=False).hexdigest().upper()
    try:
        body = await call.services.outbound.fetch_text(url + digest[:_PREFIX], limit=RANGE_BYTES)
    except OutboundError:
        log.warning("leaked_passwords_not_asked", request_id=call.facts.request_id)
        return False
    return any(_is_hit(line, digest[_PREFIX:]) for line in body.decode("ascii", "replace").splitlines())


def _find_guessable(call: Call, password: str, about: Iterable[str | None]) -> PasswordFault | None:
    host = urlsplit(call.services.settings.issuer).hostname or ""
    return find_fault(password, [host, *(word for word in about if word)])


def _is_hit(line: str, rest: str) -> bool:
    """Read one line, the other digits and how often it was seen; padding is seen 0 times."""
    suffix, _, count = line.strip().partition(":")
    return suffix.upper() == rest and count.strip() != "0"
