"""Request parameters as OAuth wants them read: sent twice is an error, sent empty is absent (RFC 6749 §3.1, §3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_FIELDS: Final = 100
REPEATABLE: Final = frozenset({"resource", "audience"})  # RFC 8707 §2, RFC 8693 §2.1


class Params:
    """The parameters of one request, in the order they came.

    >>> form = Params([("scope", "a"), ("state", ""), ("resource", "https://x"), ("resource", "https://y")])
    >>> form.get("scope"), form.get("state"), form.all("resource")
    ('a', None, ('https://x', 'https://y'))
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        """Keep the pairs; empty values are as good as not sent."""
        self._values: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            if value:
                self._values[name] = (*self._values.get(name, ()), value)

    @classmethod
    def parse(cls, encoded: bytes | str) -> Params:
        """Decode ``application/x-www-form-urlencoded`` text, a body's or a query's (UTF-8; RFC 6749 appendix B).

        Raises ``invalid_request`` for characters that should have been percent-encoded, for bytes that are no UTF-8,
        a NUL, or more than ``MAX_FIELDS`` fields.
        """
        try:
            raw = encoded.encode("ascii") if isinstance(encoded, str) else encoded
            text = raw.decode("ascii")
            fields = [field.partition("=") for field in text.split("&", MAX_FIELDS)]
            pairs = [(decode_form(name), decode_form(value)) for name, _, value in fields]
        except UnicodeError as error:
            raise OAuthError(
                ErrorCode.INVALID_REQUEST, "parameters must be form-encoded UTF-8", Refusal.PARAMETERS_MALFORMED
            ) from error
        if len(pairs) > MAX_FIELDS:
            raise OAuthError(
                ErrorCode.INVALID_REQUEST, f"more than {MAX_FIELDS} parameters", Refusal.PARAMETERS_TOO_MANY
            )
        if "\x00" in text or "%00" in text:
            raise OAuthError(
                ErrorCode.INVALID_REQUEST, "parameters must not hold NUL characters", Refusal.PARAMETERS_MALFORMED
            )
        return cls(pairs)

    def get(self, name: str) -> str | None:
        """Return the value, or None where it is absent or empty; raise ``invalid_request`` where it came twice."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise OAuthError(
                ErrorCode.INVALID_REQUEST, f"parameter {printable(name)} is repeated", Refusal.PARAMETER_REPEATED
            )
        return values[0]

    def require(self, name: str) -> str:
        """Return the value; raise ``invalid_request`` where it is absent, empty or repeated."""
        value = self.get(name)
        if value is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, f"parameter {name} is missing", Refusal.PARAMETER_MISSING)
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a parameter that may be repeated (``REPEATABLE``)."""
        return self._values.get(name, ())

    def check_none_repeated(self) -> None:
        """Refuse any parameter sent twice, known or not, but those that may be (RFC 6749 §3.1, §3.2)."""
        for name, values in self._values.items():
            if len(values) > 1 and name not in REPEATABLE:
                self.get(name)

    def __contains__(self, name: object) -> bool:
        """Tell whether the parameter came with a value."""
        return name in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Give every pair that came with a value."""
        for name, values in self._values.items():
            for value in values:
                yield name, value

    def __repr__(self) -> str:
        """Name the parameters only: values may be secrets."""
        return f"Params({', '.join(self._values)})"


def decode_form(text: str) -> str:
    """Return a form-encoded name or value decoded (RFC 6749 appendix B); UnicodeError where it is no UTF-8.

    A percent sign without two digits after it stands for itself, as everywhere on the web.
    """
    if "%" in text or "+" in text:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    return text


def printable(text: str, limit: int = 40) -> str:
    """Return what a sender wrote in the characters an ``error_description`` may hold (RFC 6749 §5.2), shortened."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text[:limit])
