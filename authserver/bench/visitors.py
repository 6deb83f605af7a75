"""Virtual clients, one class for each way to ask; each knows what a right answer says."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from authserver.bench.connection import build_request
from authserver.bench.driver import WrongAnswerError
from authserver.bench.installation import API_SCOPE, CALLBACK, PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from authserver.bench.connection import Connection, Response
    from authserver.bench.installation import Credentials

_CSRF: Final = re.compile(r'name="csrf" value="([^"]+)"')
_OK: Final = 200


def check(response: Response, *, is_right: bool) -> None:
    """Raise WrongAnswerError unless the answer is right."""
    if not is_right:
        raise WrongAnswerError.of(response)


def form_request(path: str, host: str, credentials: Credentials, **form: str) -> bytes:
    """Return a client's authenticated POST."""
    headers = {"authorization": credentials.authorization}
    return build_request("POST", path, host=host, headers=headers, body=urlencode(form).encode())


def is_token_response(response: Response) -> bool:
    """Tell whether this is RFC 6749 §5.1 with a signed access token."""
    document = response.json() if response.status == _OK else None
    if not isinstance(document, dict) or document.get("token_type") != "Bearer":
        return False
    return str(document.get("access_token")).count(".") == 2  # noqa: PLR2004  # the dots of a JWS (RFC 7515 §3.1)


class Repeater:
    """Asks the same thing for ever."""

    def __init__(self, request: bytes, is_right: Callable[[Response], bool]) -> None:
        """Take the request and what tells a right answer."""
        self._request, self._is_right = request, is_right

    def has_more(self) -> bool:
        """Go on for ever."""
        return True

    async def visit(self, connection: Connection) -> None:
        """Ask and check."""
        response = await connection.ask(self._request)
        check(response, is_right=self._is_right(response))


class Refresher:
    """Refreshes its grants in turn, each time with the successor it was given."""

    def __init__(self, host: str, credentials: Credentials, tokens: Sequence[str]) -> None:
        """Take one token of each grant; with several, a grant rests until the others had their turn."""
        self._host, self._credentials = host, credentials
        self._tokens = list(tokens)
        self._at = 0

    def has_more(self) -> bool:
        """Go on for ever."""
        return True

    async def visit(self, connection: Connection) -> None:
        """Rotate one token."""
        token = self._tokens[self._at]
        response = await connection.ask(refresh_request(self._host, self._credentials, token))
        check(response, is_right=is_token_response(response))
        successor = response.json().get("refresh_token")
        check(response, is_right=isinstance(successor, str) and successor != token)
        self._tokens[self._at] = successor
        self._at = (self._at + 1) % len(self._tokens)


class Revoker:
    """Revokes each of its tokens once."""

    def __init__(self, host: str, credentials: Credentials, tokens: Sequence[str]) -> None:
        """Take tokens of live grants, one each."""
        self._requests = [
            form_request("/revoke", host, credentials, token=token, token_type_hint="refresh_token")  # noqa: S106
            for token in tokens
        ]

    def has_more(self) -> bool:
        """Tell whether a token is left."""
        return bool(self._requests)

    async def visit(self, connection: Connection) -> None:
        """Revoke the next one (RFC 7009 §2.2: 200, and nothing in the body)."""
        response = await connection.ask(self._requests.pop())
        check(response, is_right=response.status == _OK and not response.body)


class AppVisitor:
    """A browser that is signed in and its app: an authorization code, and its tokens."""

    def __init__(self, host: str, credentials: Credentials, cookies: str) -> None:
        """Take the cookies of :func:`sign_in`."""
        self._host, self._credentials, self._cookies = host, credentials, cookies

    def has_more(self) -> bool:
        """Go on for ever."""
        return True

    async def visit(self, connection: Connection) -> None:
        """Fetch a code with PKCE and redeem it; the user is asked nothing."""
        verifier, state = token_urlsafe(32), token_urlsafe(16)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._credentials.client_id,
            "redirect_uri": CALLBACK,
            "scope": f"openid offline_access {API_SCOPE}",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        response = await connection.ask(
            build_request("GET", f"/authorize?{urlencode(query)}", host=self._host, headers={"cookie": self._cookies})
        )
        answer = parse_qs(urlsplit("".join(response.headers("location")[:1])).query)
        check(response, is_right=answer.get("state") == [state] and "code" in answer)
        form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": verifier}
        response = await connection.ask(
            form_request("/token", self._host, self._credentials, code=answer["code"][0], **form)
        )
        check(response, is_right=is_token_response(response) and "refresh_token" in response.json())


class LoginVisitor:
    """Signs in with a password, again and again, each time in a new browser."""

    def __init__(self, host: str, username: str) -> None:
        """Take a user whose password is the bench's."""
        self._host, self._username = host, username

    def has_more(self) -> bool:
        """Go on for ever."""
        return True

    async def visit(self, connection: Connection) -> None:
        """Fetch the page, fill it in, and be signed in."""
        await sign_in(connection, self._host, self._username)


async def sign_in(connection: Connection, host: str, username: str) -> str:
    """Sign in through the login page and return the cookies that say so."""
    page = await connection.ask(build_request("GET", "/login", host=host))
    found = _CSRF.search(page.body.decode())
    cookies = _cookies(page)
    if found is None:
        raise WrongAnswerError.of(page)
    form = {"csrf": found[1], "username": username, "password": PASSWORD}
    headers = {"cookie": "; ".join(cookies), "origin": f"http://{host}"}
    answer = await connection.ask(
        build_request("POST", "/login", host=host, headers=headers, body=urlencode(form).encode())
    )
    given = _cookies(answer)
    check(answer, is_right=any(cookie.startswith("__Host-session=") for cookie in given))
    return "; ".join([*cookies, *given])


def refresh_request(host: str, credentials: Credentials, token: str) -> bytes:
    """Return POST /token with a refresh token."""
    return form_request("/token", host, credentials, grant_type="refresh_token", refresh_token=token)


def _cookies(response: Response) -> list[str]:
    return [value.partition(";")[0] for value in response.headers("set-cookie")]
