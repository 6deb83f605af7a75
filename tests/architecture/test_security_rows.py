"""The markers that tie a test to a row of the security requirements."""

from tests.architecture.security_rows import unknown_rows


def test_every_marked_row_exists():
    assert unknown_rows() == []
