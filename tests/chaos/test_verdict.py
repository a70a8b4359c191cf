"""The table of ``make chaos`` hides nothing that went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.chaos.table import rows
from tests.chaos.verdict import Facts, Verdict, World, _judge_counts, _judge_rows


def line(**words: Any) -> dict[str, Any]:
    nothing = {"lost": 0, "doubled": 0, "torn": 0, "faults": [], "repetitions": 1}
    return {"case": "server", "recovery_s": 10.0, "load": 2.0, **nothing, **words}


def test_a_row_sums_up_its_repetitions() -> None:
    found = [
        line(),
        line(lost=2, faults=["missing"], recovery_s=20.0),
        line(faults=["left over"], recovery_s=31.0, load=9.6),
    ]
    assert rows(found) == [("server", "3", "2", "0", "0", "1", "20.0, worst 31.0", "2-10")]


def test_a_verdict_sees_what_was_lost_doubled_or_counted_wrong() -> None:
    done = Facts("ok", None, "digest", 10, 1, 0, 1)
    expected = dict.fromkeys("abc", (done,))
    world = World(Path("in"), {}, expected, {"planned": 3}, 1.0)
    verdict = Verdict()
    _judge_rows(world, {"a": (done, done), "b": ()}, verdict)
    assert (verdict.doubled, verdict.lost) == (1, 2)
    counts = {"planned": 3, "ok": 2, "degraded": 0, "skipped": 0, "failed": 0, "duplicates": 0}
    _judge_counts(world, counts, verdict)
    assert "do not add up" in verdict.faults[-1]
