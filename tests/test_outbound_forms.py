"""Forms to other hosts: to the same addresses as documents come from, and as soon given up (SECURITY 83, 96)."""

from __future__ import annotations

import asyncio

import pytest

from authserver import outbound as module
from authserver.outbound import OutboundError
from authserver.phases import transaction_open
from tests.test_outbound import HOST, Names, Server, fetcher


@pytest.mark.parametrize("status", [200, 204, 302, 400, 500])
async def test_a_form_is_posted_and_the_status_is_the_answer_whichever_it_is(status):
    answer = f"HTTP/1.1 {status} x\r\nLocation: https://{HOST}/\r\nContent-Length: 0\r\n\r\n".encode()
    async with Server(answer) as server:
        outbound = fetcher()
        assert await outbound.post_form(f"http://{HOST}:{server.port}/out?a=b", {"logout_token": "a.b-c_d"}) == status
        await outbound.close()
        assert len(server.requests) == 1
        assert server.requests[0].startswith(b"POST /out?a=b HTTP/1.1\r\n")
        assert server.header("Host") == [f"{HOST}:{server.port}"]
        assert server.header("Content-Type") == ["application/x-www-form-urlencoded"]
        assert server.header("Content-Length") == [str(len("logout_token=a.b-c_d"))]


@pytest.mark.attack(83)
@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "https://169.254.169.254/", "https://[::ffff:127.0.0.1]/", "ftp://x/"]
)
async def test_a_form_goes_where_documents_may_come_from_and_nowhere_else(url):
    outbound = fetcher(Names([url.split("/")[2].strip("[]")]), allow=())
    with pytest.raises(OutboundError, match="no usable answer") as caught:
        await outbound.post_form(url, {})
    assert caught.value.cause
    await outbound.close()


@pytest.mark.attack(96)
async def test_whoever_does_not_answer_a_form_is_given_up_after_three_seconds_and_asked_again_at_once(monkeypatch):
    assert module.TOTAL_SECONDS == 3
    monkeypatch.setattr(module, "TOTAL_SECONDS", 0.3)
    async with Server(b"HTTP/1.1 200", pause=10) as server:
        outbound = fetcher()
        began = asyncio.get_running_loop().time()
        for _ in range(2):
            with pytest.raises(OutboundError) as caught:
                await outbound.post_form(f"http://{HOST}:{server.port}/", {})
            assert caught.value.cause == "TimeoutError"
        assert 0.6 <= asyncio.get_running_loop().time() - began < 8, "long before the server has had its pause"
        assert server.connects == 2
        await outbound.close()


async def test_a_form_is_never_posted_inside_a_transaction():
    with transaction_open(), pytest.raises(RuntimeError):
        await fetcher().post_form(f"http://{HOST}/", {})
