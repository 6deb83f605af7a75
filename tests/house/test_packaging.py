"""What is built: a wheel that is the server and nothing else, a source archive from which it can be tested."""

import email.parser
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

from tests.architecture.source import ROOT, python_files, relative

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built):
    with zipfile.ZipFile(built / f"authserver-{VERSION}-py3-none-any.whl") as archive:
        yield archive


@pytest.fixture(scope="module")
def sdist_names(built):
    with tarfile.open(built / f"authserver-{VERSION}.tar.gz") as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_the_wheel_holds_every_module_and_only_the_server(wheel):
    names = set(wheel.namelist())
    assert {name.split("/")[0] for name in names} == {"authserver", f"authserver-{VERSION}.dist-info"}
    assert {relative(path) for path in python_files("authserver")} <= names


def test_the_wheel_holds_the_pages_and_the_types(wheel):
    names = set(wheel.namelist())
    resources = [path for path in (ROOT / "authserver/ui").rglob("*") if path.is_file()]
    assert {relative(path) for path in resources if "__pycache__" not in path.parts} <= names
    assert "authserver/py.typed" in names


def test_the_wheel_says_its_licence_and_its_command(wheel):
    metadata = email.parser.Parser().parsestr(wheel.read(f"authserver-{VERSION}.dist-info/METADATA").decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    entry_points = wheel.read(f"authserver-{VERSION}.dist-info/entry_points.txt").decode()
    assert "authserver = authserver.cli:main" in entry_points


def test_the_source_archive_can_be_installed_and_tested(sdist_names):
    assert {"pyproject.toml", "Makefile", "LICENSE", "README.md", "conftest.py", "tests/conftest.py"} <= sdist_names
    assert "requirements/test.txt" in sdist_names


def test_the_source_archive_holds_no_key_and_no_state(sdist_names):
    assert [name for name in sdist_names if name.startswith("keys/")] == ["keys/README.md"]
    assert [name for name in sdist_names if name.startswith((".venv", "var/", ".env")) or ".sqlite3" in name] == []
