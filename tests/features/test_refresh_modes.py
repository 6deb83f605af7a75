"""Which of the tokens ever issued still work, in each mode and at each step, and what ends them (FEATURES S4, S5).

What is expected is read from the manual's table, so that neither is wrong alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from authserver.oauth.values import Lifetimes, RefreshMode, RefreshPolicy
from authserver.store.tables import Grants
from tests.features.test_refresh_attacks import AGED, refreshed
from tests.oauth.examples import WEB

MANUAL = Path(__file__).parents[2] / "docs" / "explanation" / "refresh-families.md"
ROW = re.compile(r"\| `(?P<mode>\w+)`(, `(?P<policy>[\w-]+)`)? \| (?P<first>the [^|]+) \| (?P<second>the [^|]+) \|")
TOKENS = ("first", "second", "third")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A client's mode, how often it has refreshed, the token that is presented then, and whether it works."""

    mode: RefreshMode
    policy: RefreshPolicy
    refreshes: int
    token: int
    works: bool

    def __str__(self) -> str:
        policy = f"-{self.policy}" if self.mode is RefreshMode.ROTATE else ""
        return f"{self.mode}{policy}: the {TOKENS[self.token]} after {self.refreshes}"


def read_cases():
    cases = []
    for row in ROW.finditer(MANUAL.read_text(encoding="utf-8")):
        mode = RefreshMode(row["mode"])
        for refreshes, cell in ((1, row["first"]), (2, row["second"])):
            tokens = range(refreshes + 1) if mode is not RefreshMode.REUSE else range(1)
            cases += [
                Case(
                    mode=mode,
                    policy=RefreshPolicy(row["policy"] or "lost-response"),
                    refreshes=refreshes,
                    token=token,
                    works=TOKENS[token] in cell,
                )
                for token in tokens
            ]
    return cases


CASES = read_cases()


def test_the_manual_has_a_row_for_each_mode_and_policy():
    assert {case.mode for case in CASES} == set(RefreshMode)
    assert {case.policy for case in CASES if case.mode is RefreshMode.ROTATE} == set(RefreshPolicy)
    assert len(CASES) == 4 * (2 + 3) + 2


async def with_mode(server, mode, policy=RefreshPolicy.LOST_RESPONSE, **lifetimes):
    client = replace(
        WEB,
        client_id="moody-client",
        refresh_token_mode=mode,
        refresh_token_policy=policy,
        lifetimes=Lifetimes(**lifetimes),
    )
    await server.add_clients(client)
    return client


@pytest.mark.product("S4", "S5")
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_tokens_that_the_manual_names_work_and_no_others(server, case):
    client = await with_mode(server, case.mode, case.policy)
    tokens = await server.code_flow(client)
    issued = [tokens["refresh_token"]]
    for _ in range(case.refreshes):
        issued.append(await refreshed(server, issued[-1], client))
        await server.set_back(Grants, rotated_at=AGED)
    if case.mode is RefreshMode.REUSE:
        assert len(set(issued)) == 1
    answer = await server.refresh(issued[case.token], client)
    is_alive = (await server.introspect(tokens["access_token"]))["active"]
    if case.works:
        assert answer.status_code == 200, answer.text
        assert is_alive
    else:
        assert (answer.json()["error"], server.refusal) == ("invalid_grant", "refresh_token_reused")
        assert not is_alive, "and everything else of the grant is dead"
        assert (await server.refresh(issued[-1], client)).json()["error"] == "invalid_grant"


@pytest.mark.product("S4")
@pytest.mark.parametrize("mode", RefreshMode)
async def test_use_moves_the_idle_lifetime_and_nothing_moves_the_absolute_one(server, mode):
    idle, absolute = timedelta(hours=1), timedelta(hours=24)
    client = await with_mode(server, mode, refresh_token_idle=idle, refresh_token_absolute=absolute)
    token = (await server.code_flow(client))["refresh_token"]
    [before] = await server.rows("SELECT expires_at FROM grants")
    for _ in range(3):
        await server.set_back(Grants, rotated_at=idle - timedelta(minutes=5))
        token = await refreshed(server, token, client)
    [after] = await server.rows("SELECT expires_at FROM grants")
    assert after.expires_at == before.expires_at
    await server.set_back(Grants, expires_at=timedelta())
    assert (await server.refresh(token, client)).json()["error"] == "invalid_grant"
    assert server.refusal == "refresh_token_expired"


@pytest.mark.product("S4")
@pytest.mark.parametrize("mode", RefreshMode)
async def test_a_token_that_lay_idle_for_too_long_is_dead(server, mode):
    idle = timedelta(hours=1)
    client = await with_mode(server, mode, refresh_token_idle=idle)
    token = (await server.code_flow(client))["refresh_token"]
    await server.set_back(Grants, rotated_at=idle)
    assert (await server.refresh(token, client)).json()["error"] == "invalid_grant"
    assert server.refusal == "refresh_token_expired"


@pytest.mark.product("S4")
async def test_the_24_hours_without_rotation_of_the_earlier_projects(server):
    day = timedelta(hours=24)
    client = await with_mode(server, RefreshMode.REUSE, refresh_token_idle=day, refresh_token_absolute=day)
    token = (await server.code_flow(client))["refresh_token"]
    for _ in range(3):
        assert await refreshed(server, token, client) == token
    [grant] = await server.rows("SELECT created_at, expires_at FROM grants")
    begun, over = (datetime.fromisoformat(str(moment)) for moment in grant)
    assert over - begun == day, "whatever was refreshed"
