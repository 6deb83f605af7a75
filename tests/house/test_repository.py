"""What is committed: no secret, no path and no host of the machine it was written on."""

import re

from tests.architecture.source import ROOT, relative, tracked_files

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|tmp/brief|tmp/probe|opt/wheels)(?:/|\b)")
REGISTRY_HOSTS = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|pythonhosted\.org|pypi\.org/simple")
KEY_BLOCK = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*\n[A-Za-z0-9+/=]{40}")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
# these name what they forbid, or hold vectors that an RFC prints
EXEMPT = {"tests/house/test_repository.py"}
VENDORED = "authserver/ui/static/vendor/"  # unchanged copies, held to the hashes beside them


def texts():
    for path in tracked_files():
        if relative(path) in EXEMPT or relative(path).startswith(VENDORED):
            continue
        try:
            yield relative(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_no_file_names_the_machine_it_was_written_on():
    assert [(name, found.group()) for name, text in texts() for found in MACHINE_PATHS.finditer(text)] == []


def test_no_requirement_names_a_registry():
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text()
        assert not REGISTRY_HOSTS.search(text), path.name
        assert "file:" not in text, path.name


def test_every_requirement_is_pinned_and_hashed():
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        entries = re.split(r"\n(?=\S)", path.read_text().strip())
        assert entries
        for entry in entries:
            assert re.match(r"^[a-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), f"{path.name}: {entry[:60]}"
            assert HASH.search(entry), f"{path.name}: {entry[:60]}"


def test_a_larger_set_pins_what_the_smaller_one_pins():
    pins = {
        path.stem: set(re.findall(r"^[a-z0-9._-]+==\S+", path.read_text(), re.MULTILINE))
        for path in (ROOT / "requirements").glob("*.txt")
    }
    assert pins["runtime"] <= pins["test"] <= pins["browser"]


def test_the_only_tracked_file_in_keys_is_its_readme():
    assert [relative(path) for path in tracked_files() if relative(path).startswith("keys/")] == ["keys/README.md"]


def test_no_private_key_is_committed():
    assert [name for name, text in texts() if KEY_BLOCK.search(text) and not name.startswith("tests/")] == []


def test_python_files_have_no_unfinished_work():
    markers = re.compile(r"#\s*(?:TODO|FIXME|XXX|HACK)\b")
    assert [name for name, text in texts() if name.endswith(".py") and markers.search(text)] == []
