"""What a person may say of themselves: the standard claims of OpenID Connect Core §5.1, each with its rule.

Pure but for the time zones, which are looked up on this machine. Every value is checked, so that all problems can be
shown at once.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_NAME: Final = 200
LONGEST_ADDRESS: Final = 1000
LONGEST_URL: Final = 2000
EARLIEST_BIRTH: Final = date(1900, 1, 1)
_LOCALE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")  # RFC 5646, as far as anybody writes one
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{5,14}")  # E.164
_INVISIBLE: Final = frozenset({"Cc", "Cs", "Co", "Cn"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a person says of themselves; None: nothing."""

    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    middle_name: str | None = None
    nickname: str | None = None
    profile: str | None = None
    picture: str | None = None
    website: str | None = None
    gender: str | None = None
    birthdate: date | None = None
    zoneinfo: str | None = None
    locale: str | None = None
    phone_number: str | None = None
    address: str | None = None


CLAIMS: Final = tuple(field.name for field in fields(Profile))


class ProfileError(Exception):
    """Values that cannot be taken: what is wrong with each, in one word that whoever shows it has a sentence for.

    ``too_long``, ``characters`` (invisible ones), ``url`` (no https address), ``date``, ``zone``, ``language`` or
    ``phone``.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Keep the problems by the claim's name."""
        super().__init__(", ".join(f"{claim}: {problem}" for claim, problem in problems.items()))
        self.problems = problems


class _WrongError(Exception):
    """One value is wrong; its first argument is the word."""


def parse_profile(values: Mapping[str, str], today: date) -> dict[str, str | date | None]:
    """Return the claims among ``values`` as they will be stored; an empty one is taken away.

    Names that are no claims are left alone, so that nobody sets ``email_verified`` or an id here (SECURITY row 114).
    Raise :class:`ProfileError` with every problem.
    """
    changes: dict[str, str | date | None] = {}
    problems: dict[str, str] = {}
    for claim in CLAIMS:
        if claim in values:
            try:
                changes[claim] = _parse(claim, values[claim], today)
            except _WrongError as error:
                problems[claim] = error.args[0]
    if problems:
        raise ProfileError(problems)
    return changes


def _parse(claim: str, text: str, today: date) -> str | date | None:
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if not text:
        return None
    if any(unicodedata.category(each) in _INVISIBLE and not (each == "\n" and claim == "address") for each in text):
        raise _WrongError("characters")
    if claim == "birthdate":
        return _parse_birthdate(text, today)
    if claim in _RULES:
        return _RULES[claim](text)
    return _limit(text, LONGEST_ADDRESS if claim == "address" else LONGEST_NAME)


def _limit(text: str, longest: int) -> str:
    if len(text) > longest:
        raise _WrongError("too_long")
    return text


def _parse_url(text: str) -> str:
    """Return an https address that a page may link to: with a host, without a name and password in it."""
    try:
        parts = urlsplit(_limit(text, LONGEST_URL))
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise _WrongError("url") from None
    is_plain = not any(character.isspace() or character in '<>"\\' for character in text)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or not port_is_fine or not is_plain:
        raise _WrongError("url")
    return text


def _parse_birthdate(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise _WrongError("date") from None
    if not EARLIEST_BIRTH <= day <= today:
        raise _WrongError("date")
    return day


def _parse_zone(text: str) -> str:
    if not _ZONE.fullmatch(text):
        raise _WrongError("zone")
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _WrongError("zone") from None


def _parse_locale(text: str) -> str:
    if not _LOCALE.fullmatch(text):
        raise _WrongError("language")
    return text


def _parse_phone(text: str) -> str:
    number = "".join(character for character in text if character not in " -()./")
    if not _PHONE.fullmatch(number):
        raise _WrongError("phone")
    return number


_RULES: Final[Mapping[str, Callable[[str], str]]] = {
    "profile": _parse_url,
    "picture": _parse_url,
    "website": _parse_url,
    "zoneinfo": _parse_zone,
    "locale": _parse_locale,
    "phone_number": _parse_phone,
}
