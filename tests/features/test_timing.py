"""How long an answer takes tells nobody who has an account, or is invited to one (SECURITY row 104, ASVS 6.3.8).

Known and unknown are asked in turn, so that whatever else the machine does slows down both. Compared is how often one
is slower than the other: half the time, where they cannot be told apart.
"""

import time

import pytest

from authserver.operations import invitations
from authserver.steps import even_time
from tests.oauth.examples import USER
from tests.server import ADDRESS

REAL_SECONDS = even_time.EVEN_SECONDS  # read before a fixture makes it nothing
INVITED = "invited@example.org"
ROUNDS = 80
EVEN = 0.5
TOLERANCE = 0.17  # four standard deviations of what chance alone does to eighty pairs


async def ask(server, path, form, number):
    """Send the form from a browser and a network of its own; return how long the answer took, in seconds."""
    browser = server.browser(f"198.51.100.{number % 200}" if number % 2 else ADDRESS)
    page = await browser.get(f"{server.issuer}{path}")
    began = time.perf_counter()
    answer = await browser.submit(page, **form)
    took = time.perf_counter() - began
    assert answer.status_code == 303, answer.text
    return took


def share_slower(one, other):
    """The Mann-Whitney statistic as a share: how often a time of one is longer than a time of the other."""
    wins = sum((a > b) + (a == b) / 2 for a in one for b in other)
    return wins / (len(one) * len(other))


@pytest.fixture
async def patient(start_server, monkeypatch, request):
    """A server that counts nobody's tries, so that all do the same work, and that answers as evenly as a real one."""
    server = await start_server(sign_up=request.param, address_limit_scale=1_000_000)
    monkeypatch.setattr(even_time, "EVEN_SECONDS", REAL_SECONDS)
    return server


@pytest.mark.attack(104)
@pytest.mark.parametrize(
    ("patient", "path", "email"),
    [
        ("open", "/signup", USER.email),
        ("invite", "/signup", USER.email),
        ("invite", "/signup", INVITED),
        ("open", "/forgot", USER.email),
    ],
    indirect=["patient"],
)
async def test_known_and_unknown_addresses_take_equally_long(patient, path, email):
    def form(email):
        more = {"new-password": "marmalade on the moon"} if path == "/signup" else {}
        return {"email": email, **more}

    if email == INVITED:
        await invitations.create(patient.operator, INVITED)
    for number in range(5):  # the first ones fill caches
        await ask(patient, path, form(f"first{number}@example.org"), number)
    known, unknown = [], []
    for number in range(ROUNDS):
        # the mailbox that is known is the same one each time; how often it was asked for must not show either
        await patient.execute("DELETE FROM attempts")
        pair = [(known, email), (unknown, f"nobody{number}@example.org")]
        for times, asked in pair if number % 2 else reversed(pair):
            times.append(await ask(patient, path, form(asked), number))
    assert abs(share_slower(known, unknown) - EVEN) < TOLERANCE
