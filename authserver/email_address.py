"""E-mail addresses as people write them."""

from __future__ import annotations

from typing import Final

MAX_ADDRESS: Final = 254  # characters (RFC 5321 §4.5.3.1.3, without the brackets)


class AddressError(ValueError):
    """What somebody wrote is no address that mail can be sent to; the text says why, for a developer."""


def parse_email_address(text: str) -> str:
    """Return the address normalised: no blanks around it, the domain in one spelling, no comments or quotes.

    A private domain is as good as any other, and nobody is asked whether it receives mail. Raise AddressError.
    """
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - 60 ms that most starts never need

    try:
        address = validate_email(text.strip(), check_deliverability=False, globally_deliverable=False).normalized
    except EmailNotValidError as error:
        raise AddressError(str(error)) from error
    if len(address) > MAX_ADDRESS:
        raise AddressError("It is too long.")
    return address
