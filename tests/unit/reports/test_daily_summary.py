"""Sessions to numbers: sums that merge, percentiles, levels, devices that are missed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from anc_core.reports.daily_figures import Counts
from anc_core.reports.daily_summary import (
    DeviceSums,
    LevelSums,
    Tally,
    absent_devices,
    day_figures,
    device_figures,
    hour_figures,
    mean_counts,
    spread_of,
)
from anc_core.reports.period import period_of
from tests.reports import TUESDAY, baseline, period

MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Facts:
    finished_at: datetime = MIDNIGHT + timedelta(hours=9, minutes=30)
    status: str = "ok"
    device_id: str | None = "a"
    preset: str = "default"
    duration_s: float | None = 60.0
    wall_s: float | None = 0.5
    real_time_factor: float | None = 0.01
    cancellation_db: float | None = 12.0
    input_rms_dbfs: float | None = -30.0
    output_bytes: int | None = 1_000
    clipped: bool = False


def test_failed_sessions_count_as_failed_and_as_nothing_else() -> None:
    tally = Tally().add_all([Facts(), Facts(status="failed", input_rms_dbfs=None)])
    assert tally.counts == Counts(ok=1, failed=1)
    assert (tally.audio_s, tally.speed_x, tally.rtf) == (60.0, 120.0, [0.01])
    assert tally.devices["a"].silent == 0


def test_silence_is_a_level_below_minus_seventy_or_none_at_all() -> None:
    levels = (None, -90.0, -71.0, -69.0)
    sums = Tally().add_all([Facts(input_rms_dbfs=level) for level in levels]).devices["a"]
    assert (sums.silent, list(sums.levels)) == (3, [-69.0])
    empty = Tally().add_all([Facts(input_rms_dbfs=None, duration_s=0.0)]).devices["a"]
    assert empty.silent == 0


def test_a_negative_cancellation_became_louder() -> None:
    values = (None, 0.0, 0.01, -0.01, -3.0)
    tally = Tally().add_all([Facts(cancellation_db=value) for value in values])
    assert (tally.negative, len(tally.cancellation), tally.devices["a"].negative) == (2, 4, 2)


def test_tallies_of_parts_merge_to_the_tally_of_the_whole() -> None:
    rng = random.Random(1)
    facts = [
        Facts(
            finished_at=MIDNIGHT + timedelta(minutes=rng.randrange(1440)),
            status=rng.choice(["ok", "degraded", "failed", "skipped"]),
            device_id=rng.choice(["a", "b", None]),
            preset=rng.choice(["x", "y"]),
            input_rms_dbfs=rng.choice([None, -20.0, -30.0]),
            cancellation_db=rng.choice([None, -1.0, 9.0]),
        )
        for _ in range(200)
    ]
    starts = [span.start for span in period().hour_spans()]
    whole, parts = Tally(starts).add_all(facts), Tally(starts)
    for start in range(0, 200, 37):
        parts.merge(Tally(starts).add_all(facts[start : start + 37]))
    assert hour_figures(period().hour_spans(), parts) == hour_figures(period().hour_spans(), whole)
    assert device_figures(parts.devices, {}) == device_figures(whole.devices, {})
    span = period().day_spans()[0]
    assert day_figures(span, parts) == day_figures(span, whole)


def test_bars_are_hours_of_the_clock_and_add_up() -> None:
    short = period_of(date(2026, 3, 29), "Europe/Berlin")
    spans = short.hour_spans()
    at = [span.start + timedelta(minutes=59) for span in spans]
    tally = Tally([span.start for span in spans]).add_all([Facts(finished_at=one) for one in at])
    bars = hour_figures(spans, tally)
    assert [bar.counts.ok for bar in bars] == [1] * 23
    assert [bar.label for bar in bars][:4] == ["00", "01", "03", "04"]


def test_percentiles_are_those_of_numpy_and_few_values_have_none() -> None:
    values = [float(n) for n in range(11)]
    spread = spread_of(values, null_n=3)
    assert (spread.n, spread.null_n, spread.median, spread.p10, spread.p95) == (11, 3, 5, 1, 9.5)
    few = spread_of(values[:4])
    assert (few.n, few.median, few.maximum) == (4, None, None)


def test_the_mean_of_the_week_leaves_out_idle_days() -> None:
    days = list(baseline())
    days[-1] = days[-1].model_copy(update={"counts": Counts()})
    mean = mean_counts(days, 1)
    assert (mean.days, mean.ok, mean.failed) == (6, 97.0, 1.0)
    assert mean_counts(days, 7).ok == 679.0
    assert mean_counts([], 1).ok is None


def test_levels_are_the_energy_mean_and_what_is_exceeded() -> None:
    hours = period().hour_spans()
    levels = LevelSums(hours)
    at = MIDNIGHT.timestamp() + 8 * 3600
    values = [-20.0] * 15 + [-40.0] * 70 + [-60.0] * 15
    levels.add([at] * 100, [1.0] * 100, values)
    levels.add([at - 86_400, at + 86_400], [1.0, 1.0], [0.0, 0.0])  # of other days
    hour = levels.figures()[8]
    leq = 10 * np.log10(np.mean([10 ** (value / 10) for value in values]))
    assert hour.n == 100
    assert hour.leq_dbfs == pytest.approx(leq)
    assert hour.l10_dbfs == pytest.approx(-20.0, abs=0.1)
    assert hour.l90_dbfs == pytest.approx(-60.0, abs=0.1)
    assert levels.figures()[7].leq_dbfs is None


def test_devices_that_are_missed_are_told_with_what_was_expected() -> None:
    last = MIDNIGHT - timedelta(hours=2)
    history = [
        (TUESDAY - timedelta(days=back), {"a": 6, "b": 3, None: 1} if back % 2 else {"a": 6})
        for back in range(28, 0, -1)
    ]
    before = {"b": DeviceSums(sessions=42, last_at=last), "a": DeviceSums(last_at=last)}
    lines = absent_devices({"a": DeviceSums(sessions=50)}, before, history, period())
    assert [line.device for line in lines] == ["b"]
    assert (lines[0].days, lines[0].sessions, lines[0].fewest) == (4, 12, 0)
    assert lines[0].expected == round(50 * 12 / (7 * 6 + 4 * 4), 2)
    assert (lines[0].last_at, lines[0].now) == (last, 0)


@pytest.mark.parametrize(("came", "listed"), [(2, True), (3, False), (5, False)])
def test_a_device_of_which_hardly_anything_came_is_told_too(came: int, listed: bool) -> None:
    history = [(TUESDAY - timedelta(days=back), {"a": 10, "b": 3}) for back in range(28, 0, -1)]
    before = {name: DeviceSums(last_at=MIDNIGHT) for name in "ab"}
    now = {"a": DeviceSums(sessions=40), "b": DeviceSums(sessions=came)}
    lines = absent_devices(now, before, history, period())
    assert [line.now for line in lines] == ([came] if listed else [])
