"""The markers that tie a test to a row of the requirements."""

from tests.architecture.requirement_rows import PRODUCT, marked_rows, unknown_rows

TO_COME = {"S12", "S14", "S15"}  # the admin panel, and how all of it is delivered


def test_every_marked_row_exists():
    assert unknown_rows() == []


def test_what_the_earlier_projects_did_is_shown_by_a_test():
    assert {row for row in PRODUCT - TO_COME if f"product {row}" not in marked_rows()} == set()
