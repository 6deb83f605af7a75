"""What a requester would like to read: the Accept header (RFC 9110 §12.5.1)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MAX_RANGES: Final = 50  # of one header; what stands behind them is not read
_WEIGHT: Final = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


class Liking(NamedTuple):
    """How much a media type is liked: ``weight`` from 0 (not acceptable) to 1, and whether it was asked for by name."""

    weight: float
    by_name: bool


def liking(accept: str | None, media_type: str) -> Liking:
    """Return what an Accept header says of one media type; the most precise range that fits it counts.

    Without the header everything is welcome. A weight that cannot be read is 1, other parameters of a range are not
    looked at.
    """
    if accept is None:
        return Liking(1.0, by_name=False)
    precisions = {media_type: 2, f"{media_type.partition('/')[0]}/*": 1, "*/*": 0}
    best, weight = -1, 0.0
    for text in accept.split(",", MAX_RANGES)[:MAX_RANGES]:
        name, *parameters = text.split(";", MAX_RANGES)
        precision = precisions.get(name.strip().lower(), -1)
        if precision > best:
            best, weight = precision, _weight(parameters)
    return Liking(weight, by_name=best == precisions[media_type])


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q" and _WEIGHT.fullmatch(value.strip()):
            return float(value)
    return 1.0
