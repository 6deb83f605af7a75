"""Requests to other hosts: to checked public addresses only, small, soon over, silent about why (SECURITY 83-85)."""

from __future__ import annotations

import asyncio
import ipaddress
import zlib

import pytest
from cryptography import x509

from authserver import outbound as module
from authserver.outbound import Outbound, OutboundError, is_special
from authserver.phases import transaction_open
from authserver.settings import Destination, Settings
from tests.certificates import make_authority

HOST = "client.example"
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
BODY = b'{"keys":[]}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + BODY


class Names:
    """A resolver that answers what the test says, one answer after the other, and counts the questions."""

    def __init__(self, *answers):
        self.answers = answers
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


class Server:
    """A server on loopback that sends fixed bytes, and remembers who came and what they asked."""

    def __init__(self, *parts, address="127.0.0.1", tls=None, pause=0.0):
        self.parts, self.address, self.tls, self.pause = parts or (OK,), address, tls, pause
        self.connects = 0
        self.requests = []
        self.names = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.address, 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        self.connects += 1
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            for part in self.parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(self.pause)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def header(self, name):
        lines = self.requests[-1].decode().split("\r\n")
        return [line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name.lower()}:")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA of our own and a certificate of it for client.example: (CA file, server's TLS context)."""
    return make_authority(tmp_path_factory.mktemp("ca"), x509.DNSName(HOST))


def fetcher(names=None, *, allow=(LOOPBACK,), **kwargs):
    return Outbound(allow=allow, resolver=names or Names(["127.0.0.1"]), **kwargs)


async def refused(outbound, url, **kwargs):
    with pytest.raises(OutboundError) as caught:
        await outbound.fetch_json(url, **kwargs)
    assert str(caught.value) == "the address gave no usable answer"
    await outbound.close()


# --- what is asked, and how -------------------------------------------------------------------------------------------


async def test_a_document_comes_over_tls_with_the_name_in_sni_certificate_and_host(authority):
    file, context = authority
    names = []
    context.sni_callback = lambda _, name, __: names.append(name)
    async with Server(tls=context) as server:
        outbound = fetcher(ca_file=file)
        assert await outbound.fetch_json(f"https://{HOST}:{server.port}/jwks?v=1") == BODY
        await outbound.close()
        assert names == [HOST]
        assert server.header("Host") == [f"{HOST}:{server.port}"]
        assert server.header("Accept-Encoding") == ["identity"]
        assert server.requests[0].startswith(b"GET /jwks?v=1 HTTP/1.1\r\n")


async def test_a_certificate_of_another_name_is_refused(authority):
    file, context = authority
    async with Server(tls=context) as server:
        await refused(fetcher(ca_file=file), f"https://other.example:{server.port}/")
        assert server.requests == []


async def test_a_certificate_of_an_unknown_ca_is_refused(authority):
    async with Server(tls=authority[1]) as server:
        await refused(fetcher(), f"https://{HOST}:{server.port}/")
        assert server.requests == []


async def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    async with Server() as proxy, Server() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        outbound = fetcher()
        assert await outbound.fetch_json(f"http://{HOST}:{server.port}/") == BODY
        await outbound.close()
        assert proxy.connects == 0


async def test_each_document_has_a_connection_of_its_own():
    async with Server() as server:
        outbound = fetcher()
        for _ in range(3):
            await outbound.fetch_json(f"http://{HOST}:{server.port}/")
        await outbound.close()
        assert server.connects == 3


async def test_an_address_that_does_not_answer_gives_way_to_the_next():
    async with Server(address="127.0.0.2") as server:
        outbound = fetcher(Names(["127.0.0.3", "127.0.0.2"]))
        assert await outbound.fetch_json(f"http://{HOST}:{server.port}/") == BODY
        await outbound.close()


async def test_a_fetch_inside_a_transaction_is_a_bug():
    with transaction_open(), pytest.raises(RuntimeError, match="transaction is open"):
        await fetcher().fetch_json(f"https://{HOST}/")


# --- where it may go --------------------------------------------------------------------------------------------------

SPECIAL = [
    *(
        "0.0.0.0",  # noqa: S104 - to be refused
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
    ),
    *(
        "192.0.0.1",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.1.1",
        "192.175.48.1",
        "198.18.0.1",
    ),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "64:ff9b::a9fe:a9fe", "64:ff9b::808:808"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:a9fe:a9fe::1"),
    *(
        "2620:4f:8000::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ),
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "172.32.0.1",
    "192.167.1.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "2001:4860::1",
]


@pytest.mark.attack(83)
def test_the_table_knows_every_special_purpose_range_and_no_public_address():
    assert [address for address in SPECIAL if not is_special(ipaddress.ip_address(address))] == []
    assert [address for address in PUBLIC if is_special(ipaddress.ip_address(address))] == []


@pytest.fixture
def no_connection(monkeypatch):
    """Fail at the first connection that is tried."""
    connects = []

    async def connect(self, request, **_):
        connects.append(request.url)
        raise AssertionError

    monkeypatch.setattr("httpx2.AsyncClient.send", connect)
    return connects


@pytest.mark.attack(83)
@pytest.mark.parametrize("address", SPECIAL)
async def test_a_name_with_a_special_address_is_not_connected_to_even_beside_a_public_one(address, no_connection):
    for answer in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        await refused(fetcher(Names(answer), allow=()), f"https://{HOST}/")
    assert no_connection == []


@pytest.mark.attack(83)
@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[::]/", "https://localhost/"),
        *("https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://0/"),
        *("https://[fe80::1%25lo]/", "https://[::1%lo]/"),
    ],
)
async def test_another_spelling_of_this_machine_is_not_connected_to(url, no_connection):
    """With the operating system's own resolver, which reads decimal, octal and hexadecimal addresses."""
    await refused(Outbound(), url)
    assert no_connection == []


@pytest.mark.attack(83)
@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://client.example/",
            "ftp://client.example/",
            "file:///etc/passwd",
            "gopher://client.example/",
            "data:,x",
        ),
        *(
            "https://user@client.example/",
            "https://user:password@client.example/",
            "https://client.example/#f",
            "//x/",
            "",
        ),
        *(
            "https://client.example:22/",
            "https://client.example:25/",
            "https://client.example:80/",
            "https://client.example:0/",
        ),
        *(
            "https://client.example:99999/",
            "https://client.example:x/",
            "https://",
            "https:///x",
            "https://[::1/",
            "javascript:1",
        ),
        *(
            "https://client.example\\@evil.example/",
            "https://client example/",
            "https://client.example/\r\nX: 1",
            "https://\u00e9/",
        ),
        *(
            "https://client.example/\x00",
            "https://client.example/" + "a" * 2000,
            "https://-client.example/",
            "https://a..%00b/",
        ),
        *(f"https://{'a' * 64}.example/", "https://client.example./", "https://.client.example/"),
    ],
)
async def test_an_address_of_another_kind_is_not_connected_to(url, no_connection):
    async def encode_as_the_system_does(host, _):
        host.encode("idna")
        return ["8.8.8.8"]

    await refused(fetcher(encode_as_the_system_does, allow=()), url)
    assert no_connection == []


@pytest.mark.attack(83)
async def test_a_name_that_changes_its_address_after_the_check_is_connected_to_at_the_checked_one():
    names = Names(["127.0.0.2"], ["127.0.0.3"])
    async with Server(address="127.0.0.2") as checked:
        rebound = await asyncio.start_server(lambda *_: pytest.fail("connected"), "127.0.0.3", checked.port)
        outbound = fetcher(names, allow=(ipaddress.ip_network("127.0.0.2/32"),))
        assert await outbound.fetch_json(f"http://{HOST}:{checked.port}/") == BODY
        assert names.asked == [(HOST, checked.port)], "resolved once"
        await refused(outbound, f"http://{HOST}:{checked.port}/")
        assert checked.connects == 1
        rebound.close()


async def test_a_destination_that_the_operator_allows_is_reached_by_plain_http_too():
    async with Server() as server:
        outbound = fetcher(allow=(Destination(HOST, server.port),))
        assert await outbound.fetch_json(f"http://{HOST}:{server.port}/") == BODY
        await refused(outbound, f"http://other.example:{server.port}/")
        assert server.connects == 1


async def test_an_issuer_on_loopback_reaches_loopback_and_another_does_not():
    async with Server() as server:
        url = f"http://localhost:{server.port}/"
        in_development = Outbound.from_settings(Settings(issuer="http://localhost:9000"))
        assert await in_development.fetch_json(url) == BODY
        await in_development.close()
        await refused(Outbound.from_settings(Settings(issuer="https://issuer.example")), url)
        assert server.connects == 1


def test_plain_http_may_be_used_where_the_settings_say_so():
    outbound = fetcher(allow=(Destination("rs.local", 8080), ipaddress.ip_network("10.0.0.0/8")))
    assert [outbound.may_use_http(url) for url in ("http://rs.local:8080/x", "http://10.1.2.3/")] == [True, True]
    others = ("http://rs.local/", "http://11.1.2.3/", "http://localhost/", "http://x.example/", "nonsense", "")
    assert [url for url in others if outbound.may_use_http(url)] == []
    assert fetcher(allow=(), loopback=True).may_use_http("http://localhost:9002/jwks")


# --- what is read -----------------------------------------------------------------------------------------------------


def reply(body=BODY, status="200 OK", media_type="application/json", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/jwk-set+json", "Application/JSON; charset=utf-8"]
)
async def test_json_media_types_are_read(media_type):
    async with Server(reply(media_type=media_type)) as server:
        outbound = fetcher()
        assert await outbound.fetch_json(f"http://{HOST}:{server.port}/") == BODY
        await outbound.close()


@pytest.mark.attack(83)
@pytest.mark.attack(84)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(status="301 Moved", media_type="application/json"), id="301"),
        pytest.param(reply(b"", "302 Found", "application/json", "Location: http://127.0.0.1:1/"), id="a redirect"),
        pytest.param(reply(status="201 Created"), id="201"),
        pytest.param(reply(status="206 Partial"), id="206"),
        pytest.param(reply(status="404 Not Found"), id="404"),
        pytest.param(reply(status="500 Error"), id="500"),
        pytest.param(reply(media_type="text/html"), id="HTML"),
        pytest.param(reply(media_type="application/jsonp"), id="almost JSON"),
        pytest.param(reply(media_type=""), id="no media type"),
        pytest.param(
            reply(zlib.compress(bytes(10**7)), "200 OK", "application/json", "Content-Encoding: deflate"), id="a bomb"
        ),
        pytest.param(reply(BODY, "200 OK", "application/json", "Content-Encoding: gzip"), id="gzip that is none"),
        pytest.param(reply(BODY, "200 OK", "application/json", "Content-Encoding: br"), id="brotli"),
        pytest.param(reply(b"x" * 65_537), id="a byte too many"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6 + b"\r\n\r\n", id="a megabyte of headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n" + BODY, id="cut short"
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", id="another protocol"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_any_other_answer_is_refused_in_the_same_words(answer):
    async with Server(answer) as server:
        await refused(fetcher(), f"http://{HOST}:{server.port}/")
        assert server.connects == 1


@pytest.mark.attack(84)
async def test_the_size_is_counted_while_it_comes_and_an_endless_answer_is_left():
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with Server(head, *[chunk] * 10_000) as server:
        await refused(fetcher(), f"http://{HOST}:{server.port}/")
    async with Server(reply(b"x" * 65_536)) as server:
        outbound = fetcher()
        assert len(await outbound.fetch_json(f"http://{HOST}:{server.port}/")) == 65_536
        await refused(outbound, f"http://{HOST}:{server.port}/", limit=5 * 1024)


@pytest.mark.attack(84)
async def test_a_server_that_drips_is_left_when_the_time_is_over(monkeypatch):
    monkeypatch.setattr(module, "TOTAL_SECONDS", 0.3)
    drops = [bytes([octet]) for octet in OK]
    async with Server(*drops, pause=0.05) as server:
        await refused(fetcher(), f"http://{HOST}:{server.port}/")


@pytest.mark.attack(84)
async def test_a_resolver_that_hangs_is_left_when_the_time_is_over(monkeypatch):
    monkeypatch.setattr(module, "TOTAL_SECONDS", 0.1)

    async def hang(*_):
        await asyncio.sleep(60)

    await refused(fetcher(hang), f"https://{HOST}/")


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.mark.attack(85)
async def test_an_address_that_failed_is_left_alone_for_a_while(monkeypatch):
    async with Server(reply(status="404 Not Found"), pause=0) as server:
        outbound = fetcher()
        for _ in range(20):
            await refused(outbound, f"http://{HOST}:{server.port}/")
        assert server.connects == 1
        monkeypatch.setattr(module, "FORGET_FAILURE_AFTER", 0)
        outbound._failed.clear()
        await refused(outbound, f"http://{HOST}:{server.port}/")
        assert server.connects == 2


@pytest.mark.attack(85)
async def test_one_host_is_asked_thirty_times_a_minute_whatever_the_path():
    async with Server() as server:
        outbound = fetcher()
        for number in range(30):
            await outbound.fetch_json(f"http://{HOST}:{server.port}/{number}")
        for number in range(30, 100):
            await refused(outbound, f"http://{HOST}:{server.port}/{number}")
        assert server.connects == 30
        begin, count = outbound._asked[HOST]
        outbound._asked[HOST] = (begin - 60, count)  # a minute goes by
        assert await outbound.fetch_json(f"http://{HOST}:{server.port}/100") == BODY
        await outbound.close()


async def test_what_is_remembered_has_an_end(monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 10)
    outbound = fetcher(Names([]))
    for number in range(50):
        await refused(outbound, f"https://h{number}.example/")
    assert (len(outbound._failed), len(outbound._asked)) == (10, 10)
