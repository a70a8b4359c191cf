"""The clock jumps while a batch runs, or a worker is taken for dead and lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.conftest import repetitions
from tests.chaos.direct import attack
from tests.chaos.verdict import ROOT, World

SHIFTED = ROOT / "tests" / "chaos" / "shifted"


@pytest.mark.long
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("hours", [1.0, -1.0, 48.0])
def test_a_clock_that_jumps(world: World, tmp_path: Path, hours: float) -> None:
    for one in repetitions(f"clock jumps by {hours:+g} h", most=5):
        clock = tmp_path / f"clock-{one.number}"
        path = f"{SHIFTED}:{ROOT}"
        case = attack(world, tmp_path / str(one.number), one, PYTHONPATH=path)
        case.env["CHAOS_CLOCK"] = str(clock)
        with case.running() as process:
            case.wait_for_a_moment()
            clock.write_text(str(3_600 * hours))
            record = case.end()
            case.moment += f", exit code {process.returncode}"
            assert record is not None, (case.folder / "batch.log").read_text()
            case.conclude()
