"""The sealing key file: made once, mode 0600, and refused with words an operator can act on."""

from __future__ import annotations

import base64
import os
import stat

import pytest

from authserver.sealing.keyring_file import SealingKeyError, create, load_box

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys" / "sealing.key"


def write(path, text, mode=0o600):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_new_file_is_for_its_owner_only_and_opens_what_the_new_box_sealed(path):
    sealed = create(path, sealed_rows_exist=False).seal(b"secret", purpose="p")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_box(path).open(sealed, purpose="p") == b"secret"


def test_a_loose_umask_does_not_open_the_new_file(path):
    before = os.umask(0)
    try:
        create(path, sealed_rows_exist=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(path):
    write(path, f"k1:{KEY}\n")
    with pytest.raises(SealingKeyError, match="never overwritten"):
        create(path, sealed_rows_exist=False)
    assert path.read_text() == f"k1:{KEY}\n"


@pytest.mark.fault("B13")
def test_no_new_key_is_made_while_sealed_rows_exist(path):
    with pytest.raises(SealingKeyError, match="Bring that key file back"):
        create(path, sealed_rows_exist=True)
    assert not path.exists()


def test_the_first_line_is_the_current_key_and_the_others_still_open(path):
    old = load_box(write(path, f"k1:{KEY}\n")).seal(b"secret", purpose="p")
    box = load_box(write(path, f"# the key of November\nk2:{OTHER}\n\nk1:{KEY}\n"))
    assert box.open(old, purpose="p") == b"secret"
    assert box.current == "k2"


@pytest.mark.fault("B13")
def test_a_missing_file_names_both_ways_out(path):
    with pytest.raises(SealingKeyError, match=r"authserver init.*backup"):
        load_box(path)
    assert not path.exists()


@pytest.mark.attack(126)
@pytest.mark.fault("B13")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o700, 0o777])
def test_a_file_that_others_may_use_is_refused(path, mode):
    with pytest.raises(SealingKeyError, match=f"mode {mode:04o}.*chmod 600"):
        load_box(write(path, f"k1:{KEY}\n", mode))


def test_a_file_that_only_its_owner_may_read_is_fine(path):
    assert load_box(write(path, f"k1:{KEY}\n", 0o400)).current == "k1"


@pytest.mark.fault("B13")
@pytest.mark.skipif(os.geteuid() == 0, reason="root may read a file of mode 000")
def test_an_unreadable_file_is_refused(path):
    with pytest.raises(SealingKeyError, match="cannot be read"):
        load_box(write(path, f"k1:{KEY}\n", 0o000))


@pytest.mark.fault("B13")
def test_a_folder_in_the_place_of_the_file_is_refused(path):
    path.mkdir(parents=True)
    with pytest.raises(SealingKeyError, match="not a regular file"):
        load_box(path)


@pytest.mark.fault("B13")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("# nothing else\n", id="a comment only"),
        pytest.param(KEY, id="no key id"),
        pytest.param(f"k 1:{KEY}", id="a blank in the key id"),
        pytest.param(f"{'k' * 33}:{KEY}", id="a key id too long"),
        pytest.param(f"k1:{KEY[:-4]}", id="a key too short"),
        pytest.param(f"k1:{KEY}AAAA", id="text after the padding"),
        pytest.param("k1:@@@@", id="no base64"),
        pytest.param(f"k1:{KEY}\nk1:{OTHER}", id="one key id twice"),
        pytest.param(f"k1:{KEY}\n" + "#" * 17_000, id="far too large"),
    ],
)
def test_a_malformed_file_is_refused_without_a_word_of_its_content(path, text):
    with pytest.raises(SealingKeyError) as caught:
        load_box(write(path, text))
    assert KEY[:8] not in str(caught.value)
    assert str(path) in str(caught.value)
