"""Answers about an address take as long whether it is known here or not (SECURITY row 104)."""

from __future__ import annotations

import asyncio

import pytest

from authserver.phases import transaction_open
from authserver.steps import even_time
from tests.features.account_pages import send, sign_in
from tests.oauth.examples import USER
from tests.server import OTHER_USER

LONG = 0.4  # seconds: far more than the work takes, so that waiting for it cannot be missed
PHRASE = "marmalade on the moon"


@pytest.fixture
async def opened(start_server, monkeypatch, request):
    """A server at which anybody, or a parameter's, may sign up, and which takes its time."""
    server = await start_server(sign_up=getattr(request, "param", "open"))
    monkeypatch.setattr(even_time, "EVEN_SECONDS", LONG)
    return server


async def seconds_of(work):
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await work
    assert answer.status_code == 303, answer.text
    return loop.time() - began


@pytest.mark.attack(104)
@pytest.mark.parametrize("email", [USER.email, "nobody@example.org"], ids=["known", "unknown"])
@pytest.mark.parametrize(
    ("opened", "path"),
    [("open", "signup"), ("invite", "signup"), ("open", "login-code"), ("open", "forgot")],
    indirect=["opened"],
)
async def test_asking_for_a_code_takes_its_time_for_every_address(opened, path, email):
    browser = opened.browser()
    page = await browser.get(f"{opened.issuer}/{path}")
    assert await seconds_of(browser.submit(page, **{"email": email, "new-password": PHRASE})) >= LONG


@pytest.mark.attack(104)
@pytest.mark.parametrize("email", [OTHER_USER.email, "nobody@example.org"], ids=["known", "unknown"])
async def test_naming_a_new_address_takes_its_time_for_every_address(opened, email):
    browser = await sign_in(opened)
    page = await browser.get(f"{opened.issuer}/account/email")
    assert await seconds_of(send(browser, page, email=email)) >= LONG


async def test_an_error_takes_its_time_too(monkeypatch):
    monkeypatch.setattr(even_time, "EVEN_SECONDS", 0.05)
    began = asyncio.get_running_loop().time()
    with pytest.raises(KeyError):
        async with even_time.even_time():
            raise KeyError
    assert asyncio.get_running_loop().time() - began >= 0.05


async def test_waiting_inside_a_transaction_is_a_bug():
    with transaction_open(), pytest.raises(RuntimeError, match="transaction is open"):
        async with even_time.even_time():
            pass
