"""``python -m tests.chaos.table LOG...``: the table of what ``CHAOS_LOG`` noted."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HEADER = ("case", "repetitions", "lost", "doubled", "torn", "other", "seconds to recover", "load")


def rows(lines: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a row for each case: sums of what went wrong, median and worst recovery."""
    cases: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        cases.setdefault(line["case"], []).append(line)
    return [_row(case, found) for case, found in cases.items()]


def _row(case: str, found: list[dict[str, Any]]) -> tuple[str, ...]:
    seconds, loads = ([line[name] for line in found] for name in ("recovery_s", "load"))
    other = sum(
        bool(line["faults"]) and not (line["lost"] or line["doubled"] or line["torn"])
        for line in found
    )
    return (
        case,
        str(sum(line["repetitions"] for line in found)),
        *(str(sum(line[name] for line in found)) for name in ("lost", "doubled", "torn")),
        str(other),
        f"{statistics.median(seconds):.1f}, worst {max(seconds):.1f}",
        f"{min(loads):.0f}-{max(loads):.0f}",
    )


def markdown(table: Iterable[tuple[str, ...]]) -> str:
    """Return ``table`` with its header."""
    lines = [HEADER, tuple("---" for _ in HEADER), *table]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print the table of the logs that are named."""
    text = "\n".join(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:])
    print(markdown(rows(json.loads(line) for line in text.splitlines() if line)))


if __name__ == "__main__":
    main()
