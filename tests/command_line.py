"""The command line without a process of its own: it would spend most of a second on imports, and tests run hundreds."""

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

from authserver.cli import main


def run_command(*arguments: str, environment: Mapping[str, str], folder: Path, stdin: str = "") -> str:
    """Run a command that has to succeed, as if it were started in `folder`; return what it printed to stdout.

    Where tests are of the command line itself they use the fixtures of tests/cli. Everything else of the process, its
    event loop too, waits meanwhile: for this long it has another environment and another folder.
    """
    printed, problem = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment, clear=True),
        contextlib.chdir(folder),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(problem),
        ThreadPoolExecutor(1) as thread,  # a command runs an event loop of its own
    ):
        code = thread.submit(main, arguments).result()
    assert code == 0, problem.getvalue()
    return printed.getvalue()
