"""The stretched language keeps what is filled in, and is long enough to show what is too narrow."""

from tests.language.messages import collect
from tests.language.pseudo import PLACEHOLDER, stretch


def test_a_stretched_message_is_longer_and_fills_in_the_same():
    for message in (each for each in collect() if isinstance(each, str)):
        assert len(stretch(message)) >= len(message) * 1.3
        assert PLACEHOLDER.findall(stretch(message)) == PLACEHOLDER.findall(message)
