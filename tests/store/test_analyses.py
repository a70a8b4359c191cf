"""The figures of a period and of a session, worked out by hand, on both databases."""

from __future__ import annotations

from datetime import date, timedelta
from math import log10
from pathlib import Path

import pytest
from analysis_samples import DAY, at, fill
from sqlalchemy import event, text

from anc_core.analysis_records import (
    Dimension,
    Filters,
    HeatCell,
    NoiseShare,
    Period,
    PeriodAnalysis,
    Statistic,
)
from anc_core.classifier.stream import SILENCE
from anc_core.errors import InputError, SessionNotFoundError
from anc_core.records import Status
from anc_core.store import analyse_period, analyse_session
from anc_core.store.noise_view import SILENCE as STORED_SILENCE
from anc_core.store.noise_view import exceeded

GOLDEN = Path(__file__).parents[1] / "golden" / "analysis"


def analysed(database, period=DAY, **words) -> PeriodAnalysis:
    with database.read() as db:
        return analyse_period(db, period, **words)


# ------------------------------------------------------------------------------- processing view
def test_the_processing_view_is_of_sessions_that_finished(analysed_day):
    done = analysed(analysed_day).performance_statistics
    # s1 s2 s4 ok, s3 degraded, s5 s6 failed; s7 finished when the day was over, s10 runs.
    assert done.by_status == {"degraded": 1, "failed": 2, "ok": 3}
    assert (done.sessions, done.failure_rate) == (6, 2 / 6)
    # 10 + 20 + 30 + 40 s, each processed at 50 times real time.
    assert (done.audio_s, done.wall_s, done.speed_x) == (100.0, 2.0, 50.0)
    assert done.became_noisier == 1


def test_a_statistic_shows_how_many_it_is_of_and_weights_its_mean(analysed_day):
    done = analysed(analysed_day).performance_statistics
    assert done.cancellation_db == Statistic(
        n=3,
        null_n=1,  # s4
        mean=(10 * 10 + 20 * 20 + 30 * -2) / 60,
        median=10.0,
        p10=-2 + 0.2 * 12,  # of -2, 10, 20: a fifth of the way from the first to the second
        p90=20 - 0.2 * 10,
        min=-2.0,
        max=20.0,
        too_few=True,
    )
    assert done.snr_improvement_db == Statistic(n=0, null_n=4)


def test_failures_are_grouped_by_code_with_the_latest_as_example(analysed_day):
    done = analysed(analysed_day).performance_statistics
    (failure,) = done.failures
    assert (failure.error_code, failure.count, failure.session_id) == ("EMPTY_FILE", 2, "s6")
    assert failure.message == "s6 says EMPTY_FILE"
    (degraded,) = done.degradations
    assert (degraded.status, degraded.error_code, degraded.count) == (
        Status.DEGRADED,
        "SPEECH_LOSS",
        1,
    )


def test_a_day_of_23_hours_has_23_hours(analysed_day):
    done = analysed(analysed_day).performance_statistics
    assert len(done.by_hour) == 23
    assert [(one.start, one.counts) for one in done.by_hour if one.counts] == [
        (at("03-28T23:00"), {"ok": 1}),
        (at("03-29T01:00"), {"ok": 1}),
        (at("03-29T12:00"), {"degraded": 1}),
        (at("03-29T13:00"), {"ok": 1}),
        (at("03-29T20:00"), {"failed": 2}),
    ]
    assert [(one.day, sum(one.counts.values())) for one in done.by_day] == [(date(2026, 3, 29), 6)]


# ------------------------------------------------------------------------------------ noise view
def test_the_noise_view_is_of_sessions_that_were_recorded(analysed_day):
    heard = analysed(analysed_day).noise_statistics
    # s1 s2 s3 s7; s4 is not dated, s5 and s6 hold no sound.
    assert (heard.sessions, heard.audio_s, heard.undated) == (4, 70.0, 1)
    assert (heard.events, heard.emergency_events, heard.safety_violations) == (2, 1, 1)
    assert heard.windows == 5
    assert heard.confidence_histogram == (1, 0, 0, 0, 0, 0, 0, 0, 1, 3)


def test_seconds_are_the_union_of_windows_that_overlap(analysed_day):
    assert analysed(analysed_day).noise_distribution == (
        # Energy means: two windows at -20 dBFS and one without a level; one each.
        NoiseShare(noise_type="fan", seconds=1.5, share=1.5 / 3.5, windows=3, events=1,
                   leq_dbfs=-20.0),
        NoiseShare(noise_type="rain", seconds=1.0, share=1 / 3.5, windows=1, leq_dbfs=-30.0),
        NoiseShare(noise_type="siren", seconds=1.0, share=1 / 3.5, windows=1, events=1,
                   emergency_events=1, leq_dbfs=-10.0),
    )  # fmt: skip


def test_hours_of_the_heat_map_are_those_of_the_clock_on_the_wall(analysed_day):
    assert analysed(analysed_day).noise_statistics.heat_map == (
        HeatCell(hour=0, noise_type="fan", seconds=1.5),
        HeatCell(hour=1, noise_type="rain", seconds=0.5),
        HeatCell(hour=3, noise_type="rain", seconds=0.5),
        HeatCell(hour=14, noise_type="siren", seconds=1.0),
    )


def test_levels_are_energy_means_and_silence_lasts(analysed_day):
    levels = analysed(analysed_day).noise_statistics.levels
    # 10 s and 10 s at 10^-2, 20 s at 10^-3, 30 s of nothing.
    assert levels.seconds == 70.0
    assert levels.leq_dbfs == pytest.approx(10 * log10((0.2 + 0.02) / 70), abs=1e-7)
    # 7 s lie within the 20 s at -20; 35 s within those and the 20 s at -30; 63 s in the silence.
    assert (levels.l10_dbfs, levels.l50_dbfs, levels.l90_dbfs) == (-20.0, -30.0, None)


def test_an_emergency_has_its_time_and_says_what_it_lost(analysed_day):
    (alarm,) = analysed(analysed_day).emergency_events
    assert (alarm.session_id, alarm.at, alarm.device_id) == ("s3", at("03-29T12:00:02"), "B")
    assert (alarm.max_attenuation_db, alarm.is_violation) == (1.5, True)


def test_sessions_without_a_time_are_in_the_noise_view_by_finish(analysed_day):
    found = analysed(analysed_day, noise_by="finished")
    assert (found.noise_statistics.sessions, found.noise_statistics.undated) == (4, 0)
    shares = {one.noise_type: one.seconds for one in found.noise_distribution}
    assert shares == {"fan": 2.5, "rain": 1.0, "siren": 1.0}
    assert sum(cell.seconds for cell in found.noise_statistics.heat_map) == 3.5


def test_a_device_that_fell_silent_is_named(analysed_day):
    (silent,) = analysed(analysed_day).silent_devices
    assert (silent.device_id, silent.sessions_before, silent.last_at) == (
        "D",
        1,
        at("03-28T12:00"),
    )


# ------------------------------------------------------------------------------- groups, filters
def test_groups_share_a_key_and_count_both_views(analysed_day):
    found = analysed(analysed_day, group_by=["device"], compare=False)
    rows = [
        (g.key["device"], g.performance_statistics.sessions, g.noise_statistics.sessions)
        for g in found.groups
    ]
    assert rows == [("A", 4, 2), ("B", 2, 1), ("C", 0, 1)]
    a = found.groups[0]
    assert a.performance_statistics.cancellation_db.mean == (10 * 10 + 20 * 20) / 30
    assert [one.noise_type for one in a.noise_distribution] == ["fan", "rain"]


def test_a_session_is_in_the_group_of_every_noise_it_holds(analysed_day):
    found = analysed(analysed_day, group_by=["noise_type"], compare=False)
    rows = [
        (g.key["noise_type"], g.performance_statistics.sessions, len(g.noise_distribution))
        for g in found.groups
    ]
    # s4 finished in the period with a fan but is not in the noise view.
    assert rows == [("fan", 2, 1), ("rain", 1, 1), ("siren", 1, 1)]
    assert found.performance_statistics.sessions == 6


def test_two_dimensions_and_nulls(analysed_day):
    found = analysed(analysed_day, group_by=["site", "status"], compare=False)
    assert [tuple(g.key.values()) for g in found.groups] == [
        ("north", "degraded"),
        ("north", "failed"),
        ("north", "ok"),
        (None, "ok"),
    ]


@pytest.mark.parametrize(
    ("filters", "finished", "recorded"),
    [
        ({"device": ("A",)}, 4, 2),
        ({"device": ("A", "B")}, 6, 3),
        ({"status": ("failed",)}, 2, 0),
        ({"noise_type": ("fan",)}, 2, 1),
        ({"noise_type": ("rain", "siren"), "device": ("B",)}, 1, 1),
        ({"preset": ("other",)}, 0, 0),
    ],
)
def test_filters(analysed_day, filters, finished, recorded):
    found = analysed(analysed_day, filters=Filters(**filters), compare=False)
    assert found.performance_statistics.sessions == finished
    assert found.noise_statistics.sessions == recorded
    wanted = set(filters.get("noise_type", ()))
    assert not wanted or {one.noise_type for one in found.noise_distribution} <= wanted


# ------------------------------------------------------------------------------------ comparison
def test_comparison_with_the_day_before_and_28_days(analysed_day):
    found = {one.name: one for one in analysed(analysed_day).comparison}
    # The day before: s9. The 28 days: s8 and s9, for a day of them.
    sessions = found["sessions"]
    assert (sessions.value, sessions.previous, sessions.baseline) == (6, 1, 2 / 28)
    assert (sessions.n, sessions.trend) == (1, None)
    assert found["cancellation_db_median"].previous == 5.0
    assert found["cancellation_db_median"].baseline == 6.5


def test_a_trend_needs_five(database):
    from store_samples import process

    for day, count in ((2, 5), (3, 10)):
        for number in range(count):
            process(
                database, f"d{day}-{number}", finished_at=at(f"05-0{day}T12:00"), duration_s=1.0
            )
    found = {
        one.name: one for one in analysed(database, Period.of_day(date(2026, 5, 3))).comparison
    }
    assert (found["sessions"].trend, found["real_time_factor_median"].trend) == ("up", "steady")
    fewer = Period(start=at("05-03T00:00"), end=at("05-03T00:00"))
    assert {one.trend for one in analysed(database, fewer).comparison} == {None}


# ------------------------------------------------------------------------- both databases, speed
def test_the_whole_record_is_the_golden_one_on_both_databases(analysed_day):
    found = analysed(analysed_day, group_by=["device"])
    assert found.to_json(indent=1) + "\n" == (GOLDEN / "period.json").read_text()


def test_queries_of_a_day_use_the_indexes(database):
    if database.dialect != "sqlite":
        pytest.skip("a planner with statistics reads a small table whole, and is right")
    seen = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *args: seen.append((args[2], args[3]))
    )
    analysed(database, group_by=["device"])
    with database.engine.connect() as connection:
        plans = [
            [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
            for sql, values in list(seen)
            if sql.lstrip().startswith(("SELECT", "WITH"))
        ]
    assert len(plans) > 10
    for plan in plans:
        assert not [step for step in plan if step.startswith("SCAN audio_sessions")], plan
    flat = [step for plan in plans for step in plan]
    for index in ("finished_view", "recorded_view"):
        assert any(f"COVERING INDEX ix_audio_sessions_{index}" in step for step in flat)
    assert any("noise_totals USING PRIMARY KEY (session_id" in step for step in flat)
    assert any("ix_noise_events_is_emergency" in step for step in flat)


def test_an_empty_database_answers(database):
    found = analysed(database, group_by=["device", "noise_type"])
    assert found.is_empty
    assert (found.groups, found.noise_distribution, found.emergency_events) == ((), (), ())
    assert found.noise_statistics.levels.leq_dbfs is None
    assert found.performance_statistics.speed_x is None


def test_all_failed_and_all_null_answer(database):
    from store_samples import process

    from anc_core.records import Metrics

    noon = at("05-01T12:00")
    for number in range(6):
        process(database, f"x{number}", status=Status.FAILED, finished_at=noon, windows=(),
                events=(), intervals=(), duration_s=None, metrics=Metrics())  # fmt: skip
    found = analysed(database, Period.of_day(date(2026, 5, 1))).performance_statistics
    assert (found.failure_rate, found.cancellation_db) == (1.0, Statistic())
    process(database, "ok", finished_at=noon, windows=(), events=(), intervals=(),
            duration_s=None, metrics=Metrics())  # fmt: skip
    found = analysed(database, Period.of_day(date(2026, 5, 1)), noise_by="finished")
    assert found.performance_statistics.cancellation_db == Statistic(null_n=1)
    assert found.noise_statistics.levels.leq_dbfs is None


# --------------------------------------------------------------------------------------- session
def test_a_session_says_the_same_as_a_period_of_it_alone(analysed_day):
    with analysed_day.read() as db:
        one = analyse_session(db, "s1")
    only = analysed(
        analysed_day, filters=Filters(device=("A",), noise_type=("fan",)), compare=False
    )
    assert one.noise_distribution == only.noise_distribution
    assert one.confidence_histogram == only.noise_statistics.confidence_histogram
    assert one.input_levels.leq_dbfs == pytest.approx(-20.0)
    assert [(s.start_s, s.end_s, s.channel, s.windows) for s in one.timeline] == [
        (0.0, 1.5, 0, 2),
        (0.0, 1.0, 1, 1),
    ]
    assert one.quality_gate.passed


def test_a_degraded_session_says_why(analysed_day):
    with analysed_day.read() as db:
        one = analyse_session(db, "s3")
    assert not one.quality_gate.passed
    assert one.quality_gate.worst_alarm_attenuation_db == 1.5
    assert one.emergency_events == analysed(analysed_day).emergency_events
    assert one.error_code == "SPEECH_LOSS"


def test_a_session_is_ranked_among_its_peers(database):
    from store_samples import process

    from anc_core.records import Metrics

    for number in range(6):
        metrics = Metrics(cancellation_db=float(number), real_time_factor=0.01 * (number + 1))
        process(database, f"p{number}", metrics=metrics)
    with database.read() as db:
        (row,) = [s for s in _sessions(db) if s.metrics.cancellation_db == 4.0]
        found = analyse_session(db, row.session_id).performance_statistics
    assert (found.peers, found.cancellation_rank, found.speed_rank) == (5, 0.8, 0.2)


def _sessions(db):
    from anc_core.store import list_sessions

    return list(list_sessions(db))


def test_an_unknown_session_is_an_error(database):
    with (
        pytest.raises(SessionNotFoundError, match="'nix' is not in the store"),
        database.read() as db,
    ):
        analyse_session(db, "nix")


# ---------------------------------------------------------------------------------- small pieces
def test_periods_follow_the_clock_on_the_wall():
    assert (DAY.hours, DAY.num_days) == (23.0, 1.0)
    assert DAY.previous() == Period.of_day(date(2026, 3, 28), "Europe/Berlin")
    assert DAY.before().num_days == 28
    assert Period.of_day(date(2026, 10, 25), "Europe/Berlin").hours == 25
    assert len(list(Period.of_day(date(2026, 10, 25), "Europe/Berlin").hour_starts())) == 25
    half = Period.of_day(date(2026, 5, 1), "Asia/Kolkata")
    assert next(half.hour_starts()) == half.start
    with pytest.raises(InputError, match="Mars/X"):
        Period.of_day(date(2026, 1, 1), "Mars/X")
    with pytest.raises(ValueError, match="before it starts"):
        Period(start=DAY.end, end=DAY.start)


def test_silence_is_called_what_the_classifier_calls_it():
    assert STORED_SILENCE == SILENCE


def test_percentiles_of_levels_count_time():
    assert exceeded([(-200, 1.0), (-300, 8.0), (-400, 1.0)]) == {
        "l10_dbfs": -20.0,
        "l50_dbfs": -30.0,
        "l90_dbfs": -30.0,
    }
    assert exceeded([]) == {}
    assert exceeded([(None, 3.0)])["l50_dbfs"] is None


def test_dimensions_and_filters_are_the_same_names():
    assert set(Filters.model_fields) == {one.value for one in Dimension}


@pytest.mark.parametrize("hours", [0, 1, 12])
def test_sums_of_hours_are_those_of_the_day(analysed_day, hours):
    # [start, end) tiles: no session is lost or counted twice at a border.
    step = timedelta(hours=hours or 23)
    moment, total = DAY.start, 0
    while moment < DAY.end:
        part = Period(start=moment, end=min(moment + step, DAY.end))
        total += analysed(analysed_day, part, compare=False).performance_statistics.sessions
        moment += step
    assert total == 6


def test_totals_were_made_for_sessions_older_than_their_table(database):
    """The migration adds up what is there."""
    from alembic import command

    from anc_core.store.schema import alembic_config

    fill(database)
    before = analysed(database).to_json()
    with database.engine.begin() as connection:
        config = alembic_config(connection)
        command.downgrade(config, "v0001")
        command.upgrade(config, "head")
        assert connection.execute(text("SELECT count(*) FROM noise_totals")).scalar_one() == 5
    assert analysed(database).to_json() == before
