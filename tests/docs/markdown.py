"""Read the manual's Markdown: its console blocks, links and headings.

In a ```` ```console ```` block a line that begins with ``$ `` is a command (continued after a trailing backslash) and
the lines below it are its output, in which `…` stands for any text, and `…` alone on a line for any lines.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ANYTHING = "…"
FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<!`)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+)\)")
PICTURE = re.compile(r'(?:src|srcset)="([^"\s]+)"')
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a console block, with the output that the page promises (empty: none is shown)."""

    line: int
    text: str
    output: str


def fences(markdown: str, language: str) -> list[tuple[int, str]]:
    """Return the line number and the text of each fenced block of a language."""
    return [
        (markdown.count("\n", 0, found.start("body")) + 1, found["body"])
        for found in FENCE.finditer(markdown)
        if found["language"] == language
    ]


def commands(markdown: str) -> list[Command]:
    """Return the commands of all console blocks of a page, in order."""
    found: list[Command] = []
    for start, body in fences(markdown, "console"):
        lines = iter(enumerate(body.splitlines(), start))
        for number, line in lines:
            if line.startswith("$ "):
                text = line[2:]
                while text.endswith("\\"):
                    text += "\n" + next(lines)[1]
                found.append(Command(line=number, text=text, output=""))
            elif found and line.strip():
                last = found[-1]
                found[-1] = Command(line=last.line, text=last.text, output=f"{last.output}{line}\n")
    return found


def matches(promised: str, real: str) -> bool:
    """Say whether real output is what a page promises, `…` standing for what varies. Blank lines are not compared."""
    pattern = ""
    for line in promised.strip().splitlines():
        if line.strip() == ANYTHING:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part.rstrip()) for part in line.split(ANYTHING)) + r"[ ]*\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in real.splitlines() if line.strip())) is not None


def without_code(markdown: str) -> str:
    """Return a page without its fenced blocks and code spans: what is left is prose and links."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", markdown))


def links(markdown: str) -> list[str]:
    """Return the targets of a page's links and pictures."""
    prose = without_code(markdown)
    return LINK.findall(prose) + PICTURE.findall(prose)


def anchors(markdown: str) -> set[str]:
    """Return the fragments that a page's headings can be linked by, as forges make them."""
    slugs = set()
    for heading in HEADING.findall(FENCE.sub("", markdown)):
        plain = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slugs.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return slugs


def pages(root: Path) -> list[Path]:
    """Return the pages of the manual, and those beside it."""
    samples = (page for page in (root / "clients").rglob("README.md") if "node_modules" not in page.parts)
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *samples])
