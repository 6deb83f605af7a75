"""The one place that asks other hosts: clients, for documents and to tell them of a logout, and sign-in providers.

An address comes from somebody who registered a client, or from what a provider says of itself, so it may point into
our own network (SSRF). Hence: https only, no redirect, no proxy from the environment; the name is resolved once, every
address it has is checked against the table below, and the connection goes to a checked address, with the name in SNI,
certificate and Host. Whatever goes wrong, the caller hears one sentence; the log knows the cause.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import urlencode, urlsplit

from authserver.logs import get_logger
from authserver.phases import forbid_open_transaction
from authserver.settings import Destination

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from httpx2 import AsyncClient, Response

    from authserver.settings import IpNetwork, Settings

V = TypeVar("V")

log = get_logger("authserver.outbound")

TOTAL_SECONDS: Final = 3.0  # for resolving, connecting and reading together
JWKS_BYTES: Final = 65_536
FORGET_FAILURE_AFTER: Final = 10.0  # seconds
PER_HOST: Final = 30  # requests a minute to one host: nobody uses us to flood another (SECURITY row 85)
AT_ONCE: Final = 16
MAX_REMEMBERED: Final = 1000
MAX_URL: Final = 2000
_MINUTE: Final = 60.0
_HTTPS: Final = 443
_LAST_SYSTEM_PORT: Final = 1023
_MAX_ADDRESSES: Final = 4
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+", re.ASCII)

# IANA IPv4 Special-Purpose Address Registry, and multicast; `ipaddress.is_global` lets some of these pass (fact 7)
_SPECIAL_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local; cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relay
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# IPv6 outside of global unicast is special as a whole: v4-mapped and -compatible, NAT64, local and multicast addresses
_UNICAST_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


@dataclass(frozen=True, slots=True)
class _Media:
    """What a document is asked for as, and what its type must then be."""

    accept: str
    pattern: re.Pattern[str]


_JSON: Final = _Media(
    "application/json", re.compile(r"application/(?:[a-z0-9.-]+\+)?json\s*(?:;.*)?", re.ASCII | re.IGNORECASE)
)
_TEXT: Final = _Media("text/plain", re.compile(r"text/plain\s*(?:;.*)?", re.ASCII | re.IGNORECASE))


class OutboundError(OSError):
    """A request that gave nothing usable. The text never tells why: it would show our network to whoever asks.

    ``cause`` does, for operators only.
    """

    def __init__(self, cause: str = "asked a moment ago") -> None:
        """Say the one sentence."""
        super().__init__("the address gave no usable answer")
        self.cause = cause


class _RefusedError(Exception):
    """Why, for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request beyond a plain GET: with a form, or with credentials, to an address that an operator chose."""

    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A JSON document and the status it came with."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Target:
    """An address that may be asked, taken apart."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return every address of a name, as the operating system gives them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


def is_special(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is anything but a public unicast one (IANA special-purpose registries, RFC 6890)."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _SPECIAL_V4)
    return (
        address.scope_id is not None or address not in _UNICAST_V6 or any(address in network for network in _SPECIAL_V6)
    )


class Outbound:
    """Fetches documents and posts forms. One for the process; :meth:`close` it at the end.

    ``allow`` names what may be reached although it is private, by plain http too; ``loopback`` adds this machine, for
    an issuer that is on loopback itself.
    """

    def __init__(
        self,
        *,
        allow: Sequence[IpNetwork | Destination] = (),
        ca_file: Path | None = None,
        loopback: bool = False,
        resolver: Callable[[str, int], Awaitable[Sequence[str]]] = resolve,
    ) -> None:
        """Open nothing yet."""
        loopbacks = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")) if loopback else ()
        self._destinations = frozenset(entry for entry in allow if isinstance(entry, Destination))
        self._networks = (*(entry for entry in allow if not isinstance(entry, Destination)), *loopbacks)
        self._ca_file = ca_file
        self._resolve = resolver
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._turns_at_chosen = asyncio.Semaphore(AT_ONCE)  # a slow provider holds up nobody's keys, nor they it
        self._client: AsyncClient | None = None
        self._failed: OrderedDict[str, float] = OrderedDict()  # url -> when it may be asked again
        self._asked: OrderedDict[str, tuple[float, int]] = OrderedDict()  # host -> (minute's begin, requests in it)

    @classmethod
    def from_settings(cls, settings: Settings) -> Outbound:
        """Return the fetcher that the settings describe."""
        return cls(allow=settings.outbound_allow, ca_file=settings.outbound_ca_file, loopback=settings.is_on_loopback)

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def may_use_http(self, url: str) -> bool:
        """Tell whether this address may be asked without TLS, as far as can be said without resolving its name."""
        try:
            target = _parse(url)
        except _RefusedError:
            return False
        if Destination(target.host, target.port) in self._destinations:
            return True
        if target.host == "localhost":
            return any(IPv4Address("127.0.0.1") in network for network in self._networks)
        try:
            return self._is_allowed(ip_address(target.host))
        except ValueError:
            return False

    async def fetch_json(self, url: str, *, limit: int = JWKS_BYTES) -> bytes:
        """Return the body of a JSON document of at most ``limit`` bytes; raise :class:`OutboundError` for all else.

        Only 200 with a JSON media type and no content coding counts; 3 seconds in total.
        """
        return await self._fetch_typed(url, limit, _JSON)

    async def fetch_text(self, url: str, *, limit: int) -> bytes:
        """Return the body of a plain text of at most ``limit`` bytes, on the terms of :meth:`fetch_json`."""
        return await self._fetch_typed(url, limit, _TEXT)

    async def ask(self, ask: Ask, *, limit: int) -> Reply:
        """Send a request to an address that an operator chose, and return the JSON answer, whatever its status.

        On the terms of :meth:`fetch_json`, but that a failure is not remembered and nobody is counted: who asks is held
        up before (DESIGN §8), and a provider serves everybody who signs in through it.
        """
        forbid_open_transaction("a request to another host")
        try:
            target = _parse(ask.url)
            async with (
                asyncio.timeout(TOTAL_SECONDS),
                self._turns_at_chosen,
                self._send(target, ask, _JSON) as response,
            ):
                return await _read(response, limit, _JSON, any_status=True)
        except (OSError, _RefusedError) as error:
            raise _give_up(ask.url, error) from None

    async def post_form(self, url: str, form: Mapping[str, str]) -> int:
        """Post a form and return the status of the answer, whichever it is; raise :class:`OutboundError` for none.

        What the answer says is not read; 3 seconds in total. Nothing is counted or remembered, as for documents:
        whoever posts has somebody to leave alone after a failure, and knows for how long.
        """
        forbid_open_transaction("a request to another host")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        ask = Ask(url=url, method="POST", headers=headers, body=urlencode(form).encode())
        try:
            target = _parse(url)
            async with asyncio.timeout(TOTAL_SECONDS), self._turns, self._send(target, ask, _JSON) as response:
                return response.status_code
        except (OSError, _RefusedError) as error:
            raise _give_up(url, error) from None

    async def _fetch_typed(self, url: str, limit: int, media: _Media) -> bytes:
        forbid_open_transaction("a request to another host")
        now = asyncio.get_running_loop().time()
        if self._failed.get(url, now) > now:
            raise OutboundError
        try:
            target = _parse(url)
            self._count(target.host, now)
            async with (
                asyncio.timeout(TOTAL_SECONDS),
                self._turns,
                self._send(target, Ask(url=url), media) as response,
            ):
                return (await _read(response, limit, media, any_status=False)).body
        except (OSError, _RefusedError) as error:  # TimeoutError is an OSError
            _remember(self._failed, url, now + FORGET_FAILURE_AFTER)
            raise _give_up(url, error) from None

    @asynccontextmanager
    async def _send(self, target: _Target, ask: Ask, media: _Media) -> AsyncIterator[Response]:
        """Connect to the first address that takes the connection, and give the answer, its body unread."""
        import httpx2  # noqa: PLC0415 - 60 ms that a server without such clients never pays

        addresses = await self._check_addresses(target)
        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=self._tls(),
                trust_env=False,
                follow_redirects=False,
                timeout=TOTAL_SECONDS,
                # no connection is kept: one that was verified for another name must not serve this one
                limits=httpx2.Limits(max_keepalive_connections=0),
            )
        for address in addresses:
            literal = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
            request = self._client.build_request(
                ask.method,
                f"{target.scheme}://{literal}:{target.port}{target.path}",
                headers={
                    **ask.headers,
                    "Host": target.authority,
                    "Accept": media.accept,
                    "Accept-Encoding": "identity",
                },
                content=ask.body,
                extensions={"sni_hostname": target.host},
            )
            try:
                response = await self._client.send(request, stream=True)
            except httpx2.ConnectError:
                continue
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise _RefusedError(type(error).__name__) from error
            try:
                yield response
            except httpx2.HTTPError as error:
                raise _RefusedError(type(error).__name__) from error
            finally:
                await response.aclose()
            return
        message = "no address could be connected to"
        raise _RefusedError(message)

    async def _check_addresses(self, target: _Target) -> Sequence[IPv4Address | IPv6Address]:
        """Return the addresses of the name; raise where a single one may not be reached."""
        try:
            found = [ip_address(address) for address in await self._resolve(target.host, target.port)]
        except ValueError as error:  # a name that cannot be one, to the resolver's encoding
            message = "the name cannot be resolved"
            raise _RefusedError(message) from error
        if not found:
            message = "the name has no address"
            raise _RefusedError(message)
        if Destination(target.host, target.port) not in self._destinations and not all(map(self._is_allowed, found)):
            _check_public(target, found)
        return list(dict.fromkeys(found))[:_MAX_ADDRESSES]

    def _is_allowed(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)

    def _count(self, host: str, now: float) -> None:
        begin, count = self._asked.get(host, (now, 0))
        if now >= begin + _MINUTE:
            begin, count = now, 0
        if count >= PER_HOST:
            message = "the host was asked too often"
            raise _RefusedError(message)
        _remember(self._asked, host, (begin, count + 1))

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        return context


def _give_up(url: str, error: Exception) -> OutboundError:
    """Log why nothing came of a request, and return the error that does not say so."""
    cause = str(error) or type(error).__name__
    log.info("outbound_failed", url=url[:MAX_URL], cause=cause)
    return OutboundError(cause)


def _remember(cache: OrderedDict[str, V], key: str, value: V) -> None:
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > MAX_REMEMBERED:
        cache.popitem(last=False)


def _parse(url: str) -> _Target:
    """Take an address apart; raise for anything that two readers could understand in two ways."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as error:
        message = "no URL"
        raise _RefusedError(message) from error
    host = split.hostname or ""
    is_plain = url.isascii() and url.isprintable() and not set(url) & set(' \\"<>^`{|}') and len(url) <= MAX_URL
    is_bare = "@" not in split.netloc and "#" not in url
    if split.scheme not in ("https", "http") or not is_plain or not is_bare or not _HOST.fullmatch(host) or port == 0:
        message = "not a plain https URL"
        raise _RefusedError(message)
    default = _HTTPS if split.scheme == "https" else 80
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return _Target(split.scheme, host, port or default, split.netloc.lower(), path)


def _check_public(target: _Target, addresses: Sequence[IPv4Address | IPv6Address]) -> None:
    """Refuse what the settings do not allow by name, but for https to public addresses."""
    if any(is_special(address) for address in addresses):
        message = "the name has an address that is not public"
        raise _RefusedError(message)
    if target.scheme != "https" or (target.port <= _LAST_SYSTEM_PORT and target.port != _HTTPS):
        message = "not https, or the port of another protocol"
        raise _RefusedError(message)


async def _read(response: Response, limit: int, media: _Media, *, any_status: bool) -> Reply:
    if response.status_code != 200 and not any_status:  # noqa: PLR2004 - a redirect is no answer either
        message = f"status {response.status_code}"
        raise _RefusedError(message)
    if not media.pattern.fullmatch(response.headers.get("content-type", "")):
        message = "another media type"
        raise _RefusedError(message)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        message = "a content coding"
        raise _RefusedError(message)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            message = f"more than {limit} bytes"
            raise _RefusedError(message)
    return Reply(status=response.status_code, body=bytes(body))
