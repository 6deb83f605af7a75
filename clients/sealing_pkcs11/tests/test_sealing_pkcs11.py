"""The plug-in against a real token: SoftHSM. The server is started as operators start it, in its own process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]
MODULES = [
    path
    for path in (
        Path("/usr/lib/softhsm/libsofthsm2.so"),
        Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
        Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
        Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
    )
    if path.exists()
]
pytestmark = [
    pytest.mark.skipif(
        not MODULES or not shutil.which("softhsm2-util"), reason="SoftHSM is missing: apt install softhsm2"
    ),
    pytest.mark.skipif(
        not any((Path(entry) / "pkcs11").is_dir() for entry in sys.path),
        reason="python-pkcs11 is missing: pip install python-pkcs11",
    ),
]


@pytest.fixture
def token(tmp_path):
    """The environment of a new token, with the plug-in installed as a folder on the path."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    (tmp_path / "pin").write_text("1234\n")
    installed = tmp_path / "site" / "authserver_sealing_pkcs11-0.1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: authserver-sealing-pkcs11\nVersion: 0.1.0\n")
    (installed / "entry_points.txt").write_text("[authserver.sealing_key]\npkcs11 = sealing_pkcs11:TokenWrapper\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(FOLDER), str(tmp_path / "site"), str(FOLDER.parents[1])]),
        "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"),
        "PKCS11_MODULE": str(MODULES[0]),
        "PKCS11_TOKEN": "issuer",
        "PKCS11_KEY": "authserver",
        "PKCS11_PIN_FILE": str(tmp_path / "pin"),
        "AUTHSERVER_ISSUER": "https://id.example.org",
        "AUTHSERVER_SEALING_KEY_PLUGIN": "pkcs11",
    }
    make = ["softhsm2-util", "--init-token", "--free", "--label", "issuer", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(make, env=environment, check=True, capture_output=True)
    ran = run(tmp_path, environment, "-m", "sealing_pkcs11")
    assert (ran.returncode, ran.stdout) == (0, "made\n"), ran.stderr
    return environment


def run(folder, environment, *arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def authserver(folder, environment, *arguments):
    return run(folder, environment, "-m", "authserver", *arguments)


def test_an_installation_lives_on_a_token_and_not_without_it(token, tmp_path):
    made = authserver(tmp_path, token, "init")
    assert made.returncode == 0, made.stderr
    line = (tmp_path / "keys/sealing.key").read_text()
    assert line.split(":")[1] == "pkcs11"
    assert authserver(tmp_path, token, "keys", "rotate").returncode == 0
    for change, told in (
        ({"PKCS11_PIN_FILE": "/dev/null"}, "pkcs11"),
        ({"PKCS11_TOKEN": "another"}, "NoSuchToken"),
        ({"PKCS11_KEY": "another"}, "NoSuchKey"),
        ({"PKCS11_MODULE": ""}, "PKCS11_MODULE is not set"),
        ({"PYTHONPATH": token["PYTHONPATH"].replace(str(tmp_path / "site"), "")}, "not installed"),
    ):
        refused = authserver(tmp_path, token | change, "serve", "--port", "0")
        assert refused.returncode == 1, refused.stdout
        assert told in refused.stderr
        assert "Traceback" not in refused.stderr
    assert (tmp_path / "keys/sealing.key").read_text() == line


def test_an_installation_with_a_plain_key_moves_to_the_token(token, tmp_path):
    plain = {name: value for name, value in token.items() if name != "AUTHSERVER_SEALING_KEY_PLUGIN"}
    assert authserver(tmp_path, plain, "init").returncode == 0
    file = tmp_path / "keys/sealing.key"
    assert authserver(tmp_path, token, "keys", "rewrap", "--add").returncode == 0
    moved = authserver(tmp_path, token, "keys", "rewrap")
    assert moved.returncode == 0, moved.stderr
    file.write_text(file.read_text().splitlines()[0] + "\n")
    assert ":pkcs11:" in file.read_text()
    assert authserver(tmp_path, token, "keys", "rotate").returncode == 0


def test_the_token_makes_its_key_once_and_a_worker_after_a_fork_reaches_it(token, tmp_path):
    again = run(tmp_path, token, "-m", "sealing_pkcs11")
    assert again.returncode == 1
    assert "FileExistsError" in again.stderr
    program = """if True:
        import os, sys
        from sealing_pkcs11 import TokenWrapper
        wrapped = TokenWrapper().wrap(bytes(32))
        assert wrapped != TokenWrapper().wrap(bytes(32)) and len(wrapped) == 60
        child = os.fork()
        if child == 0:
            os._exit(0 if TokenWrapper().unwrap(wrapped) == bytes(32) else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        try:
            TokenWrapper().unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
        except Exception:
            sys.exit(0)
        sys.exit(4)
    """
    ran = run(tmp_path, token, "-c", program)
    assert ran.returncode == 0, ran.stderr
