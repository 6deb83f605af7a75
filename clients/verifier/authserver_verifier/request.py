"""What of an HTTP request matters here, told alike by ASGI and by WSGI."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedRequest:
    """A request for a protected resource.

    `path` is decoded and holds the prefix an application is mounted at; `headers` have lower-case names, one pair per
    line that was sent (WSGI joins them with a comma). `certificate` is the client's, in PEM, as the server that ended
    TLS tells it; None where it does not. `memory` is where the server keeps what it knows of this one request: the
    verifier notes there what it has proved, so that a guard around a guarded endpoint does not use up a DPoP proof.
    """

    method: str
    path: str
    query: bytes
    headers: Headers
    certificate: str | None = None
    memory: MutableMapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of one header, by its lower-case name."""
        return [value for key, value in self.headers if key == name]


def from_asgi(scope: MutableMapping[str, Any]) -> ProtectedRequest:
    """Read an ASGI connection scope; a websocket counts as the GET that opens it."""
    extensions = scope.get("extensions")
    chain = ((extensions or {}).get("tls") or {}).get("client_cert_chain") if extensions else None
    return ProtectedRequest(
        method=scope.get("method", "GET"),
        path=scope["path"],
        query=scope.get("query_string", b""),
        headers=tuple(scope["headers"]),
        certificate=next(iter(chain), None) if chain else None,
        memory=scope,
    )


def from_wsgi(environ: MutableMapping[str, Any]) -> ProtectedRequest:
    """Read a WSGI environment. `SSL_CLIENT_CERT` is the server's word: no header of a client is spelled like that."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return ProtectedRequest(
        method=environ["REQUEST_METHOD"],
        path=path.encode("latin-1").decode("utf-8", "replace"),
        query=environ.get("QUERY_STRING", "").encode("latin-1"),
        headers=wsgi_headers(environ),
        certificate=environ.get("SSL_CLIENT_CERT") or None,
        memory=environ,
    )


def wsgi_headers(environ: Mapping[str, Any]) -> Headers:
    """Return the headers in a WSGI environment, or in Django's `request.META`, as ASGI has them."""
    headers = [
        (key[5:].lower().replace("_", "-").encode("latin-1"), value.encode("latin-1", "replace"))
        for key, value in environ.items()
        if key.startswith("HTTP_")
    ]
    headers.append((b"content-type", environ.get("CONTENT_TYPE", "").encode("latin-1", "replace")))
    return tuple(headers)
