"""Run a page's console blocks as a reader would: in one shell, beside a demo issuer on free ports.

`make run` starts `authserver dev` and leaves it running to the end of the page; everything else runs in a shell that
keeps its variables. Ports 9000 to 9002 on the page stand for the free ones of the run.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.docs.markdown import Command, matches
from tests.ports import free_ports

PATIENCE = 60
READY = "Ready in"
DEMO = "make run"
BIN = Path(sys.executable).parent


class Reader:
    """Somebody who types a page's commands, in `folder`, on this run's `ports`."""

    def __init__(self, folder: Path, ports: list[int], stack: ExitStack) -> None:
        """Open the shell."""
        self._folder = folder
        self._ports = dict(zip(("9000", "9001", "9002"), map(str, ports), strict=True))
        self._stack = stack
        self._shell = stack.enter_context(_process(["bash", "--norc"], folder))

    def here(self, text: str) -> str:
        """Return a page's text with this run's ports, and with the files that belong to them."""
        stem = f"var/dev-{self._ports['9000']}"
        moved = text.replace("var/dev.sqlite3", f"{stem}.sqlite3").replace("var/dev-sealing", f"{stem}-sealing")
        return re.sub(r"\b900[0-2]\b", lambda found: self._ports[found[0]], moved)

    def type(self, command: Command) -> tuple[str, int]:
        """Run one command; return what it printed, stderr included, and its exit code."""
        if command.text == DEMO:
            return self._start_demo(), 0
        assert self._shell.stdin
        self._shell.stdin.write(f"{self.here(command.text)}\nprintf '\\n[exit %s]\\n' $?\n".encode())
        self._shell.stdin.flush()
        printed = _read_until(self._shell, re.compile(r"\n\[exit (\d+)\]\n"))
        output, _, code = printed.rstrip().rstrip("]").rpartition("\n[exit ")
        return output, int(code)

    def follow(self, page: str, steps: Sequence[Command]) -> Iterator[Command]:
        """Run a page's commands one after another, each of which must do what the page says; give each when it has."""
        for step in steps:
            printed, code = self.type(step)
            place = f"{page}:{step.line}: {step.text}"
            assert code == 0, f"{place}\n{printed}"
            promised = self.here(step.output)
            assert matches(promised, printed) or not promised, f"{place}\npromised:\n{promised}\nprinted:\n{printed}"
            yield step

    def _start_demo(self) -> str:
        issuer, api, app = self._ports.values()
        dev: list[str | Path] = [BIN / "authserver", "dev", "--port", issuer, "--api-port", api, "--web-port", app]
        process = self._stack.enter_context(_process(dev, self._folder))
        printed = _read_until(process, re.compile(rf"{READY}.*\n"))
        self._look_at_this_demo(f"http://localhost:{issuer}", f"var/dev-{issuer}")
        return printed

    def _look_at_this_demo(self, issuer: str, stem: str) -> None:
        """Tell commands which demo is meant; on the ports of the page they would find it by themselves."""
        settings = f"ISSUER={issuer} AUTHSERVER_DATABASE_URL=sqlite:///{stem}.sqlite3"
        self.type(Command(line=0, text=f"export AUTHSERVER_{settings}", output=""))
        self.type(Command(line=0, text=f"export AUTHSERVER_SEALING_KEY_FILE={stem}-sealing.key", output=""))


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """Give a reader whose programs all stop at the end."""
    with ExitStack() as stack:
        yield Reader(folder, free_ports(3), stack)


@contextmanager
def _process(command: Sequence[str | Path], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT if command[0] != "bash" else signal.SIGKILL)
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:  # not again: a child that it left behind may hold the pipe open
            process.kill()
            process.wait()
            raise


def _read_until(process: subprocess.Popen[bytes], end: re.Pattern[str]) -> str:
    assert process.stdout
    deadline = time.monotonic() + PATIENCE
    printed = b""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], 0.2)
        if ready:
            block = os.read(process.stdout.fileno(), 65536)
            printed += block
            text = printed.decode(errors="replace")
            if end.search(text):
                return text
            assert block, f"ended too early:\n{text}"
    raise AssertionError(f"nothing more after {PATIENCE} s:\n{printed.decode(errors='replace')}")
