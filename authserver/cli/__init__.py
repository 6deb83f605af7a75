"""The command line: ``authserver <noun> <verb>``.

One module per noun, imported when it is asked for, so that ``authserver --help`` and a typo cost nothing. Exit codes:
0 done, 1 failed, 2 wrong usage or wrong settings, 130 after Ctrl-C. Results go to stdout, all else to stderr.
"""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``arguments`` are those of the process unless given."""
    from authserver import memory  # noqa: PLC0415  # modules of this package must not cost the import of the tree

    memory.begin_start()  # a command ends it when it begins
    try:
        from authserver.cli import root  # noqa: PLC0415  # the same

        return root.run(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        memory.end_start()
