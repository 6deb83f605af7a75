"""Which languages people are spoken to in, and which one a person gets; the words stand in ``ui/locale`` (gettext).

The ids of messages are the English words, so English needs no catalogue. Pages and mails use the same catalogues.
"""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime, tzinfo

LOCALE: Final = Path(__file__).resolve().parent / "ui" / "locale"
DEFAULT: Final = "en"
_MOST_RANGES: Final = 20  # of an Accept-Language header; nobody reads more languages than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A language that is offered: what it calls itself, and which way it is written."""

    name: str
    direction: Literal["ltr", "rtl"] = "ltr"


# By language tag (RFC 5646). Each but English has LOCALE/<tag>/LC_MESSAGES/messages.po and its compiled .mo.
LANGUAGES: Final[Mapping[str, Language]] = {
    "en": Language(name="English"),
    "de": Language(name="Deutsch"),
}


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a message that is translated later, where it is shown; return it as it is."""
    return message


_MONTHS: Final = (
    N_("January"),
    N_("February"),
    N_("March"),
    N_("April"),
    N_("May"),
    N_("June"),
    N_("July"),
    N_("August"),
    N_("September"),
    N_("October"),
    N_("November"),
    N_("December"),
)


@cache
def load_translations(tag: str) -> gettext.NullTranslations:
    """Return the catalogue of an offered language, read once."""
    if tag == DEFAULT:
        return gettext.NullTranslations()
    return gettext.translation("messages", LOCALE, [tag])


def choose_language(wishes: Iterable[str]) -> str:
    """Return the offered language that fits the first wish that any fits, else English (RFC 4647 §3.4, lookup).

    >>> choose_language(["fr", "de-AT", "en"])
    'de'
    """
    offered = {tag.lower(): tag for tag in LANGUAGES}
    for wish in wishes:
        subtags = wish.strip().replace("_", "-").lower().split("-")
        for length in range(len(subtags), 0, -1):
            if found := offered.get("-".join(subtags[:length])):
                return found
    return DEFAULT


def is_offered(tag: str) -> bool:
    """Tell whether a tag is exactly one of the offered languages."""
    return tag in LANGUAGES


def parse_accept_language(header: str) -> list[str]:
    """Return the language ranges of an Accept-Language header, the dearest first (RFC 9110 §12.5.4).

    What cannot be read, or is not wanted at all (``q=0``), is left out.

    >>> parse_accept_language("en;q=0.5, de-CH, fr;q=0")
    ['de-CH', 'en']
    """
    weighed = []
    for part in header.split(",")[:_MOST_RANGES]:
        tag, *parameters = (word.strip() for word in part.split(";"))
        weight = _parse_weight(parameters)
        if tag and weight > 0:
            weighed.append((-weight, tag))
    return [tag for _, tag in sorted(weighed, key=lambda pair: pair[0])]


def format_date(day: date, tag: str) -> str:
    """Return a day as people write it, the month in words."""
    words = load_translations(tag).gettext
    month = words(_MONTHS[day.month - 1])
    return words(N_("%(day)d %(month)s %(year)d")) % {"day": day.day, "month": month, "year": day.year}


def format_time(moment: datetime, tag: str, zone: tzinfo) -> str:
    """Return a moment to the minute, on that zone's clock, with the zone's short name."""
    local = moment.astimezone(zone)
    return load_translations(tag).gettext(N_("%(date)s, %(time)s (%(zone)s)")) % {
        "date": format_date(local.date(), tag),
        "time": f"{local:%H:%M}",
        "zone": local.tzname() or "UTC",
    }


def _parse_weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
