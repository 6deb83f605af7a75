"""A language nobody speaks: every message forty per cent longer and with marks, so that what is too narrow shows."""

from __future__ import annotations

import re
from gettext import NullTranslations

PLACEHOLDER = re.compile(r"(%\(\w+\)[sd]|%%)")
_MARKED = str.maketrans("aeiouAEIOUcnsz", "äëïöüÄËÏÖÜçñšž")


class Pseudo(NullTranslations):
    """Says each message in longer words; what is filled in stays."""

    def gettext(self, message: str) -> str:
        return stretch(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return stretch(msgid1 if n == 1 else msgid2)


def stretch(message: str) -> str:
    """The message with marks on its letters and two fifths more of them, in words as long as its own."""
    marked = "".join(
        part if PLACEHOLDER.fullmatch(part) else part.translate(_MARKED) for part in PLACEHOLDER.split(message)
    )
    words = PLACEHOLDER.sub("", message).split() or ["x"]
    missing, more = -(-len(message) * 2 // 5), []
    while missing > 0:
        word = words[len(more) % len(words)].translate(_MARKED)
        more.append(word)
        missing -= len(word) + 1
    return " ".join([marked, *more])
