"""The life of the signing keys as a picture for a terminal: a line for each key, one scale, and where now is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from authserver.jose.schedule import LISTED, KeyState
from authserver.operations.keys import KeyListing
from authserver.sealing.records import SigningKey

SHORT_KID: Final = 8  # characters that tell the keys of one issuer apart
_NARROWEST: Final = 24  # two dates
_WIDEST: Final = 60
_LABELS: Final = SHORT_KID + len("  published  ")
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strokes:
    """What each part of a key's life is drawn with."""

    published: str
    signing: str
    retired: str
    now: str


FINE: Final = Strokes(published="·", signing="━", retired="─", now="┃")
PLAIN: Final = Strokes(published=".", signing="=", retired="-", now="|")


def draw_timeline(listings: Sequence[KeyListing], now: datetime, *, width: int, strokes: Strokes) -> list[str]:
    """Return the lines for a terminal of ``width`` columns; none where no key is published, signing or retired."""
    living = [listing for listing in listings if listing.state in LISTED]
    if not living:
        return []
    columns = max(_NARROWEST, min(_WIDEST, width - _LABELS - 1))
    start, end = _span([listing.key for listing in living], now)
    lines = []
    for alg in dict.fromkeys(listing.key.alg for listing in living):
        lines.append(alg)
        lines += [
            f"{listing.key.kid[:SHORT_KID]}  {listing.state.value:<9}  "
            + _bar(listing.key, now, start, (end - start) / columns, columns, strokes)
            for listing in living
            if listing.key.alg == alg
        ]
    lines.append(" " * _LABELS + _scale(start, end, columns))
    legend = f"{strokes.published} published  {strokes.signing} signing  {strokes.retired} retired  {strokes.now} now"
    return [*lines, " " * _LABELS + legend]


def tell_plan(listings: Sequence[KeyListing], now: datetime) -> list[str]:
    """Return one sentence for each algorithm, and the next change of all: what to expect, with clock times in UTC."""
    lines = []
    for alg in dict.fromkeys(listing.key.alg for listing in listings if listing.state in LISTED):
        ring = [listing for listing in listings if listing.key.alg == alg]
        signing = next((listing.key for listing in ring if listing.state is KeyState.SIGNING), None)
        upcoming = next((listing.key for listing in ring if listing.state is KeyState.PUBLISHED), None)
        if signing is not None and upcoming is not None:
            at = _tell(upcoming.sign_from, now)
            lines.append(f"{alg}: {_short(signing)} signs until {at}; {_short(upcoming)} is published and takes over.")
        elif signing is not None:
            lines.append(f"{alg}: {_short(signing)} signs; the next key is published within a minute of serving.")
        elif upcoming is not None:
            lines.append(f"{alg}: {_short(upcoming)} signs from {_tell(upcoming.sign_from, now)}; nothing does before.")
    changes = [listing.next_change_at for listing in listings if listing.next_change_at is not None]
    if changes:
        lines.append(f"Next change: {_tell(min(changes), now)}.")
    return lines


def _span(keys: Sequence[SigningKey], now: datetime) -> tuple[datetime, datetime]:
    """Return what the picture shows: from the first publication to a little after the last time that is known."""
    times = [time for key in keys for time in (key.publish_at, key.sign_from, key.sign_until, key.drop_at) if time]
    start, last = min(*times, now), max(*times, now)
    return start, last + max((last - start) / 8, _HOUR)


def _bar(key: SigningKey, now: datetime, start: datetime, step: timedelta, columns: int, strokes: Strokes) -> str:
    """Return a key's line; a column shows the middle of its time, so that none of a key's parts begins early."""
    cells = []
    for column in range(columns):
        moment = start + step * (column + 0.5)
        if start + step * column <= now < start + step * (column + 1):
            cells.append(strokes.now)
        elif moment < key.publish_at or (key.drop_at is not None and moment >= key.drop_at):
            cells.append(" ")
        elif moment < key.sign_from:
            cells.append(strokes.published)
        else:
            is_retired = key.sign_until is not None and moment >= key.sign_until
            cells.append(strokes.retired if is_retired else strokes.signing)
    return "".join(cells).rstrip()


def _scale(start: datetime, end: datetime, columns: int) -> str:
    """Return the two ends of the picture, below it."""
    form = "%d %b %H:%M" if end - start < 3 * _DAY else "%d %b %Y"
    left, right = (f"{time.astimezone(UTC):{form}}" for time in (start, end))
    return left + right.rjust(columns - len(left))


def _short(key: SigningKey) -> str:
    return key.kid[:SHORT_KID]


def _tell(moment: datetime, now: datetime) -> str:
    """Say when, to the second where it is near."""
    form = "%d %b %H:%M:%S UTC" if abs(moment - now) < _DAY else "%d %b %Y %H:%M UTC"
    return f"{moment.astimezone(UTC):{form}}"
