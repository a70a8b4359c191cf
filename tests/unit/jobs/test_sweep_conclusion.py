"""What a sweep concludes, computed once more from its CSV alone, and looked for on its page."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from html import unescape
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from pydantic import ValidationError

from anc_core.jobs.sweep_conclusion import conclude_sweep, describe_robust
from anc_core.jobs.sweep_plan import plan_sweep
from anc_core.jobs.sweep_records import SweepPlan, SweepResult, SweepRow
from anc_core.jobs.sweep_unit import run_unit
from anc_core.settings import Settings
from tests.sweeps import bench, small_request

Line = dict[str, str]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[SweepPlan, list[SweepRow], Path]:
    """Sweep without guards, so that wrong estimates have their way, on three noises and a wreck."""
    folder = tmp_path_factory.mktemp("sweep")
    bench(folder, recordings=3, duration_s=1.5)
    (folder / "noise" / "=bad<b>.wav").write_bytes(b"no sound at all" * 9)
    request = small_request(
        folder,
        folder / "out",
        algorithm=["fxnlms", "fxlms", "fxlog"],
        step_size=[0.02, 0.1, 1.5],
        num_taps=[8, 16],
        io_delay=[0, 6],
        mismatch={"gain_db": [12], "delay_samples": [4]},
        run={"guard": False},
    )
    plan = plan_sweep(request, Settings())
    rows = [row for unit in plan.units for row in run_unit(plan.setup, unit)]
    return plan, rows, folder


@pytest.fixture(scope="module")
def concluded(
    swept: tuple[SweepPlan, list[SweepRow], Path],
) -> tuple[SweepResult, list[Line], str]:
    plan, rows, folder = swept
    result = conclude_sweep(plan, rows)
    with (folder / "out/results.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return result, lines, (folder / "out/index.html").read_text(encoding="utf-8")


def setting(line: Line) -> tuple[str, str, str]:
    return line["algorithm"], line["step_size"], line["num_taps"]


def conditions(line: Line) -> tuple[str, ...]:
    return tuple(line[name] for name in ("io_delay", "gain_db", "delay_samples", "phase_deg"))


def level(line: Line) -> float:
    return -1e9 if line["outcome"] == "diverged" else float(line["steady_cancellation_db"])


def grouped(lines: Iterable[Line], key: Callable[[Line], Any]) -> dict[Any, list[float]]:
    found: dict[Any, list[float]] = {}
    for line in lines:
        if line["status"] == "ok":
            found.setdefault(key(line), []).append(level(line))
    return found


def words(page: str) -> str:
    """Return what a reader sees of the page."""
    bare = re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(bare).split())


def test_every_outcome_is_among_the_cells(concluded: tuple[SweepResult, list[Line], str]) -> None:
    result, lines, _ = concluded
    # Otherwise the tests below would say little.
    assert {"ok", "diverged"} <= set(result.outcomes)
    assert (len(lines), result.planned) == (3 * 108 + 1, 4 * 108)
    assert (result.ok, result.failed) == (3 * 108, 108)


def test_the_best_setting_is_that_of_the_table(
    concluded: tuple[SweepResult, list[Line], str],
) -> None:
    result, lines, page = concluded
    plain = [line for line in lines if conditions(line) == ("0", "0", "0", "0")]
    levels = grouped(plain, setting)
    best = max(levels, key=lambda key: (median(levels[key]), min(levels[key])))
    assert result.best is not None
    cell = result.best.cell
    assert (cell.algorithm, f"{cell.step_size:g}", str(cell.num_taps)) == best
    assert result.best.median_db == pytest.approx(median(levels[best]), rel=1e-5)
    assert result.best.worst_db == pytest.approx(min(levels[best]), rel=1e-5)
    assert f"{best[0]}, step {best[1]}, {best[2]} taps cancels the most" in words(page)
    assert f": {median(levels[best]):.1f} dB in the median, {min(levels[best]):.1f} dB" in words(
        page
    )
    for line in result.algorithms:
        own = {key: some for key, some in levels.items() if key[0] == line.algorithm}
        assert line.best is not None
        assert line.best.median_db == pytest.approx(max(map(median, own.values())), rel=1e-5)


def test_the_most_robust_setting_is_that_of_the_table(
    concluded: tuple[SweepResult, list[Line], str],
) -> None:
    result, lines, page = concluded
    levels = grouped(lines, lambda line: (setting(line), conditions(line)))
    worst: dict[Any, float] = {}
    for (key, _), some in levels.items():
        worst[key] = min(worst.get(key, 1e9), median(some))
    best = max(worst, key=lambda key: worst[key])
    robust = result.robust
    assert robust is not None
    assert robust.median_db == pytest.approx(worst[best], rel=1e-5)
    assert (robust.cell.algorithm, f"{robust.cell.step_size:g}") == best[:2]
    assert f"{worst[best]:.1f} dB at its worst" in str(describe_robust(result))
    assert "holds up best over every mismatch and delay of the grid" in words(page)


def test_the_best_for_each_recording_is_that_of_the_table(
    concluded: tuple[SweepResult, list[Line], str],
) -> None:
    result, lines, page = concluded
    for found in result.best_by_recording:
        own = [
            line
            for line in lines
            if line["recording"] == found.recording
            and conditions(line) == ("0", "0", "0", "0")
            and line["outcome"] == "ok"
        ]
        assert found.row is not None
        assert found.row.steady_cancellation_db == pytest.approx(max(map(level, own)), rel=1e-5)
        assert found.recording in words(page)


def test_the_worst_settings_come_first_and_their_counts_are_those_of_the_table(
    concluded: tuple[SweepResult, list[Line], str],
) -> None:
    _, lines, page = concluded
    troubled = [line for line in lines if line["outcome"] in {"diverged", "louder", "tripped"}]
    counts: dict[Any, int] = {}
    for line in troubled:
        key = (setting(line), conditions(line))
        counts[key] = counts.get(key, 0) + (line["outcome"] == "diverged")
    assert f"{len(troubled)} of 324 cells in {len(counts)} settings" in words(page)
    section = page[page.index("What diverged, became louder") : page.index("What failed")]
    table = re.findall(r"<tr><td class=\"setting\">(.*?)</tr>", section, flags=re.DOTALL)
    shown = [int(re.findall(r'<td class="(?:bad|soft)">(\d+)</td>', line)[0]) for line in table]
    assert shown == sorted(counts.values(), reverse=True)[: len(shown)]
    assert shown[0] == 3


def test_the_page_is_whole_escaped_and_needs_nothing_from_elsewhere(
    concluded: tuple[SweepResult, list[Line], str],
) -> None:
    _, lines, page = concluded
    assert not re.search(r"(?:src|href)=(?!\"#)|url\(|@import|<script|https?://", page)
    assert page.count("<table") == page.count("</table>")
    for tag in ("section", "div", "tr", "td", "th", "h2", "p"):
        assert len(re.findall(f"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag
    assert "=bad&lt;b&gt;.wav" in page
    assert "<b>.wav" not in page
    for word in (">None<", ">nan<", ">inf<", "-inf", "Undefined"):
        assert word not in page
    assert "'=bad<b>.wav" in {line["recording"] for line in lines}


def test_the_same_rows_in_any_order_are_the_same_tables(
    swept: tuple[SweepPlan, list[SweepRow], Path],
    concluded: tuple[SweepResult, list[Line], str],
) -> None:
    plan, rows, folder = swept
    before = (folder / "out/results.csv").read_bytes()
    again = conclude_sweep(plan, rows[::-1])
    assert (folder / "out/results.csv").read_bytes() == before
    assert again.best == concluded[0].best
    assert again.robust == concluded[0].robust


def test_sweep_json_is_the_record(
    swept: tuple[SweepPlan, list[SweepRow], Path],
    concluded: tuple[SweepResult, list[Line], str],
) -> None:
    text = (swept[2] / "out/sweep.json").read_text(encoding="utf-8")
    stored = SweepResult.from_json(text)
    assert stored.best == concluded[0].best
    assert stored.outcomes == concluded[0].outcomes
    with pytest.raises(ValidationError):
        SweepResult.from_json("{}")


def test_a_sweep_of_which_nothing_was_measured_still_has_a_page(tmp_path: Path) -> None:
    bench(tmp_path)
    (tmp_path / "noise/0.wav").write_bytes(b"no sound at all" * 9)
    result = conclude_sweep(plan_sweep(small_request(tmp_path, tmp_path / "o"), Settings()), ())
    page = words((tmp_path / "o/index.html").read_text(encoding="utf-8"))
    assert (result.best, result.robust, describe_robust(result)) == (None, None, None)
    assert "No cell could be measured" in page
    assert "NOT_AUDIO" in page
