"""Write the reference pages: ``python -m tests.docs.generate``."""

from tests.architecture.source import ROOT
from tests.docs.reference import PAGES


def main() -> None:
    """Build every page and write those that changed."""
    for name, build in PAGES.items():
        path, text = ROOT / name, build()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(name)


if __name__ == "__main__":
    main()
