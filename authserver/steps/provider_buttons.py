"""The buttons of other providers on the pages where people sign in or sign up (UX §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from authserver.feature import Call
    from authserver.steps.authorization import Progress

UPSTREAM: Final = "/upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A provider as its button shows it."""

    slug: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Buttons:
    """The buttons of a page, and where their form goes."""

    action: str
    providers: tuple[Button, ...]


def find_buttons(call: Call, progress: Progress | None, *, sign_up: bool = False) -> Buttons:
    """Return the buttons that a page shows; ``sign_up``: of providers through which an account can be made."""
    return Buttons(
        action=f"{UPSTREAM}/{progress.transaction.id}" if progress is not None else UPSTREAM,
        providers=tuple(
            Button(slug=provider.slug, label=provider.label)
            for provider in call.services.directory.providers
            if provider.allow_sign_up or not sign_up
        ),
    )
