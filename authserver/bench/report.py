"""How results look: a table for people, a document for programs, a plot for the page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from authserver.bench.probes import project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from authserver.bench.run import Result, Row

_MEGABYTE: Final = 1024 * 1024
_RSS_GOAL: Final = 120  # megabytes
_COLD_START_GOAL: Final = 1.0  # seconds
_STORM_GOAL: Final = 1.5
_TYPICAL: Final = 32  # the concurrency that goals are for
_HEAD: Final = (
    "workload", "conc", "requests", "errors", "rps", "p50 ms", "p95 ms", "p99 ms",
    "server us", "db us", "goal us", "/goal", "floor us", "/floor",
)  # fmt: skip
_BAR: Final = 26  # pixels of one bar with its gap
_LABELS: Final = 190  # pixels to the left of the bars
_WIDTH: Final = 760


def to_text(results: Sequence[Result]) -> str:
    """Return the tables, one for each database."""
    return "\n\n".join("\n".join(_lines(result)) for result in results)


def to_document(results: Sequence[Result]) -> dict[str, object]:
    """Return everything that was measured, as JSON has it."""
    return {"results": [_document(result) for result in results]}


def _lines(result: Result) -> list[str]:
    table = [_HEAD, *(_cells(row) for row in result.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD))]
    lines = [f"{result.database}; {result.machine}", ""]
    lines += [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in table
    ]
    lines += ["", *_sentences(result)]
    failures = [(row, row.measured.first_error) for row in result.rows if row.measured.first_error]
    lines += [f"{row.workload.name} at {row.concurrency}: {error}" for row, error in failures]
    return lines


def _cells(row: Row) -> tuple[str, ...]:
    measured, workload = row.measured, row.workload
    database = "?" if measured.database_us is None else f"{measured.database_us:.0f}"
    return (
        workload.name,
        str(row.concurrency),
        str(measured.requests),
        str(measured.errors),
        f"{measured.rps:.0f}",
        f"{measured.p50:.2f}",
        f"{measured.p95:.2f}",
        f"{measured.p99:.2f}",
        f"{measured.server_us:.0f}",
        database,
        f"{workload.server_goal}+{workload.database_goal}",
        f"{measured.cpu_us / workload.goal:.2f}",
        f"{row.floor_us:.0f}",
        f"{measured.cpu_us / row.floor_us:.2f}" if row.floor_us else "",
    )


def _sentences(result: Result) -> list[str]:
    floor = result.floor
    exchanges = ", ".join(f"{measured.server_us:.0f} at {number}" for number, measured in floor.http.items())
    statement = f"{floor.statement_us:.0f} + {floor.statement_database_us:.0f}"
    idle, loaded = result.rss_idle / _MEGABYTE, result.rss_loaded / _MEGABYTE
    lines = [
        f"floor: HTTP {exchanges}; ES256 signature {floor.signature_us:.0f}; statement {statement} us",
        f"cold start to first token: {result.cold_start:.2f} s (goal <= {_COLD_START_GOAL})",
        f"RSS idle -> loaded: {idle:.0f} -> {loaded:.0f} MB (goal <= {_RSS_GOAL})",
    ]
    if (repeated := result.repeated) is not None:
        lines.append(
            f"{repeated.tokens} refresh tokens, {repeated.presented} presentations at once: {repeated.successors} "
            f"successors, {repeated.refused} refused (goal {repeated.tokens}, 0)"
        )
    if (storm := result.storm) is not None:
        lines.append(
            f"login storm: p99 of tokens {storm.alone.p99:.2f} -> {storm.beside.p99:.2f} ms, ratio "
            f"{storm.p99_ratio:.2f} (goal < {_STORM_GOAL}), beside {storm.logins} logins, "
            f"{storm.login_errors} of them failed"
        )
    if (growth := result.growth) is not None:
        lines.append(
            f"growth: {growth.grants} grants refreshed {growth.refreshes} times with {growth.errors} errors, "
            f"{growth.bytes_before / _MEGABYTE:.2f} -> {growth.bytes_after / _MEGABYTE:.2f} MB"
        )
    typical = [row for row in result.rows if row.workload.name == "refresh" and row.concurrency == _TYPICAL]
    lines += [f"projection: {sentence}" for row in typical if (sentence := project(row.measured))]
    return lines


def _document(result: Result) -> dict[str, object]:
    rows = [
        {
            "workload": row.workload.name,
            "concurrency": row.concurrency,
            "requests": row.measured.requests,
            "errors": row.measured.errors,
            "first_error": row.measured.first_error,
            "rps": round(row.measured.rps, 1),
            "p50_ms": round(row.measured.p50, 3),
            "p95_ms": round(row.measured.p95, 3),
            "p99_ms": round(row.measured.p99, 3),
            "server_us": round(row.measured.server_us, 1),
            "database_us": None if row.measured.database_us is None else round(row.measured.database_us, 1),
            "goal_us": row.workload.goal,
            "floor_us": round(row.floor_us, 1),
        }
        for row in result.rows
    ]
    return {
        "database": result.database,
        "machine": result.machine,
        "rows": rows,
        "cold_start_s": round(result.cold_start, 3),
        "rss_idle_bytes": result.rss_idle,
        "rss_loaded_bytes": result.rss_loaded,
        "notes": _sentences(result),
    }


def draw(results: Sequence[Result]) -> str:
    """Return an SVG: CPU per request of each workload at concurrency 32, with a mark where its goal is."""
    bars = [(result, row) for result in results for row in result.rows if row.concurrency == _TYPICAL]
    height = _BAR * (len(bars) + 2)
    # Parts of the goal rather than microseconds: a code flow is ten times a token, and both must be seen.
    longest = max([row.measured.cpu_us / row.workload.goal for _, row in bars] + [1.0])
    scale = (_WIDTH - _LABELS - 90) / longest
    goal_at = _LABELS + scale
    title = "CPU per request as a multiple of its goal, concurrency 32"
    look = 'font-family="sans-serif" font-size="12" fill="#777"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {look}>',
        f"<title>{title}</title>",
    ]
    for number, (result, row) in enumerate(bars):
        top = _BAR * (number + 1)
        ratio = row.measured.cpu_us / row.workload.goal
        label = escape(f"{row.workload.name}, {result.database.split()[0]}")
        colour = "#2a7ab8" if result.database.startswith("PostgreSQL") else "#8a5fb0"
        parts.append(f'<text x="{_LABELS - 8}" y="{top + 14}" text-anchor="end">{label}</text>')
        parts.append(f'<rect x="{_LABELS}" y="{top}" width="{ratio * scale:.1f}" height="{_BAR - 6}" fill="{colour}"/>')
        parts.append(f'<text x="{_LABELS + ratio * scale + 6:.1f}" y="{top + 14}">{row.measured.cpu_us:.0f} us</text>')
    parts.append(
        f'<line x1="{goal_at:.1f}" y1="{_BAR - 8}" x2="{goal_at:.1f}" y2="{height - _BAR}" stroke="#c33"/>'
        f'<text x="{goal_at:.1f}" y="{_BAR - 12}" text-anchor="middle" fill="#c33">goal</text></svg>'
    )
    return "\n".join(parts) + "\n"
