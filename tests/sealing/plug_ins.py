"""A plug-in for tests: installed as any distribution is, by a folder with metadata on the path."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
class Wrapper:
    def wrap(self, key):
        return bytes(byte ^ 0x55 for byte in key)

    def unwrap(self, wrapped):
        if wrapped == b"away":
            raise ConnectionError("the token has been pulled out")
        return bytes(byte ^ 0x55 for byte in wrapped)


class Forgetful(Wrapper):
    def unwrap(self, wrapped):
        return bytes(32)
"""


def install(folder: Path, monkeypatch, *, name: str = "mirror", target: str = "mirror_plug_in:Wrapper") -> None:
    """Make an entry point of the group known to this process."""
    folder.mkdir(exist_ok=True)
    (folder / "mirror_plug_in.py").write_text(textwrap.dedent(MODULE))
    metadata = folder / f"{name}_plug_in-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plug-in\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[authserver.sealing_key]\n{name} = {target}\n")
    monkeypatch.syspath_prepend(str(folder))
