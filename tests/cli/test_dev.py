"""`authserver dev`: ready in one command, its printed commands work, nothing is left behind."""

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, descendants_of
from tests.ports import free_ports

SHELL = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


def options_for(ports):
    return [
        word
        for option, port in zip(("--port", "--api-port", "--web-port"), ports, strict=True)
        for word in (option, str(port))
    ]


def read_block(process):
    """Return the lines up to the one that says it is ready."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith("Ready in "):
            return lines
    pytest.fail(f"dev ended before it was ready: {lines} {process.stderr.read()}")


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_dev_prints_where_everything_is_and_the_commands_work_when_pasted(start, here):
    ports = issuer, api, web = free_ports(3)
    process = start("dev", *options_for(ports))
    lines = read_block(process)
    block = "\n".join(lines)
    place = rf"SQLite var/dev-{issuer}\.sqlite3 · mail stays in the inbox page"
    assert re.fullmatch(rf"authserver \S+ · dev mode · {place}", lines[0])
    assert f"  Issuer       http://localhost:{issuer}" in lines
    assert "  Demo user    ann@example.org  /  correct horse ann" in lines
    assert f"  Inbox        http://localhost:{issuer}/dev/inbox" in lines
    assert f"Sample app   http://localhost:{web}      Sample API  http://localhost:{api}" in block
    missing = next(line for line in lines if "Not for production yet" in line)
    assert int(re.search(r"\((\d+)\)", missing)[1]) == missing.count(",") + 1
    assert re.fullmatch(r"Ready in \d+\.\d s\. Ctrl-C stops all of it\.", lines[-1])
    token, call, own_app = re.search(
        r"A first token +(.*?)\n +The API with it +(.*?)\n +Your own app +(.*?)\n", block, re.DOTALL
    ).groups()
    done = subprocess.run(["bash", "-c", f"{token}\n{call}"], capture_output=True, text=True, check=True, timeout=20)
    jwt, answer = done.stdout.split("\n", 1)
    assert jwt.count(".") == 2
    assert json.loads(answer)["access"] == "full"
    made = subprocess.run(
        ["bash", "-c", own_app], capture_output=True, text=True, check=True, timeout=20, cwd=here, env=SHELL
    )
    assert "client_secret\t" in made.stdout
    assert listens(web)
    stop(process, signal.SIGINT, 130, ports)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_stopping_dev_leaves_no_process_and_no_listener(start, number, code):
    ports = free_ports(3)
    process = start("dev", *options_for(ports))
    read_block(process)
    assert len(descendants_of(process.pid)) >= 2
    stop(process, number, code, ports)


def stop(process, number, code, ports):
    family = descendants_of(process.pid)
    process.send_signal(number)
    assert process.wait(timeout=15) == code
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)
    assert not any(listens(port) for port in ports)


def end(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0


def place_of(port):
    return {
        "AUTHSERVER_ISSUER": f"http://localhost:{port}",
        "AUTHSERVER_DATABASE_URL": f"sqlite:///var/dev-{port}.sqlite3",
        "AUTHSERVER_SEALING_KEY_FILE": f"var/dev-{port}-sealing.key",
    }


def test_a_second_start_keeps_the_data_and_follows_the_samples_ports(start, here):
    issuer, *first = free_ports(3)
    second = free_ports(2)
    process = start("dev", "--no-samples", *options_for([issuer, *first]))
    read_block(process)
    made = start("clients", "create", "--name", "Mine", "--type", "service", "--quiet", **place_of(issuer))
    out, err = made.communicate(timeout=20)
    assert made.returncode == 0, err
    end(process)
    process = start("dev", "--no-samples", *options_for([issuer, *second]))
    read_block(process)
    shown = start("clients", "show", out.split()[0], **place_of(issuer))
    assert shown.wait(timeout=20) == 0, "what was made by hand is still there"
    web = start("clients", "show", "demo-web", **place_of(issuer))
    assert f"http://localhost:{second[1]}/callback" in web.communicate(timeout=20)[0]
    listed = start("resources", "list", "--quiet", **place_of(issuer))
    assert listed.communicate(timeout=20)[0] == f"http://localhost:{second[0]}\n"
    end(process)
    assert not (here / "keys").exists(), "dev never touches keys/"


def test_a_server_beside_dev_at_its_database_is_refused(start, here):
    ports = free_ports(3)
    process = start("dev", "--no-samples", *options_for(ports))
    read_block(process)
    serve = start("serve", "--port", str(free_ports(1)[0]), **place_of(ports[0]))
    _, err = serve.communicate(timeout=20)
    assert serve.returncode == 1
    assert "PostgreSQL" in err
    end(process)


def test_a_busy_port_is_one_line_that_names_who_has_it(start, here):
    issuer, api, web = free_ports(3)
    with socket.create_server(("127.0.0.1", api)):
        process = start("dev", *options_for((issuer, api, web)))
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    who = rf"process {os.getpid()} \(\S+\)"
    assert re.fullmatch(rf"Error: Port {api} is taken by {who}\. Try: authserver dev --api-port {api + 100}\n", err)
    assert not (here / "var").exists(), "nothing is made before the ports are known to be free"


def test_dev_does_not_read_which_issuer_database_or_key_the_environment_means(start, here):
    ports = free_ports(3)
    process = start(
        "dev",
        "--no-samples",
        *options_for(ports),
        AUTHSERVER_ISSUER="https://id.example.org",
        AUTHSERVER_DATABASE_URL=f"sqlite:///{here}/production.sqlite3",
        AUTHSERVER_SEALING_KEY_FILE=str(here / "production.key"),
    )
    assert f"  Issuer       http://localhost:{ports[0]}" in read_block(process)
    end(process)
    assert not list(here.glob("production*"))
