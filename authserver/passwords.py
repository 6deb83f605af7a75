"""What a new password may be (NIST SP 800-63B §3.1.1.2): long enough, and not one of the first that anybody tries.

No mixture of letters, digits and signs is asked for. Length and commonness are judged here, offline; whether a
password was in a leak is asked of others only where the operator turned that on (steps/new_password.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from authserver.language import N_

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MIN_PASSWORD: Final = 8  # characters
MAX_PASSWORD: Final = 1024
GUESSABLE: Final = 1  # zxcvbn's score, 0 to 4: at most a million guesses, which a leaked hash yields in a day
_JUDGED: Final = 100  # characters; the estimate looks at no more

Fault: TypeAlias = Literal["too_short", "too_long", "too_common", "leaked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordFault:
    """Why a new password is not taken; ``hints`` are sentences in gettext's form that say what would help."""

    fault: Fault
    hints: tuple[str, ...] = ()


# By zxcvbn's own names for what it found, in our words.
_HINTS: Final[Mapping[str, str]] = {
    "StraightRowsOfKeysAreEasyToGuess": N_("Keys that lie side by side are tried early."),
    "ShortKeyboardPatternsAreEasyToGuess": N_("Keys that lie side by side are tried early."),
    "RepeatsLikeAaaAreEasyToGuess": N_("The same character again and again adds little."),
    "RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess": N_("Writing the same thing twice adds little."),
    "ThisIsATop10Password": N_("Very many people use this one."),
    "ThisIsATop100Password": N_("Very many people use this one."),
    "ThisIsACommonPassword": N_("Many people use this one."),
    "ThisIsSimilarToACommonlyUsedPassword": N_("It is much like one that many people use."),
    "SequencesLikeAbcAreEasyToGuess": N_("Sequences such as abc or 4321 are tried early."),
    "RecentYearsAreEasyToGuess": N_("Years are tried early."),
    "AWordByItselfIsEasyToGuess": N_("A single word is soon found."),
    "DatesAreOftenEasyToGuess": N_("Dates are tried early."),
    "NamesAndSurnamesByThemselvesAreEasyToGuess": N_("A name is soon found."),
    "CommonNamesAndSurnamesAreEasyToGuess": N_("A name is soon found."),
}
_ADVICE: Final = N_("Three or four words that do not belong together are a good one.")


def find_fault(password: str, about: Iterable[str] = ()) -> PasswordFault | None:
    """Return what is wrong with a new password, None where it can be taken.

    ``about`` are words that a guesser would try first for this person: the address, the name, the host.
    """
    if len(password) < MIN_PASSWORD:
        return PasswordFault(fault="too_short")
    if len(password) > MAX_PASSWORD:
        return PasswordFault(fault="too_long")
    from zxcvbn_rs_py import zxcvbn  # noqa: PLC0415 - its word lists are for those who choose a password

    found = zxcvbn(_readable(password), [_readable(word) for text in about for word in _words(text)])
    if int(found.score) > GUESSABLE:
        return None
    warning = repr(found.feedback.warning).rpartition(".")[2] if found.feedback is not None else ""
    return PasswordFault(fault="too_common", hints=tuple(hint for hint in (_HINTS.get(warning), _ADVICE) if hint))


def _words(text: str) -> Iterable[str]:
    """Return a text and its parts: of an address also what stands before the @, of a name each one."""
    parts = "".join(character if character.isalnum() else " " for character in text).split()
    return [text, *(part for part in parts if len(part) > 2)]  # noqa: PLR2004 - initials are in every password


def _readable(text: str) -> str:
    """Return what can be handed to a library that takes UTF-8 only."""
    return text[:_JUDGED].encode("utf-8", "replace").decode()
