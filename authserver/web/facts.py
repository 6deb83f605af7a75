"""What is known of a request before any endpoint looks at it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One request: its line, headers, sender and body; nothing in it has been believed yet.

    ``address`` is the client's, read through trusted proxies only. ``body`` is filled for JSON endpoints; forms have
    become ``Params``. ``path_parameter`` is the path segment where the route has its ``*``.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    address: str
    request_id: str
    path_parameter: str = ""
    body: bytes = b""

    def header(self, name: bytes) -> str | None:
        """Return a header's only value, None where it is absent, or all values joined by commas where it came often."""
        values = [value.decode("latin-1") for key, value in self.headers if key == name]
        return ", ".join(values) if values else None

    def header_values(self, name: bytes) -> tuple[str, ...]:
        """Return every value of a header that must not be repeated, so that the reader can refuse two."""
        return tuple(value.decode("latin-1") for key, value in self.headers if key == name)

    def cookie(self, name: str) -> str | None:
        """Return the value of one of our cookies; the first wins where a jar holds several."""
        for values in self.header_values(b"cookie"):
            for pair in values.split(";"):
                key, _, value = pair.strip().partition("=")
                if key == name and value:
                    return value
        return None
