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


def is_same_mailbox(one: str, other: str) -> bool:
    """Tell whether two normalised addresses are one mailbox: nothing but the case of ASCII letters differs.

    Accounts are looked up more generously, so that no two look alike; but mail about one goes nowhere else than to
    itself. ``ann@faß.example`` finds the account of ``ann@fass.example`` and may be a stranger's.

    >>> is_same_mailbox("Ann@example.org", "ann@EXAMPLE.org"), is_same_mailbox("ann@faß.example", "ann@fass.example")
    (True, False)
    """
    return mailbox_key(one) == mailbox_key(other)


def mailbox_key(address: str) -> str:
    """Return what all spellings of one mailbox have in common, and no other mailbox's."""
    return address.encode().lower().decode()
