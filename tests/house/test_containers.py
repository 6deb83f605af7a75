"""Dockerfile and compose file, where no Docker engine runs: they are read, and what they name exists."""

import json
import re
import shlex
import tomllib

import pytest
import yaml

from tests.architecture.source import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = sorted(set(SERVICES) - {"db"})
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def stage(name):
    return re.split(r"^FROM .* AS ", DOCKERFILE, flags=re.MULTILINE)[
        1 + re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE).index(name)
    ]


def instructions(name):
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def test_everything_is_installed_from_hashed_requirements():
    installs = [line for line in instructions("RUN") if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)


def test_the_image_runs_as_its_own_user_and_checks_its_health():
    assert "USER 10001:10001" in stage("base")
    assert 'CMD ["authserver", "healthcheck"]' in stage("server")
    assert json.loads(re.search(r"^ENTRYPOINT (.+)$", stage("server"), re.MULTILINE)[1]) == ["authserver"]
    assert json.loads(re.search(r"^CMD (.+)$", stage("server"), re.MULTILINE)[1])[0] == "serve"


def test_the_default_image_is_the_server():
    assert instructions("FROM")[-1].endswith("AS server")


def test_every_folder_that_is_copied_into_the_image_is_let_in_and_exists():
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    for line in instructions("COPY"):
        words = shlex.split(line)
        if words[0].startswith("--from"):
            continue
        for source in words[:-1]:
            assert source.split("/")[0] in allowed
            assert (ROOT / source).exists()


def test_nothing_secret_is_let_into_the_image():
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert "*" in ignore
    assert not {"!keys", "!var", "!.env", "!.git"} & set(ignore)


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_containers_is_locked_down(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["image"].endswith(f":{VERSION}")
    assert service["build"]["target"] in re.findall(r" AS (\S+)$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_waits_for_what_it_needs(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed == "migrate" else "service_healthy"
        assert how == {"condition": wanted}
        assert wanted != "service_healthy" or "healthcheck" in SERVICES[needed]


def test_secrets_are_files_and_never_values():
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|SECRET", variable) or variable.endswith("_FILE")
            assert "://authserver:" not in value
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert all(secret["file"].startswith("keys/") for secret in COMPOSE["secrets"].values())


def test_ports_are_open_on_loopback_only():
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_setting_that_the_compose_file_and_the_image_name_exists():
    from authserver.settings import describe  # noqa: PLC0415 - the rest is read without the server

    known = {setting.name for setting in describe()} | {f"{s.name}_FILE" for s in describe() if s.is_secret}
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8") + DOCKERFILE
    assert set(re.findall(r"AUTHSERVER_[A-Z_]+", text)) <= known


def test_every_command_of_our_containers_exists():
    from authserver.cli.root import NOUNS  # noqa: PLC0415 - the rest is read without the server

    for name in OURS:
        first = SERVICES[name]["command"][0]
        assert first == "python" or first in NOUNS
        if first == "python":
            assert (ROOT / "clients" / SERVICES[name]["command"][1]).exists()
