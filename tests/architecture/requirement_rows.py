"""Which rows of the requirements a test holds: ``python -m tests.architecture.requirement_rows``.

Of security, list A holds attacks 1 to 126, list B faults B1 to B32; of the product, S1 to S15 are what the users'
earlier projects did. A test of row 24 carries `@pytest.mark.attack(24)`, of fault B5 `@pytest.mark.fault("B5")`, and of
what the product does `@pytest.mark.product("S1")`; one marker may name several rows.
"""

import ast
import sys
from collections.abc import Iterable

from tests.architecture.source import parse, python_files, relative

ATTACKS = {str(row) for row in range(1, 127)}
FAULTS = {f"B{row}" for row in range(1, 33)}
PRODUCT = {f"S{row}" for row in range(1, 16)}
ROWS = {"attack": ATTACKS, "fault": FAULTS, "product": PRODUCT}


def marked_rows() -> dict[str, list[str]]:
    """Return each row that a marker names, with the places that name it (`tests/x.py:12`)."""
    places: dict[str, list[str]] = {}
    for path in python_files("tests", "clients"):
        for node in ast.walk(parse(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ROWS):
                continue
            if ast.unparse(node.func) != f"pytest.mark.{node.func.attr}":
                continue
            for row in node.args:
                name = str(ast.literal_eval(row))
                places.setdefault(f"{node.func.attr} {name}", []).append(f"{relative(path)}:{node.lineno}")
    return places


def unknown_rows() -> list[str]:
    """Return the markers that name a row which does not exist, with their places."""
    known = {f"{marker} {row}" for marker, rows in ROWS.items() for row in rows}
    return [f"{row}: {', '.join(places)}" for row, places in marked_rows().items() if row not in known]


def _in_order(rows: Iterable[str]) -> str:
    return " ".join(sorted(rows, key=lambda row: int(row.lstrip("BS"))))


def main() -> int:
    """Print the rows without a test; fail only where a marker names a row that does not exist."""
    marked = marked_rows()
    for marker, rows in ROWS.items():
        bare = {row for row in rows if f"{marker} {row}" not in marked}
        print(f"{marker} rows held by a test: {len(rows) - len(bare)} of {len(rows)}; without one: {_in_order(bare)}")
    unknown = unknown_rows()
    for line in unknown:
        print(f"no such row: {line}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
