"""Read people out of a Django project: ``dumpdata`` as JSON, or a table as CSV. Pure: nothing is looked up.

From ``dumpdata`` come every model whose name ends in ``.user`` (or the one that is named), and django-allauth's
``account.emailaddress``, which says whose address is verified. A CSV file has the same names in its first line.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from authserver import imported_hashes
from authserver.operations.errors import OperationError
from authserver.operations.user_rules import parse_email, parse_username

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ADDRESS_MODEL: Final = "account.emailaddress"
BLACKLIST_MODEL: Final = "token_blacklist.blacklistedtoken"
OUTSTANDING_MODEL: Final = "token_blacklist.outstandingtoken"
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", ""})
_MAX_NAME: Final = 200
_NEEDED: Final = frozenset({"username", "email"})  # one of them at least
_COLUMNS: Final = _NEEDED | {
    "id",
    "password",
    "first_name",
    "last_name",
    "is_active",
    "date_joined",
    "email_verified",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedUser:
    """One account as it will be made. ``place`` is where it stands in the file, ``source_id`` its key there."""

    place: str
    source_id: str
    username: str
    email: str | None
    email_verified: bool
    password_hash: str | None
    given_name: str | None
    family_name: str | None
    is_active: bool
    joined_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFault:
    """Why one row of the file cannot be imported."""

    place: str
    username: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentToken:
    """A refresh token that the project's blacklist refuses, until it would have expired."""

    jti: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFile:
    """What a file holds: the accounts that can be made, and every row that cannot, with its reason."""

    users: Sequence[ImportedUser]
    faults: Sequence[ImportFault]
    spent_tokens: Sequence[SpentToken] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRules:
    """How to read what the file leaves open."""

    model: str | None = None  # of the users in dumpdata; None: any that ends in .user
    all_verified: bool = False  # the project verified every address
    drop_unreadable_passwords: bool = False  # import those accounts without one; else they are faults


def read_file(text: str, rules: ReadingRules) -> ImportFile:
    """Return what is in a file. Raise OperationError where it cannot be read at all; its rows never raise."""
    text = text.removeprefix("\ufeff")
    entries = _read_entries(text) if text.lstrip().startswith(("[", "{")) else None
    rows = _json_rows(entries, rules) if entries is not None else _csv_rows(text)
    users: list[ImportedUser] = []
    faults: list[ImportFault] = []
    names: dict[str, str] = {}
    for place, row in rows:
        try:
            user = _read_row(place, row, rules)
            key = user.username.casefold()
            if key in names:
                raise OperationError(f"the same username stands at {names[key]}")  # noqa: TRY301 - the row's own no
            names[key] = place
            users.append(user)
        except OperationError as error:
            faults.append(ImportFault(place=place, username=str(row.get("username") or ""), reason=error.message))
    return ImportFile(users=users, faults=faults, spent_tokens=_spent_tokens(entries or ()))


def _read_entries(text: str) -> list[Any]:
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise OperationError(f"The file is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise OperationError("The file is not what dumpdata writes: a list of objects.")
    return entries


def _json_rows(entries: Sequence[Any], rules: ReadingRules) -> Iterable[tuple[str, Mapping[str, object]]]:
    verified = _verified_addresses(entries)
    found = []
    for number, entry in enumerate(entries, 1):
        model = str(entry.get("model", "")).lower() if isinstance(entry, dict) else ""
        fields = entry.get("fields") if isinstance(entry, dict) else None
        is_user = model == rules.model.lower() if rules.model else model.endswith(".user")
        if is_user and isinstance(fields, dict):
            key = str(entry.get("pk", ""))
            more = {"id": key, "email_verified": (key, str(fields.get("email", "")).lower()) in verified}
            found.append((f"entry {number}", {**more, **fields}))
    if not found:
        raise OperationError(
            "There are no users in this file.", fix="Name their model, as in: --model accounts.customer"
        )
    return found


def _verified_addresses(entries: Sequence[Any]) -> frozenset[tuple[str, str]]:
    """Return (user's key, address in lower case) of each address that django-allauth verified."""
    addresses = (
        entry["fields"]
        for entry in entries
        if isinstance(entry, dict) and entry.get("model") == ADDRESS_MODEL and isinstance(entry.get("fields"), dict)
    )
    return frozenset(
        (str(one.get("user", "")), str(one.get("email", "")).lower())
        for one in addresses
        if one.get("verified") is True
    )


def _spent_tokens(entries: Sequence[Any]) -> tuple[SpentToken, ...]:
    """Return what simplejwt's blacklist refuses; a row that says no id or no time is of no use to it either."""
    blacklisted = {str(fields.get("token")) for fields in _fields_of(entries, BLACKLIST_MODEL).values()}
    outstanding = _fields_of(entries, OUTSTANDING_MODEL)
    found = []
    for key in blacklisted & outstanding.keys():
        jti, expires_at = outstanding[key].get("jti"), _time(outstanding[key], "expires_at")
        if isinstance(jti, str) and expires_at is not None:
            found.append(SpentToken(jti=jti, expires_at=expires_at))
    return tuple(found)


def _fields_of(entries: Sequence[Any], model: str) -> Mapping[str, Mapping[str, object]]:
    """Return the fields of a model's rows by their key."""
    return {
        str(entry.get("pk")): entry["fields"]
        for entry in entries
        if isinstance(entry, dict) and entry.get("model") == model and isinstance(entry.get("fields"), dict)
    }


def _csv_rows(text: str) -> Iterable[tuple[str, Mapping[str, object]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = set(reader.fieldnames or ())
    if not names & _NEEDED:
        raise OperationError("The first line of a CSV file names its columns; username or email must be one of them.")
    if unknown := names - _COLUMNS:
        raise OperationError(
            f"The columns {', '.join(sorted(map(str, unknown)))} are not read here.",
            fix=f"Leave them out. Read are: {', '.join(sorted(_COLUMNS))}",
        )
    try:
        return [(f"line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise OperationError(f"The file is not CSV: {error}") from error


def _read_row(place: str, row: Mapping[str, object], rules: ReadingRules) -> ImportedUser:
    email = parse_email(_text(row, "email")) if _text(row, "email") else None
    username = parse_username(_text(row, "username") or email or "", email=email)
    return ImportedUser(
        place=place,
        source_id=_text(row, "id"),
        username=username,
        email=email,
        email_verified=email is not None and (rules.all_verified or _flag(row, "email_verified", default=False)),
        password_hash=_password_hash(_text(row, "password"), rules),
        given_name=_name(row, "first_name"),
        family_name=_name(row, "last_name"),
        is_active=_flag(row, "is_active", default=True),
        joined_at=_time(row, "date_joined"),
    )


def _password_hash(stored: str, rules: ReadingRules) -> str | None:
    """Return Django's hash; one that begins with ``!`` is its mark for an account without a password."""
    if not stored or stored.startswith("!"):
        return None
    fault = imported_hashes.find_fault(stored)
    if fault is None:
        return stored
    if rules.drop_unreadable_passwords:
        return None
    raise OperationError(f"the password cannot be verified here: {fault}", field="password")


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int):
        raise OperationError(f"{name} is not a text", field=name)
    return str(value).strip()


def _name(row: Mapping[str, object], field: str) -> str | None:
    name = _text(row, field)
    if len(name) > _MAX_NAME or not name.isprintable():
        raise OperationError(f"{field} is too long or has characters that nobody sees", field=field)
    return name or None


def _flag(row: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = row.get(name, default)
    if isinstance(value, bool):
        return value
    word = str(value if value is not None else "").strip().lower()
    if word not in _TRUE | _FALSE:
        raise OperationError(f"{name} is neither true nor false", field=name)
    return word in _TRUE if word else default


def _time(row: Mapping[str, object], name: str) -> datetime | None:
    text = _text(row, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise OperationError(f"{name} is not a time of ISO 8601", field=name) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
