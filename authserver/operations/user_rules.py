"""What a username, an e-mail address and a password may be. Pure: nothing is looked up."""

from __future__ import annotations

import unicodedata
from typing import Final

from authserver.email_address import AddressError, parse_email_address
from authserver.ids import parse_uuid
from authserver.operations.errors import OperationError
from authserver.passwords import MAX_PASSWORD, MIN_PASSWORD

MAX_USERNAME: Final = 150
_FORBIDDEN_CATEGORIES: Final = ("C", "Z")  # controls, formats, private use; every kind of blank


def parse_username(text: str, *, email: str | None) -> str:
    """Return the username in NFKC, so that one spelling has one account.

    A name with ``@`` must be the account's own address: nobody signs in under a stranger's e-mail. A name that looks
    like an id is refused, because commands take both.
    """
    username = unicodedata.normalize("NFKC", text)
    if not 1 <= len(username) <= MAX_USERNAME:
        raise OperationError(f"A username has 1 to {MAX_USERNAME} characters.", field="username")
    if any(unicodedata.category(character)[0] in _FORBIDDEN_CATEGORIES for character in username):
        raise OperationError("A username has no blanks and no invisible characters.", field="username")
    if "@" in username and (email is None or username.casefold() != email.casefold()):
        raise OperationError(
            "A username with @ must be the account's own e-mail address.",
            field="username",
            fix="Leave out the @, or give the same address as --email.",
        )
    if parse_uuid(username) is not None:
        raise OperationError("A username must not look like an id.", field="username")
    return username


def parse_email(text: str) -> str:
    """Return the address normalised; a private domain without MX is as good as any other."""
    try:
        return parse_email_address(text)
    except AddressError as error:
        raise OperationError(f"The e-mail address cannot be used: {error}", field="email") from error


def check_password(password: str) -> None:
    """Refuse a password shorter or longer than is taken (NIST SP 800-63B §5.1.1.2); nothing else is asked of it."""
    if len(password) < MIN_PASSWORD:
        raise OperationError(f"A password has at least {MIN_PASSWORD} characters.", field="password")
    if len(password) > MAX_PASSWORD:
        raise OperationError(f"A password has at most {MAX_PASSWORD} characters.", field="password")
