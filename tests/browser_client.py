"""A browser for tests: keeps cookies, sends what a browser says of a form's origin, and follows redirects when told."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin

if TYPE_CHECKING:
    import httpx2

REDIRECTS = frozenset({302, 303, 307})


class Browser:
    """One browser with its own cookies, which it sends to the issuer alone.

    It keeps `Secure` cookies over plain http, as browsers do for loopback. Nothing is followed by itself.
    """

    def __init__(self, http: httpx2.AsyncClient, issuer: str) -> None:
        self.cookies: dict[str, str] = {}
        self.cookie_lines: list[str] = []  # every Set-Cookie as it came, attributes included
        self._http = http
        self._issuer = issuer

    async def get(self, url: str, headers: dict[str, str] | None = None) -> httpx2.Response:
        return await self._send("GET", url, headers=headers)

    async def post(
        self, url: str, form: dict[str, str] | list[tuple[str, str]] | str, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Send a form (text: encoded already) as one of the issuer's own pages does; "" leaves a header out."""
        own = {"origin": self._issuer, "sec-fetch-site": "same-origin", "content-type": FORM}
        sent = {name: value for name, value in (own | (headers or {})).items() if value}
        return await self._send("POST", url, headers=sent, content=form if isinstance(form, str) else urlencode(form))

    async def submit(self, page: httpx2.Response, headers: dict[str, str] | None = None, **values: str):
        """Fill in the page's form, its hidden fields as they are, and send it; a value of "" leaves a field out."""
        form = read_form(page.text)
        fields = {name: value for name, value in (form.fields | values).items() if value}
        return await self.post(urljoin(str(page.url), form.action), fields, headers)

    async def follow(self, response: httpx2.Response) -> httpx2.Response:
        """Go where redirects lead while that is the issuer; the last answer may point at a client."""
        while response.status_code in REDIRECTS:
            target = urljoin(str(response.url), response.headers["location"])
            if not target.startswith(f"{self._issuer}/"):
                break
            response = await self.get(target)
        return response

    async def open(self, url: str) -> httpx2.Response:
        return await self.follow(await self.get(url))

    async def _send(self, method: str, url: str, *, headers: dict[str, str] | None, content: str = ""):
        sent = dict(headers or {})
        if self.cookies:
            sent.setdefault("cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        response = await self._http.request(method, url, headers=sent, content=content)
        self._http.cookies.clear()  # the client's own jar: this one is kept here
        for line in response.headers.get_list("set-cookie"):
            self._keep(line)
        return response

    def _keep(self, line: str) -> None:
        self.cookie_lines.append(line)
        pair, _, attributes = line.partition(";")
        name, _, value = pair.partition("=")
        if "max-age=0" in attributes.lower().replace(" ", "").split(";"):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


FORM = "application/x-www-form-urlencoded"


class Form(HTMLParser):
    """The first form of a page that is posted: where to, and what is in it before anybody types."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self._state = "before"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form" and self._state == "before" and attributes.get("method", "").lower() == "post":
            self._state, self.action = "inside", attributes.get("action", "")
        elif tag == "input" and self._state == "inside" and "name" in attributes:
            is_left_out = attributes.get("type") in {"checkbox", "radio", "submit"} and "checked" not in attributes
            if not is_left_out:
                self.fields[attributes["name"]] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._state == "inside":
            self._state = "after"


def read_form(html: str) -> Form:
    """Return the page's form; a page without one is no page to fill in."""
    form = Form()
    form.feed(html)
    assert form._state == "after", f"no form on this page:\n{html[:2000]}"
    return form
