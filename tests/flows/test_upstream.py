"""Sign-in through a second instance of this very server, over real HTTP: both are set up by the command line.

The instance that people know (`fleet`) runs on each database; the one that sends its people there beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.browser_client import Browser
from tests.features.account_pages import hidden, main_text
from tests.flows.fleet import ANSWER_SECONDS, CALLBACK, PASSWORD, USERNAME, Fleet, running_fleet, sign_in
from tests.oauth.examples import CHALLENGE, VERIFIER
from tests.ports import free_ports
from tests.server import answer_of, basic
from tests.upstream import go

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.timeout(300)  # two installations are set up first
APP = {"redirect_uris": [CALLBACK], "scope": "openid email"}


@dataclass(frozen=True, kw_only=True)
class Two:
    """The instance people sign in to, the one they come from, and an app of the former."""

    here: Fleet
    there: Fleet
    app: dict[str, str]

    def request(self) -> str:
        """An authorization request of the app."""
        query = {
            "response_type": "code",
            "client_id": self.app["client_id"],
            "redirect_uri": CALLBACK,
            "scope": "openid email",
            "state": "a-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return str(httpx2.URL(f"{self.here.issuer}/authorize", params=query))


@pytest.fixture(scope="module")
def two(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """Have each instance know the other, as the manual says."""
    folder = tmp_path_factory.mktemp("here")
    url = f"sqlite:///{folder / 'here.sqlite3'}"
    port = urlsplit(fleet.issuer).port
    with running_fleet(url, folder, 1, outbound_allow=f"localhost:{port},127.0.0.0/8,::1/128") as here:
        callback = f"{here.issuer}/upstream/partner/callback"
        client = fleet.create_client(
            "Here", "web", {"redirect_uris": [callback], "scope": "openid email profile"}, "--first-party"
        )
        here.run(
            "providers", "add", "partner", "--issuer", fleet.issuer, "--label", "Partner", "--client-id",
            client["client_id"], "--client-secret-stdin", "--allow-sign-up", "--trust-email",
            stdin=f"{client['client_secret']}\n",
        )  # fmt: skip
        assert here.run("providers", "check", "partner")["token_endpoint"] == f"{fleet.issuer}/token"
        app = here.create_client("App", "web", APP, "--first-party")
        yield Two(here=here, there=fleet, app=app)


@dataclass(frozen=True, kw_only=True)
class Person:
    """One browser with its cookies for each of the two."""

    here: Browser
    there: Browser

    async def through(self, page: httpx2.Response) -> httpx2.Response:
        """Press the button, sign in at the other instance, and be sent back."""
        return await self.here.open(await sign_in(self.there, await go(self.here, page)))


@pytest.fixture
async def person(two: Two) -> AsyncIterator[Person]:
    async with httpx2.AsyncClient(timeout=ANSWER_SECONDS) as one, httpx2.AsyncClient(timeout=ANSWER_SECONDS) as other:
        yield Person(here=Browser(one, two.here.issuer), there=Browser(other, two.there.issuer))


@pytest.mark.attack(114)
async def test_an_account_here_is_linked_by_its_owner_only_and_then_the_app_s_sign_in_goes_through(
    two: Two, person: Person
) -> None:
    """Ann has an account here with the same address, which the other instance has verified: that links nothing."""
    before = two.here.run("providers", "show", "partner")["linked"]
    refused = await person.through(await person.here.open(two.request()))
    assert refused.status_code == 403
    assert "There is an account with your e-mail address here" in main_text(refused)
    back = await person.here.get(two.here.issuer + refused.text.split('role="button" href="')[1].split('"')[0])
    assert back.url.path.startswith("/login/")
    page = await person.here.get(f"{two.here.issuer}/login")
    await person.here.submit(page, username=USERNAME, password=PASSWORD)
    page = await person.here.get(f"{two.here.issuer}/account/connections")
    away = await person.here.post(str(page.url), hidden(page) | {"decision": "link", "provider": "partner"})
    page = await person.here.open(await sign_in(person.there, away.headers["location"]))
    assert "The account is linked." in main_text(page)

    async with httpx2.AsyncClient(timeout=ANSWER_SECONDS) as fresh:
        other = Person(here=Browser(fresh, two.here.issuer), there=person.there)
        done = await other.through(await other.here.open(two.request()))
        answer = answer_of(done)
        assert (answer["state"], answer["iss"]) == ("a-state", two.here.issuer)
        tokens = await fresh.post(
            f"{two.here.issuer}/token",
            headers={"authorization": basic(two.app["client_id"], two.app["client_secret"])},
            data={
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": CALLBACK,
                "code_verifier": VERIFIER,
            },
        )
        assert tokens.status_code == 200, tokens.text
    assert two.here.run("providers", "show", "partner")["linked"] == before + 1


async def test_somebody_who_is_only_known_there_gets_an_account_here(two: Two, person: Person) -> None:
    name = f"mona-{free_ports(1)[0]}"
    two.there.run(
        "users", "create", name, "--email", f"{name}@example.org", "--email-verified", "--password-stdin",
        stdin=f"{PASSWORD}\n",
    )  # fmt: skip
    page = await person.there.get(f"{two.there.issuer}/login")
    await person.there.submit(page, username=name, password=PASSWORD)
    done = await person.through(await person.here.open(two.request()))
    assert "code" in answer_of(done)
    user = two.here.run("users", "show", f"{name}@example.org")
    assert (user["email_verified"], user["has_password"]) == (True, False)
