"""The machine sample, in Python and by curl, against our issuer and the sample API."""

import os
import shutil
import subprocess

import httpx2
import pytest

from tests.flows.fleet import running_fleet
from tests.samples.process import CLIENTS, Sample, python

pytestmark = pytest.mark.timeout(300)  # programs start one after the other


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An issuer, the sample API, and a client that may call it; what the environment says of them."""
    folder = tmp_path_factory.mktemp("machine")
    with running_fleet(f"sqlite:///{folder / 'issuer.sqlite3'}", folder, 1) as fleet:
        api = Sample(python("api_starlette/app.py"), fleet.issuer)
        try:
            api.wait()
            fleet.run("resources", "create", api.url, "--name", "Sample", "--scope", "api:read")
            client = fleet.create_client("machine", "service", {"scope": "api:read"})
            yield {
                "PATH": os.environ["PATH"],
                "ISSUER": fleet.issuer,
                "API": api.url,
                "CLIENT_ID": client["client_id"],
                "CLIENT_SECRET": client["client_secret"],
            }
        finally:
            api.stop()


@pytest.fixture(params=["python", "curl"])
def command(request):
    if request.param == "python":
        return python("machine/machine.py")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return [str(CLIENTS / "machine" / "machine.sh")]


def test_the_machine_calls_the_api_in_its_own_name(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert environment["CLIENT_ID"] in done.stdout


def test_a_wrong_secret_is_an_error_that_ends_the_program_and_is_not_printed(command, environment):
    wrong = environment | {"CLIENT_SECRET": "not-this-one"}
    done = subprocess.run(command, env=wrong, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "not-this-one" not in done.stdout + done.stderr
    assert "401" in done.stderr


def test_the_program_is_twenty_lines_long():
    lines = (CLIENTS / "machine" / "machine.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


def test_a_token_for_this_api_is_no_token_for_another(environment):
    form = {"grant_type": "client_credentials", "resource": "https://notes.example"}
    credentials = environment["CLIENT_ID"], environment["CLIENT_SECRET"]
    answer = httpx2.post(f"{environment['ISSUER']}/token", data=form, auth=credentials, trust_env=False)
    assert answer.status_code == 400
