"""The README's programs, run as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

README = (Path(__file__).parents[1] / "README.md").read_text()
AUDIENCE = "https://notes.example.com"


def programs(heading):
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize("framework", ["FastAPI", "Starlette", "Any other ASGI application"])
def test_the_lines_for_each_framework_guard_an_endpoint(framework, issuer):
    [program] = programs(framework)
    names: dict[str, object] = {}
    exec(program.replace("https://login.example.com", issuer.url), names)  # noqa: S102  # that is the test
    issuer._clock = names["verify"]._clock
    client = TestClient(names["app"])
    answers = [
        client.get("/notes", headers={"authorization": f"Bearer {issuer.token(AUDIENCE, scope=scope)}"})
        for scope in ("notes.read", "notes.write")
    ]
    assert [answer.status_code for answer in [*answers, client.get("/notes")]] == [200, 403, 401]
    assert answers[0].json() == {"owner": "alice"}


def test_the_lines_for_tests_hold():
    [program] = programs("In your tests")
    exec(program, {})  # noqa: S102  # that is the test


def test_no_framework_is_needed_to_verify_a_token():
    program = "import sys; sys.modules |= {'starlette': None, 'fastapi': None}; import authserver_verifier.asgi"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
