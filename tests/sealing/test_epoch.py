"""The epoch file: a database restored from the past is noticed before it is served (DESIGN §5, Restore)."""

from __future__ import annotations

from pathlib import Path

import pytest

from authserver.sealing.epoch import EpochError, EpochFile


@pytest.fixture
def epoch_file(tmp_path):
    return EpochFile.beside(tmp_path / "sealing.key")


def test_it_lies_beside_the_sealing_key():
    assert EpochFile.beside(Path("keys/sealing.key")).path == Path("keys/sealing.key.epoch")


def test_the_first_start_writes_it_and_the_next_accepts_it(epoch_file):
    assert epoch_file.read() is None
    assert epoch_file.check(1) is None
    assert epoch_file.read() == 1
    assert epoch_file.check(1) is None


def test_a_newer_database_raises_the_file(epoch_file):
    epoch_file.check(1)
    assert epoch_file.check(5) is None
    assert epoch_file.read() == 5
    assert [path.name for path in epoch_file.path.parent.iterdir()] == ["sealing.key.epoch"], "no draft is left"


@pytest.mark.fault("B21")
def test_an_older_database_is_refused_and_the_file_stays(epoch_file):
    epoch_file.check(5)
    with pytest.raises(EpochError, match=r"epoch 4.*epoch 5.*authserver restored"):
        epoch_file.check(4)
    assert epoch_file.read() == 5


def test_a_file_is_never_lowered_and_not_written_again_for_the_same_epoch(epoch_file):
    epoch_file.raise_to(5)
    written_at = epoch_file.path.stat().st_ino
    assert epoch_file.raise_to(4) is None
    assert epoch_file.raise_to(5) is None
    assert epoch_file.read() == 5
    assert epoch_file.path.stat().st_ino == written_at


def test_a_place_that_cannot_be_written_is_a_warning(tmp_path):
    epoch_file = EpochFile(tmp_path / "absent" / "sealing.key.epoch")
    assert "would not be noticed" in (epoch_file.check(1) or "")


@pytest.mark.fault("B21")
def test_a_place_that_cannot_be_written_still_refuses_an_older_database(epoch_file, monkeypatch):
    epoch_file.check(5)

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    assert "Read-only file system" in (epoch_file.check(6) or "")
    with pytest.raises(EpochError):
        epoch_file.check(4)


@pytest.mark.parametrize("text", ["", "x", "-1", "1 2", "9" * 19, "\u0663", "1.0"])
def test_a_broken_file_is_refused(epoch_file, text):
    epoch_file.path.write_text(text, encoding="utf-8")
    with pytest.raises(EpochError, match="epoch file"):
        epoch_file.check(1)
