"""Where sealing keys come from besides a plain file: the environment, a systemd credential, a plug-in, a new line."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from authserver.sealing.box import UnsealError
from authserver.sealing.keyring_file import SealingKeyError, add_key, create, load_box, open_box
from authserver.settings import Settings
from tests.sealing import plug_ins

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def settings(**values):
    return Settings(issuer="https://id.example.org", **values)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sealing.key"
    path.write_text(f"k1:{KEY}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    plug_ins.install(tmp_path / "plug-in", monkeypatch)


def test_the_environment_comes_before_the_file_and_may_hold_several_keys(path):
    sealed = load_box(path).seal(b"secret", purpose="p")
    for text in (f"k2:{OTHER}\nk1:{KEY}\n", f"k2:{OTHER},k1:{KEY}"):
        box = open_box(settings(sealing_key=text, sealing_key_file=path.with_name("absent")))
        assert box.current == "k2"
        assert box.open(sealed, purpose="p") == b"secret"
    assert open_box(settings(sealing_key_file=path)).current == "k1"


@pytest.mark.fault("B13")
@pytest.mark.parametrize("text", ["", "nonsense", f"k1:{KEY[:-4]}", f"k1:{KEY},k1:{OTHER}"])
def test_a_broken_key_in_the_environment_is_refused_by_its_name_and_not_shown(text):
    with pytest.raises(SealingKeyError, match="AUTHSERVER_SEALING_KEY") as caught:
        open_box(settings(sealing_key=text))
    assert KEY[:8] not in str(caught.value)


def test_a_settings_value_never_prints_the_key():
    assert KEY not in repr(settings(sealing_key=f"k1:{KEY}"))


def test_a_systemd_credential_may_be_readable_by_its_group_which_is_how_an_access_list_looks(path, monkeypatch):
    path.chmod(0o440)
    with pytest.raises(SealingKeyError, match="0440"):
        load_box(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    assert load_box(path).current == "k1"
    path.chmod(0o444)
    with pytest.raises(SealingKeyError, match="0444"):
        load_box(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent / "other"))
    path.chmod(0o440)
    with pytest.raises(SealingKeyError, match="0440"):
        load_box(path)


def test_a_plug_in_wraps_the_key_that_init_makes_and_the_file_holds_no_other_form_of_it(tmp_path, plug_in):
    path = tmp_path / "keys" / "sealing.key"
    sealed = create(path, sealed_rows_exist=False, plug_in="mirror").seal(b"secret", purpose="p")
    key_id, name, wrapped = path.read_text().strip().split(":")
    assert name == "mirror"
    assert load_box(path).open(sealed, purpose="p") == b"secret"
    path.write_text(f"{key_id}:{wrapped}\n")
    with pytest.raises(UnsealError):  # what lies in the file is not the key
        load_box(path).open(sealed, purpose="p")


def test_wrapped_and_plain_keys_stand_in_one_file(path, plug_in):
    sealed = load_box(path).seal(b"secret", purpose="p")
    added = add_key(path, plug_in="mirror")
    box = load_box(path)
    assert box.current == added
    assert box.open(sealed, purpose="p") == b"secret"


@pytest.mark.fault("B13")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        pytest.param(
            f"k1:absent:{KEY}", r"'absent'.*not installed.*installed: mirror", id="a plug-in that is not there"
        ),
        pytest.param("k1:mirror:YXdheQ==", r"'mirror'.*ConnectionError: the token has been pulled out", id="it fails"),
        pytest.param("k1:mirror:AAAA", r"line 1: expected", id="it gives something that is no key"),
        pytest.param(f"k1:a b:{KEY}", r"other characters", id="no name of a plug-in"),
        pytest.param("k1:mirror:@@", r"line 1: expected", id="what it wrapped is no base64"),
    ],
)
def test_a_plug_in_that_cannot_unwrap_stops_the_start_in_one_line(path, plug_in, line, told):
    path.write_text(line + "\n")
    with pytest.raises(SealingKeyError, match=told) as caught:
        load_box(path)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("B13")
def test_a_plug_in_that_does_not_give_back_what_it_took_makes_no_file(tmp_path, monkeypatch):
    plug_ins.install(tmp_path / "plug-in", monkeypatch, target="mirror_plug_in:Forgetful")
    path = tmp_path / "sealing.key"
    with pytest.raises(SealingKeyError, match="does not unwrap"):
        create(path, sealed_rows_exist=False, plug_in="mirror")
    assert not path.exists()


def test_a_name_that_two_distributions_bring_is_refused(tmp_path, monkeypatch):
    plug_ins.install(tmp_path / "one", monkeypatch)
    plug_ins.install(tmp_path / "two", monkeypatch)
    (tmp_path / "two" / "mirror_plug_in-1.0.dist-info").rename(tmp_path / "two" / "other-1.0.dist-info")
    (tmp_path / "two" / "other-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: other\nVersion: 1.0\n"
    )
    with pytest.raises(SealingKeyError, match="several distributions"):
        create(tmp_path / "sealing.key", sealed_rows_exist=False, plug_in="mirror")


def test_a_new_key_is_put_on_top_and_the_file_stays_its_owner_s(path):
    before = path.read_text()
    key_id = add_key(path)
    assert path.read_text().endswith(before)
    assert load_box(path).current == key_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["sealing.key"], "no draft is left"


@pytest.mark.fault("B13")
def test_no_key_is_added_to_a_file_that_cannot_be_used(path):
    path.write_text("broken\n")
    with pytest.raises(SealingKeyError):
        add_key(path)
    assert path.read_text() == "broken\n"


def test_a_file_that_cannot_be_replaced_stays_as_it_is(path, monkeypatch):
    before = path.read_text()

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", refuse)
        with pytest.raises(SealingKeyError, match="Nothing was changed"):
            add_key(path)
    assert path.read_text() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["sealing.key"]


def test_a_place_where_no_file_can_be_made_is_told(tmp_path):
    with pytest.raises(SealingKeyError, match="cannot be made"):
        create(Path("/proc/nowhere/sealing.key"), sealed_rows_exist=False)


@pytest.mark.fault("B13")
@pytest.mark.parametrize("target", ["absent_module:Wrapper", "mirror_plug_in:Absent"])
def test_a_plug_in_that_cannot_be_imported_is_told(tmp_path, monkeypatch, target):
    plug_ins.install(tmp_path / "plug-in", monkeypatch, target=target)
    with pytest.raises(SealingKeyError, match="cannot be loaded"):
        create(tmp_path / "sealing.key", sealed_rows_exist=False, plug_in="mirror")


def test_a_running_process_reads_the_file_anew_for_a_key_it_does_not_know(path):
    box = load_box(path)
    add_key(path)
    sealed = load_box(path).seal(b"secret", purpose="p")
    assert box.open(sealed, purpose="p") == b"secret"
    assert box.current == load_box(path).current, "and seals with the new one from then on"


@pytest.mark.fault("B13")
def test_a_running_process_keeps_what_it_has_where_the_file_is_gone_or_broken(path):
    box = load_box(path)
    sealed = box.seal(b"secret", purpose="p")
    add_key(path)
    foreign = load_box(path).seal(b"secret", purpose="p")
    path.write_text("broken\n")
    with pytest.raises(UnsealError, match="cannot be read anew"):
        box.open(foreign, purpose="p")
    path.unlink()
    with pytest.raises(UnsealError, match="cannot be read anew"):
        box.open(foreign, purpose="p")
    assert box.open(sealed, purpose="p") == b"secret"
