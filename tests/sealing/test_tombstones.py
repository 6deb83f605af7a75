"""The tombstones beside the sealing key: a key that was revoked stays so, whatever the database has forgotten."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authserver.sealing.epoch import EpochFile
from authserver.sealing.tombstones import Tombstones, TombstonesError, bury
from tests.jose.keys import NOW, row


@pytest.fixture
def tombstones(tmp_path):
    return Tombstones.beside(EpochFile.beside(tmp_path / "sealing.key"))


def test_the_file_stands_beside_the_epoch_file():
    assert Tombstones.beside(EpochFile.beside(Path("keys/sealing.key"))).path == Path("keys/sealing.key.revoked")
    assert Tombstones.beside(EpochFile(Path("/var/lib/authserver/epoch"))).path == Path(
        "/var/lib/authserver/epoch.revoked"
    )


def test_what_was_added_is_read_again_and_only_added_once(tombstones):
    assert tombstones.read() == frozenset()
    assert tombstones.add(["a", "b"]) is None
    assert tombstones.add(["b", "c"]) is None
    assert tombstones.read() == {"a", "b", "c"}
    assert tombstones.path.read_text().split() == ["a", "b", "c"]
    assert stat.S_IMODE(tombstones.path.stat().st_mode) == 0o600


def test_processes_that_add_at_once_lose_nothing(tombstones):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: tombstones.add([f"kid-{number}"]), range(64)))
    assert tombstones.read() == {f"kid-{number}" for number in range(64)}


@pytest.mark.fault("B21")
def test_a_place_that_cannot_be_written_is_told(tmp_path):
    warning = Tombstones(tmp_path / "absent" / "x.revoked").add(["a"])
    assert "cannot be written" in warning
    assert "a" in warning


@pytest.mark.fault("B21")
def test_a_file_that_cannot_be_read_is_no_empty_one(tombstones):
    tombstones.path.mkdir()
    with pytest.raises(TombstonesError, match="cannot be read"):
        tombstones.read()


@pytest.mark.fault("B21", "B17")
def test_a_buried_key_is_revoked_whatever_its_row_says():
    one, other = row("ES256"), row("ES256", 2)
    buried = bury([one, other], frozenset({one.kid, "unknown"}), NOW)
    assert buried[0].revoked_at == NOW
    assert buried[1] == other
