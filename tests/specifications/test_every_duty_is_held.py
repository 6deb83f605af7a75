"""Every sentence of a specification that binds a server is held by a test that exists."""

from dataclasses import replace
from itertools import groupby

import pytest

from tests.specifications.duties import Duty, find_faults, load_duties

DUTIES = load_duties()

SPECIFICATIONS = {
    "oidc_backchannel_logout",
    "oidc_core_11_12",
    "oidc_core_2",
    "oidc_core_3_1",
    "oidc_core_5",
    "oidc_rp_initiated_logout",
    "rfc6749",
    "rfc6750",
    "rfc7009",
    "rfc7591",
    "rfc7636",
    "rfc7662",
    "rfc8414",
    "rfc8705_3",
    "rfc8707",
    "rfc9068",
    "rfc9207",
    "rfc9449_7",
    "rfc9470",
    "rfc9701",
    "rfc9728",
    "status_list",
}


def test_every_specification_has_its_table():
    assert {duty.specification for duty in DUTIES} == SPECIFICATIONS


@pytest.mark.parametrize("specification", sorted(SPECIFICATIONS))
def test_every_duty_is_held_by_a_test_that_exists(specification):
    faults = {
        f"{duty.section}: {duty.text}": found
        for duty in DUTIES
        if duty.specification == specification and (found := find_faults(duty))
    }
    assert not faults


@pytest.mark.parametrize("specification", sorted(SPECIFICATIONS))
def test_no_duty_is_listed_twice(specification):
    texts = sorted((duty.section, duty.text) for duty in DUTIES if duty.specification == specification)
    assert [key for key, same in groupby(texts) if len(list(same)) > 1] == []


GOOD = Duty(
    specification="rfc0000",
    section="1",
    text="Be tested.",
    tests=("tests/test_it.py::test_one[a case]", "tests/test_it.py::TestIt::test_two"),
)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"section": ""}, "say the section"),
        ({"text": "Be tested"}, "say the section"),
        ({"tests": ()}, "no test holds it"),
        ({"tests": ("tests/test_it.py::test_three",)}, "there is no tests/test_it.py::test_three"),
        ({"tests": ("tests/test_it.py::test_two",)}, "there is no tests/test_it.py::test_two"),
        ({"tests": ("tests/test_it.py::not_a_test",)}, "there is no tests/test_it.py::not_a_test"),
        ({"tests": ("tests/test_it.py::test_one[no case]",)}, "there is no tests/test_it.py::test_one[no case]"),
        ({"tests": ("tests/test_it.py::test_one[of a list]",)}, None),
        ({"tests": ("tests/test_it.py::TestIt::test_two[a case]",)}, "there is no tests/test_it.py::TestIt::test_two"),
        ({"tests": ("tests/test_other.py::test_one",)}, "there is no tests/test_other.py::test_one"),
        ({"tests": ("tests/test_it.py",)}, "there is no tests/test_it.py"),
    ],
)
def test_a_duty_that_nothing_holds_is_found(tmp_path, changed, fault):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(
        'CASES = ["of a list"]\n\n\n@parametrize([*CASES, "a case"])\ndef test_one(case): ...\n\n\n'
        "class TestIt:\n    async def test_two(self): ...\n\n\ndef not_a_test(): ..."
    )
    faults = find_faults(replace(GOOD, **changed), tmp_path)
    assert (faults == []) if fault is None else faults[0].startswith(fault)


@pytest.mark.parametrize(
    "table",
    [
        "",
        'title = "x"',
        'title = "x"\nextra = 1\n[[duty]]\nsection = "1"\nduty = "x."\ntests = []',
        'title = "x"\n[[duty]]\nsection = "1"\nduty = "x."',
        'title = "x"\n[[duty]]\nsection = "1"\nduty = "x."\ntests = []\nbecause = "no time"',
    ],
)
def test_a_table_with_other_keys_is_an_error(tmp_path, table):
    (tmp_path / "rfc0000.toml").write_text(table)
    with pytest.raises(ValueError, match=r"rfc0000\.toml"):
        load_duties(tmp_path)
