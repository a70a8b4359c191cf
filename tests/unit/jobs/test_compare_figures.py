from __future__ import annotations

from pathlib import Path

import pytest

from anc_core.jobs.compare_figures import choose_examples, summarise_systems
from anc_core.jobs.compare_records import (
    CompareRequest,
    ComparisonPlan,
    FileComparison,
    SystemOnFile,
)
from anc_core.records import Status

PLAN = ComparisonPlan(
    request=CompareRequest(folder=Path("in"), output_dir=Path("out")),
    pairs=(),
    labels=("a", "gone"),
    unavailable={"gone": "not installed"},
)


def file(name: str, gain: float | None, *, figure: str = "pesq", **more: object) -> FileComparison:
    line = SystemOnFile(
        system="a",
        status=Status.OK,
        figures={figure: None if gain is None else 2.0 + gain},
        gains={figure: gain},
        cpu_s=0.5,
        **more,
    )
    return FileComparison(
        name=name, source_path=name, status=Status.OK, measured_s=10.0, systems=(line,)
    )


def failed(name: str) -> FileComparison:
    line = SystemOnFile(system="a", status=Status.FAILED, reason="broke")
    return FileComparison(name=name, source_path=name, status=Status.FAILED, systems=(line,))


def test_means_leave_out_what_is_null_and_harm_counts_losses_beyond_a_tenth() -> None:
    files = [file("1", 0.4), file("2", -0.1), file("3", -0.11), file("4", None)]
    line, gone = summarise_systems(PLAN, files)
    assert line.gains["pesq"] == pytest.approx((0.4 - 0.1 - 0.11) / 3)
    assert line.counts["pesq"] == 3
    assert line.pesq_fell_share == pytest.approx(1 / 3)
    assert (line.audio_s, line.cpu_s, line.speed_x) == (40.0, 2.0, 20.0)
    assert (gone.status, gone.reason, gone.files) == (Status.SKIPPED, "not installed", 0)


def test_the_worst_is_the_farthest_from_0_on_either_side() -> None:
    files = [
        file("1", 0.0, speech_level_change_db=0.5, residual_lag_samples=3),
        file("2", 0.0, speech_level_change_db=-2.0, residual_lag_samples=-7),
    ]
    line = summarise_systems(PLAN, files)[0]
    assert line.speech_level_change_db == pytest.approx(-0.75)
    assert line.worst_speech_level_change_db == -2.0
    assert line.largest_lag_samples == -7


def test_a_system_is_degraded_where_it_failed_once_and_failed_where_always() -> None:
    assert summarise_systems(PLAN, [file("1", 0.1), failed("2")])[0].status is Status.DEGRADED
    line = summarise_systems(PLAN, [failed("2")])[0]
    assert (line.status, line.reason, line.speed_x) == (Status.FAILED, "broke", None)


def test_the_page_has_the_worst_then_the_best() -> None:
    files = [file(str(index), gain) for index, gain in enumerate([0.3, -0.2, 0.9, 0.1, 0.5])]
    chosen = choose_examples([*files, failed("x")], 3)
    assert [item.name for item, _ in chosen] == ["1", "3", "2"]
    assert "least" in chosen[0][1]
    assert "most: PESQ +0.90" in chosen[2][1]


def test_all_are_shown_where_there_are_few_and_the_ranking_takes_what_was_measured() -> None:
    files = [file("1", 2.0, figure="dnsmos_ovrl"), file("2", 1.0, figure="dnsmos_ovrl")]
    chosen = choose_examples(files, 6)
    assert [item.name for item, _ in chosen] == ["2", "1"]
    assert chosen[0][1].startswith("DNSMOS overall +1.00")
    assert choose_examples(files, 0) == []
    plain = [file("1", None, cancellation_db=9.0), file("2", None)]
    assert [item.name for item, _ in choose_examples(plain, 6)] == ["1", "2"]
