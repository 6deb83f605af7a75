"""The reader of the manual itself."""

from tests.docs.markdown import Command, anchors, commands, links, matches

PAGE = """# A page

See [the other](other.md#part) and `[not](this.md)`.

```console
$ TOKEN=$(curl -s \\
    http://localhost:9000/token)
$ echo $TOKEN
eyJ…
```

```sh
$ not run
```
"""


def test_commands_come_with_their_output_and_their_continuation():
    assert commands(PAGE) == [
        Command(line=6, text="TOKEN=$(curl -s \\\n    http://localhost:9000/token)", output=""),
        Command(line=8, text="echo $TOKEN", output="eyJ…\n"),
    ]


def test_what_varies_is_not_compared_and_the_rest_is():
    assert matches("a … c", "a b c")
    assert matches("one\n…\nfour\n", "one\ntwo\nthree\nfour\n")
    assert matches("one\n…\nfour\n", "one\nfour\n")
    assert not matches("a … c", "a b d")
    assert not matches("one\n", "one\ntwo\n")
    assert not matches("{…}", "{\n}")


def test_links_in_code_are_not_links():
    assert links(PAGE) == ["other.md#part"]


def test_headings_become_the_anchors_that_forges_make():
    assert anchors("# Tokens & `keys`\n\n## A [link](x.md) here\n") == {"tokens--keys", "a-link-here"}
