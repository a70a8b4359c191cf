"""Days in figures: rolled up as often as one likes, and they outlive their sessions."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from analysis_samples import at, fill
from sqlalchemy import delete

from anc_core.errors import InputError
from anc_core.store import daily_figures, roll_up, roll_up_sessions
from anc_core.store.tables import AudioSession

DAY, ZONE = date(2026, 3, 29), "Europe/Berlin"


def rolled_up(database, day=DAY, zone=ZONE):
    with database.begin() as db:
        return roll_up(db, day, zone, now=at("04-01T00:00"))


def remove(database, *names):
    with database.begin() as db:
        db.execute(delete(AudioSession).where(AudioSession.id.in_(names)))


def test_a_day_holds_what_trends_need(analysed_day):
    day = rolled_up(analysed_day)
    done, heard = day.processing, day.noise
    assert (done.sessions, done.by_status) == (6, {"degraded": 1, "failed": 2, "ok": 3})
    assert (done.audio_s, done.real_time_factor.median, done.real_time_factor_p95) == (
        100.0,
        0.02,
        0.02,
    )
    assert done.cancellation_by_preset == {"default": done.cancellation_db}
    assert (done.cancellation_db.median, done.cancellation_db.n) == (10.0, 3)
    assert (done.failures_by_code, done.became_noisier) == ({"EMPTY_FILE": 2}, 1)
    assert heard.class_seconds == {"fan": 1.5, "rain": 1.0, "siren": 1.0}
    assert heard.class_events == {"fan": 1, "siren": 1}
    assert (heard.emergency_events, heard.safety_violations) == (1, 1)
    assert heard.levels.l10_dbfs == -20.0
    assert set(heard.device_leq_dbfs) == {"A", "C"}  # B was silent
    assert day.database_bytes


def test_rolling_up_again_changes_nothing(analysed_day):
    first, second = rolled_up(analysed_day), rolled_up(analysed_day)
    assert first.processing == second.processing
    assert first.noise == second.noise
    with analysed_day.read() as db:
        (stored,) = daily_figures(db, DAY, DAY + timedelta(days=1), ZONE)
        assert (stored.processing, stored.noise) == (first.processing, first.noise)
        assert daily_figures(db, DAY, DAY, ZONE) == []
        assert daily_figures(db, DAY, DAY + timedelta(days=1), "Asia/Tokyo") == []


def test_trends_outlive_deleted_sessions(database):
    fill(database)
    before = rolled_up(database)
    remove(database, "s1", "s2", "s3", "s4")
    after = rolled_up(database)
    assert (after.processing, after.noise) == (before.processing, before.noise)


def test_a_late_session_counts(database):
    fill(database)
    with database.begin() as db:
        db.execute(delete(AudioSession).where(AudioSession.id == "s3"))
    before = rolled_up(database)
    from store_samples import process

    process(database, "late", finished_at=at("03-29T15:00"))
    after = rolled_up(database)
    assert after.processing.sessions == before.processing.sessions + 1
    assert after.noise == before.noise  # it has no time of recording


def test_the_views_are_kept_apart(database):
    fill(database)
    before = rolled_up(database)
    remove(database, "s4")  # not in the noise view
    from store_samples import take

    take(database, "x", recorded_at=at("03-29T15:00"))  # runs: in neither view
    after = rolled_up(database)
    assert after.processing == before.processing
    assert after.noise == before.noise


def test_before_sessions_go_their_days_are_rolled_up_in_every_zone_in_use(database):
    fill(database)
    rolled_up(database, date(2026, 1, 1))  # somebody reports in Berlin's time
    with database.begin() as db:
        # s1 was recorded and finished on the 28th of UTC, the 29th of Berlin; s7 on 29th and 30th.
        assert roll_up_sessions(db, ["s1", "s7", "nix"]) == 4
        utc = daily_figures(db, date(2026, 3, 1), date(2026, 4, 1))
        berlin = daily_figures(db, date(2026, 3, 1), date(2026, 4, 1), ZONE)
    assert [(one.day.day, one.processing.sessions) for one in utc] == [(28, 2), (29, 6)]
    assert [(one.day.day, one.processing.sessions) for one in berlin] == [(29, 6), (30, 1)]


def test_an_empty_day_is_a_row_of_zeros(database):
    day = rolled_up(database)
    assert (day.processing.sessions, day.noise.sessions) == (0, 0)
    assert day.processing.real_time_factor_p95 is None


def test_an_unknown_zone_is_refused(database):
    with pytest.raises(InputError, match="Mars/X"):
        rolled_up(database, zone="Mars/X")
