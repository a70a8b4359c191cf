"""Every rule with a case that trips it and one that does not; the verdict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from anc_core.reports.daily_figures import (
    AbsentDevice,
    Backlog,
    Counts,
    DiskFigures,
    EventCounts,
    FailureGroup,
    MissedRun,
    ModelFigures,
    ScheduleLine,
    Spread,
    Verdict,
)
from anc_core.reports.daily_flags import judge, stability_index
from tests.reports import MIX, baseline, day, device, event, figures

AT = datetime(2026, 11, 2, 3, tzinfo=UTC)


def flags_of(**changes: Any) -> dict[str, Any]:
    _, _, flags = judge(figures(**changes))
    return {flag.rule: flag for flag in flags}


def failed(count: int, total: int, **changes: Any) -> dict[str, Any]:
    return {"sessions": Counts(ok=total - count, failed=count), **changes}


def test_a_day_like_the_days_before_is_green() -> None:
    verdict, reasons, flags = judge(figures())
    assert (verdict, flags) == (Verdict.GREEN, ())
    assert "28 days before" in reasons[0]


def test_any_safety_violation_is_red() -> None:
    lines = (event(violation=True, max_attenuation_db=4.2), event(1))
    flag = flags_of(events=EventCounts(total=2, violations=1), event_lines=lines)[
        "safety_violation"
    ]
    assert flag.verdict is Verdict.RED
    assert (flag.value, flag.limit, flag.subjects) == (4.2, 1.0, ("s1",))
    assert "smoke alarm" in flag.cause
    assert "hall-2" in flag.cause
    assert "safety_violation" not in flags_of(events=EventCounts(total=1), event_lines=(event(),))


def test_a_session_that_the_gate_refused_as_unsafe_is_red_too() -> None:
    verdict, _, flags = judge(
        figures(events=EventCounts(total=1, violations=1), refused_sessions=("s9",))
    )
    assert verdict is Verdict.RED
    assert flags[0].subjects == ("s9",)
    assert "s9" in flags[0].cause


def test_failures_above_five_percent_name_codes_devices_and_an_example() -> None:
    group = FailureGroup(
        code="NO_SPACE", count=8, session_id="s", source_path="/in/a.wav",
        message="/in/a.wav: the disk is full", devices=("hall-2",),
    )  # fmt: skip
    flag = flags_of(**failed(8, 100, failures=(group,)))["failures"]
    assert (flag.verdict, flag.value, flag.n) == (Verdict.AMBER, 0.08, 100)
    assert flag.cause.startswith("NO_SPACE 8 (hall-2); for example: the disk is full.")
    assert "Usual are 1.0 %" in flag.cause


@pytest.mark.parametrize(("count", "total"), [(1, 100), (2, 20), (2, 4), (3, 1000), (0, 0)])
def test_what_is_usual_or_too_few_is_no_burst_of_failures(count: int, total: int) -> None:
    assert "failures" not in flags_of(**failed(count, total))


def test_failures_far_above_the_usual_are_flagged_below_five_percent() -> None:
    quiet = baseline(counts=Counts(ok=1000, failed=1))
    flag = flags_of(**failed(20, 1000, baseline=quiet))["failures"]
    assert flag.value == 0.02
    assert flag.limit < 0.02


def test_a_quarter_failing_is_red() -> None:
    assert flags_of(**failed(30, 100))["failures"].verdict is Verdict.RED


def test_failures_are_flagged_without_days_to_compare_with() -> None:
    assert "failures" in flags_of(**failed(10, 100, baseline=()))


def test_slow_sessions_are_flagged_and_the_cause_tells_machine_from_recordings() -> None:
    some = flags_of(rtf=Spread(n=100, median=0.01, p95=0.031))["slower"]
    assert "Only the slowest" in some.cause
    every = flags_of(rtf=Spread(n=100, median=0.02, p95=0.04))["slower"]
    assert "All sessions" in every.cause
    assert every.baseline == 0.02
    assert "slower" not in flags_of(rtf=Spread(n=100, median=0.01, p95=0.029))
    assert "slower" not in flags_of(rtf=Spread(n=19, median=0.1, p95=0.2))
    assert "slower" not in flags_of(
        rtf=Spread(n=100, median=0.1, p95=0.2), baseline=baseline()[-4:]
    )


def test_noise_that_became_louder_is_flagged_with_the_device_it_happened_on() -> None:
    devices = (device(negative=6), device("gate-7", negative=0))
    flag = flags_of(negative=6, devices=devices)["negative_cancellation"]
    assert flag.subjects == ("hall-2",)
    assert "hall-2: 6 of 20" in flag.cause
    assert round(flag.value, 3) == 0.067


def test_where_all_devices_are_louder_none_is_blamed() -> None:
    devices = (device(negative=4), *(device(f"d{n}", negative=2) for n in range(5)))
    flag = flags_of(negative=14, devices=devices)["negative_cancellation"]
    assert flag.subjects == ()
    assert "spread over the devices" in flag.cause


def test_one_device_is_flagged_though_the_whole_is_below_the_limit() -> None:
    whole = Spread(n=2000, median=12.0, p10=7.0)
    devices = (device(negative=6), device("gate-7", cancellation_n=1980))
    assert flags_of(negative=6, cancellation_db=whole, devices=devices)[
        "negative_cancellation"
    ].subjects == ("hall-2",)


@pytest.mark.parametrize(
    ("negative", "measured", "changes"),
    [
        (2, 90, {}),
        (3, 12, {}),  # too few measured
        (3, 90, {"baseline": baseline(negative=2)}),  # as usual, within chance
        (1, 10, {}),
    ],
)
def test_what_chance_or_habit_explains_is_not_louder(
    negative: int, measured: int, changes: dict[str, Any]
) -> None:
    spread = Spread(n=measured, median=12.0, p10=7.0)
    assert "negative_cancellation" not in flags_of(
        negative=negative, cancellation_db=spread, devices=(), **changes
    )


def test_a_device_that_was_always_louder_is_no_news() -> None:
    devices = (device(negative=6, baseline_negative=150),)
    whole = Spread(n=2000, median=12.0, p10=7.0)
    assert "negative_cancellation" not in flags_of(
        negative=6, cancellation_db=whole, devices=devices
    )


def test_a_device_whose_level_moved_is_flagged() -> None:
    flag = flags_of(devices=(device(level_dbfs=-20.0),))["level_shift"]
    assert (flag.value, flag.baseline, flag.subjects) == (11.0, -31.0, ("hall-2",))
    assert "louder" in flag.title
    assert "quieter" in flags_of(devices=(device(level_dbfs=-44.0),))["level_shift"].title


@pytest.mark.parametrize(
    "changes",
    [
        {"level_dbfs": -25.5},  # within 6 dB
        {"level_dbfs": -20.0, "measured": 4},  # too few
        {"level_dbfs": -20.0, "baseline_measured": 4},
        {"level_dbfs": -24.0, "baseline_level_sd_db": 12.0},  # within its own scatter
        {"level_dbfs": None},
    ],
)
def test_a_level_within_its_scatter_is_no_shift(changes: dict[str, Any]) -> None:
    assert "level_shift" not in flags_of(devices=(device(**changes),))


def test_a_device_that_is_all_silence_or_all_clipped_is_flagged() -> None:
    assert flags_of(devices=(device(silent=20, measured=0, level_dbfs=None),))[
        "silent_device"
    ].subjects == ("hall-2",)
    assert "gain" in flags_of(devices=(device(clipped=20),))["clipped_device"].cause


@pytest.mark.parametrize(
    "changes",
    [
        {"silent": 19},
        {"analysed": 2, "sessions": 2, "silent": 2},
        {"analysed": 0, "sessions": 20, "silent": 0},  # all failed: nothing is known
        {"analysed": 3, "silent": 3, "baseline_silent": 150},  # often silent
        {"analysed": 3, "silent": 3, "baseline_analysed": 0},  # nothing known of it, and few
    ],
)
def test_some_silence_is_no_silent_device(changes: dict[str, Any]) -> None:
    assert "silent_device" not in flags_of(devices=(device(**changes),))


def absent(**changes: Any) -> AbsentDevice:
    values: dict[str, Any] = {
        "device": "gate-7", "now": 0, "last_at": AT, "days": 7, "sessions": 70,
        "expected": 12.0, "fewest": 0, "days_alike": 20,
    }  # fmt: skip
    return AbsentDevice(**(values | changes))


def test_a_device_that_is_missed_is_flagged() -> None:
    flag = flags_of(absent_devices=(absent(),))["absent_device"]
    assert flag.subjects == ("gate-7",)
    assert "0 sessions, about 12 were due" in flag.cause
    stragglers = absent(now=2, expected=20.0, fewest=5)
    assert "Hardly anything" in flags_of(absent_devices=(stragglers,))["absent_device"].title
    few_but_regular = absent(expected=3.0, fewest=3, sessions=21)
    assert "absent_device" in flags_of(absent_devices=(few_but_regular,))


def test_a_device_that_may_stay_away_is_not_missed() -> None:
    assert "absent_device" not in flags_of(absent_devices=(absent(expected=3.0),))
    assert "absent_device" not in flags_of(absent_devices=(absent(days=1),))
    too_early_in_the_day = absent(expected=0.4, fewest=9)
    assert "absent_device" not in flags_of(absent_devices=(too_early_in_the_day,))
    assert "absent_device" not in flags_of(absent_devices=(absent(now=2, expected=9.0, fewest=5),))
    nothing = flags_of(absent_devices=(absent(),), sessions=Counts(), days=(day(counts=Counts()),))
    assert "absent_device" not in nothing
    assert "idle_weekday" in nothing


def test_more_events_than_usual_are_flagged() -> None:
    flag = flags_of(events=EventCounts(total=9), event_lines=(event(),))["events"]
    assert (flag.value, flag.baseline) == (9.0, 1.0)
    assert "events" not in flags_of(events=EventCounts(total=4))
    assert "events" not in flags_of(events=EventCounts(total=9), baseline=baseline()[-4:])
    none_before = baseline(emergency_events=0)
    assert "events" not in flags_of(events=EventCounts(total=2), baseline=none_before)


def test_a_week_is_compared_with_weeks() -> None:
    week = tuple(day(f"2026-11-{n:02d}") for n in range(2, 9))
    assert "events" not in flags_of(events=EventCounts(total=9), days=week)
    assert "events" in flags_of(events=EventCounts(total=20), days=week)


def test_a_changed_mix_of_noises_names_what_moved() -> None:
    changed = {"engine_idling": 200.0, "dog_bark": 300.0, "rain": 500.0}
    flag = flags_of(days=(day(noise_s=changed),))["class_shift"]
    assert flag.value > 0.2
    assert "rain 0 % before, 50 % now" in flag.cause


@pytest.mark.parametrize(
    "changes",
    [
        {"noise_s": {"engine_idling": 500.0, "dog_bark": 390.0, "unknown": 110.0}},
        {"noise_s": {"rain": 1.0}, "noise_sessions": 19},
        {"noise_s": {"engine_idling": 300.0, "dog_bark": 600.0, "unknown": 100.0},
         "noise_sessions": 21},
    ],
)  # fmt: skip
def test_a_mix_within_chance_has_not_changed(changes: dict[str, Any]) -> None:
    assert "class_shift" not in flags_of(days=(day(**changes),))


def test_the_stability_index_is_symmetric_and_zero_for_the_same_mix() -> None:
    other = {"engine_idling": 1.0, "rain": 1.0}
    assert stability_index(MIX, {name: 7 * value for name, value in MIX.items()}) == 0.0
    assert stability_index(MIX, other) == pytest.approx(stability_index(other, MIX))


def model(name: str, confidence: float, sessions: int = 100) -> ModelFigures:
    return ModelFigures(
        model=name, sessions=sessions, mean_confidence=confidence, sd_confidence=0.1
    )


def test_a_new_model_that_is_less_sure_is_flagged() -> None:
    flag = flags_of(models=(model("b", 0.6),), baseline_models=(model("a", 0.8),))[
        "confidence_drop"
    ]
    assert flag.subjects == ("b",)
    assert "0.60" in flag.cause
    assert "with a before" in flag.cause


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ((model("b", 0.75),), (model("a", 0.8),)),
        ((model("a", 0.6),), (model("a", 0.8),)),  # no new model: the noises are others
        ((model("b", 0.6, 19),), (model("a", 0.8),)),
        ((model("b", 0.6),), ()),
    ],
)
def test_no_drop_of_confidence(now: tuple[Any, ...], before: tuple[Any, ...]) -> None:
    assert "confidence_drop" not in flags_of(models=now, baseline_models=before)


def test_a_weekday_without_sessions_is_flagged_and_the_backlog_is_named() -> None:
    idle = {"sessions": Counts(), "days": (day(counts=Counts()),)}
    assert "Nothing was waiting" in flags_of(**idle)["idle_weekday"].cause
    waiting = flags_of(**idle, backlog=Backlog(sessions=3, batches=1, age_s=9.0))["idle_weekday"]
    assert "4 unfinished" in waiting.cause


def test_a_weekend_without_sessions_is_no_flag_and_no_data_is_not_green() -> None:
    sunday = {"sessions": Counts(), "days": (day("2026-11-01", counts=Counts()),)}
    verdict, reasons, _ = judge(figures(**sunday))
    assert (verdict, "as is usual" in reasons[0]) == (Verdict.GREEN, True)
    verdict, reasons, flags = judge(figures(**sunday, baseline=()))
    assert (verdict, flags) == (Verdict.AMBER, ())
    assert reasons[0].startswith("No data")


def schedule(gap_h: float | None, limit_h: float = 30.0) -> ScheduleLine:
    return ScheduleLine(
        name="cleanup-failed", every="daily", runs=0, failed=1, last_at=AT,
        longest_gap_s=None if gap_h is None else gap_h * 3600, limit_s=limit_h * 3600,
    )  # fmt: skip


def test_a_job_that_did_not_run_is_flagged() -> None:
    flag = flags_of(schedules=(schedule(45.0),))["missed_schedule"]
    assert (flag.value, flag.limit, flag.subjects) == (45.0, 30.0, ("cleanup-failed",))
    assert "last good run 2026-11-02 03:00 UTC" in flag.cause
    assert "1 run failed" in flag.cause
    assert "missed_schedule" not in flags_of(schedules=(schedule(29.0), schedule(None)))


def test_runs_that_prefect_missed_are_flagged_and_its_silence_is_not() -> None:
    run = MissedRun(name="brave-ibex", state="Late", expected_at=AT + timedelta(hours=1))
    assert "brave-ibex: Late" in flags_of(missed_runs=(run,))["missed_schedule"].cause
    assert flags_of(missed_runs=()) == flags_of(missed_runs=None) == {}


def test_a_disk_that_fills_up_is_flagged() -> None:
    def disk(days: float | None) -> DiskFigures:
        return DiskFigures(path="/data", free_bytes=10**9, total_bytes=10**12, days_to_full=days)

    assert flags_of(disk=disk(5.0))["disk_full"].verdict is Verdict.AMBER
    assert flags_of(disk=disk(1.0))["disk_full"].verdict is Verdict.RED
    assert "disk_full" not in flags_of(disk=disk(8.0))
    assert "disk_full" not in flags_of(disk=disk(None))


def test_the_gravest_flag_is_the_verdict_and_comes_first() -> None:
    verdict, reasons, flags = judge(
        figures(
            schedules=(schedule(45.0),),
            events=EventCounts(total=1, violations=1),
            event_lines=(event(violation=True, max_attenuation_db=2.0),),
        )
    )
    assert verdict is Verdict.RED
    assert [flag.rule for flag in flags] == ["safety_violation", "missed_schedule"]
    assert reasons == tuple(flag.title for flag in flags)
