"""/language: a person chooses the language of the pages, in this browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from authserver.feature import Endpoint, Feature
from authserver.features.language.choice import choose
from authserver.language import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from authserver.settings import Settings


def _metadata(settings: Settings) -> Mapping[str, object]:  # noqa: ARG001 - the contract
    return {"ui_locales_supported": list(LANGUAGES)}


FEATURE = Feature(
    name="language",
    endpoints=(Endpoint(path="/language", methods=frozenset({"POST"}), handler=choose, errors="page"),),
    metadata=_metadata,
)
