"""How many tries a stranger has (DESIGN §8): decided on rows, before the password is hashed.

Three counts stand behind every try. *Pair*: this account from this network, five free tries, then waits of 1, 2, 4 … 60
seconds. *Account*: all networks together, so that many addresses are no way around, with the same ceiling. *Address*: a
minute's tries of one network over all accounts. A browser in which the user signed in before has a count of its own and
is held up by no other: nobody can lock the owner out.

Clients that strangers register are counted here too, by the hour and the network (RFC 7591 §5), and the mails that
strangers have sent to somebody's address (SECURITY row 115).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.store import attempts
from authserver.store.attempts import AttemptKey, Attempts
from authserver.store.users import name_key
from authserver.web.forwarded import network_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from authserver.store.engine import Tx

FREE_TRIES: Final = 5
FREE_TRIES_OF_AN_ACCOUNT: Final = 50  # over all networks: a household's and an office's slips together
LONGEST_WAIT: Final = timedelta(seconds=60)
TRIES_PER_ADDRESS: Final = 30
ADDRESS_WINDOW: Final = timedelta(minutes=1)
REGISTRATIONS_PER_ADDRESS: Final = 20
REGISTRATION_WINDOW: Final = timedelta(hours=1)
MAILS_PER_RECIPIENT: Final = 3
MAIL_WINDOW: Final = timedelta(minutes=15)
MAILS_PER_RECIPIENT_AND_DAY: Final = 10
MAILS_PER_ADDRESS: Final = 60
MAILS_OF_ALL: Final = 20_000
MAIL_HOUR: Final = timedelta(hours=1)
FORGOTTEN_AFTER: Final = timedelta(hours=24)

# Counts that are full for the rest of their window; the others make the next try wait.
_WINDOWS: Final[Mapping[str, tuple[int, timedelta]]] = {
    "address": (TRIES_PER_ADDRESS, ADDRESS_WINDOW),
    "registration": (REGISTRATIONS_PER_ADDRESS, REGISTRATION_WINDOW),
    "mail_recipient": (MAILS_PER_RECIPIENT, MAIL_WINDOW),
    "mail_recipient_day": (MAILS_PER_RECIPIENT_AND_DAY, FORGOTTEN_AFTER),
    "mail_address": (MAILS_PER_ADDRESS, MAIL_HOUR),
    "mail_all": (MAILS_OF_ALL, MAIL_HOUR),
}
_PER_RECIPIENT: Final = frozenset({"mail_recipient", "mail_recipient_day"})  # a mailbox is one however many share a NAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One try at an account. ``known_device`` is the hash of a cookie that this user signed in with before."""

    account: str  # the user's id where the user exists, so that name and e-mail share one budget; else what was typed
    address: str
    known_device: bytes | None = None

    def count_keys(self) -> tuple[AttemptKey, ...]:
        """Name the counts this try adds to."""
        if self.known_device is not None:
            return (_key("device", self.account, self.known_device.hex()),)
        network = network_of(self.address)
        return (_key("pair", self.account, network), _key("account", self.account), _key("address", network))


async def reserve(tx: Tx, attempt: Try, address_limit_scale: float) -> None:
    """Count one try, or raise 429 with the seconds to wait.

    A refused try counts for nothing, so it cannot add to the wait. The rows stay locked until the transaction ends, so
    parallel tries are counted one after the other.
    """
    await _reserve(tx, attempt.count_keys(), address_limit_scale, Refusal.THROTTLED)


async def reserve_registration(tx: Tx, address: str, address_limit_scale: float) -> None:
    """Count one client that a stranger registers, or raise 429 with the seconds to wait."""
    key = _key("registration", network_of(address))
    await _reserve(tx, (key,), address_limit_scale, Refusal.REGISTRATION_QUOTA)


async def reserve_address(tx: Tx, address: str, address_limit_scale: float) -> None:
    """Count one try of a network that is at no account yet (a sign-up, a forgotten password), or raise 429."""
    await _reserve(tx, (_key("address", network_of(address)),), address_limit_scale, Refusal.THROTTLED)


async def reserve_mail(tx: Tx, recipient: str, address: str, address_limit_scale: float) -> bool:
    """Count one mail that somebody at ``address`` has sent to ``recipient``; False where it must not be sent.

    Nobody is told: the answer is the same, or it would say whose mailbox is being flooded.
    """
    recipient = name_key(recipient)
    keys = (
        _key("mail_recipient", recipient),
        _key("mail_recipient_day", recipient),
        _key("mail_address", network_of(address)),
        _key("mail_all"),
    )
    try:
        await _reserve(tx, keys, address_limit_scale, Refusal.THROTTLED)
    except OAuthError:
        return False
    return True


async def forgive(tx: Tx, attempt: Try) -> None:
    """Forget the account's counts after a success. The address keeps its own: it may be trying other accounts."""
    await attempts.forget(tx, [key for key in attempt.count_keys() if key.kind != "address"])


def wait_after(count: int, free: int) -> timedelta:
    """Return the wait between the ``count``-th try and the next: none while tries are free, then 1, 2, 4 … 60 seconds.

    >>> [wait_after(count, free=5).seconds for count in (4, 5, 6, 10, 11, 500)]
    [0, 1, 2, 32, 60, 60]
    """
    if count < free:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(count - free, 6)), LONGEST_WAIT)


def throttled(seconds: int, refusal: Refusal = Refusal.THROTTLED) -> OAuthError:
    """Return the refusal of what came too soon: 429 with Retry-After."""
    return OAuthError(
        ErrorCode.SLOW_DOWN,
        f"too many tries; wait {seconds} seconds",
        refusal,
        headers=(("retry-after", str(seconds)),),
    )


async def _reserve(tx: Tx, keys: Sequence[AttemptKey], address_limit_scale: float, refusal: Refusal) -> None:
    rows = await attempts.lock(tx, keys)
    now = await tx.now()
    wait = max(_wait(row, now, address_limit_scale) for row in rows)
    if wait > timedelta(0):
        raise throttled(math.ceil(wait.total_seconds()), refusal)
    await attempts.store(tx, [_counted(row, now) for row in rows])


def _wait(row: Attempts, now: datetime, address_limit_scale: float) -> timedelta:
    """Return how long this count holds the next try up."""
    if row.count == 0 or now - row.last_at >= FORGOTTEN_AFTER:
        return timedelta(0)
    if row.key.kind in _WINDOWS:
        limit, window = _WINDOWS[row.key.kind]
        scale = 1 if row.key.kind in _PER_RECIPIENT else address_limit_scale
        return row.first_at + window - now if row.count >= limit * scale else timedelta(0)
    free = FREE_TRIES_OF_AN_ACCOUNT if row.key.kind == "account" else FREE_TRIES
    wait = wait_after(row.count, free)
    # a free try never waits, also where another transaction counted after this one had read the clock
    return row.last_at + wait - now if wait else timedelta(0)


def _counted(row: Attempts, now: datetime) -> Attempts:
    """Return the row with one more try; a window that is over starts again."""
    started, window = row.last_at, FORGOTTEN_AFTER
    if row.key.kind in _WINDOWS:
        started, window = row.first_at, _WINDOWS[row.key.kind][1]
    if row.count == 0 or now - started >= window:
        return Attempts(key=row.key, count=1, first_at=now, last_at=now)
    return Attempts(key=row.key, count=row.count + 1, first_at=row.first_at, last_at=now)


def _key(kind: str, *parts: str) -> AttemptKey:
    digest = hashlib.sha256("\x00".join((kind, *parts)).encode()).digest()
    return AttemptKey(kind=kind, key_hash=digest)
