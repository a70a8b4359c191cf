"""``anc db seed``: reproducible, whole, and with the anomalies that were asked for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text

from anc_core.analysis_records import Period
from anc_core.errors import InputError
from anc_core.jobs.seed import SeedRequest, seed_store
from anc_core.jobs.seed_draws import Plant
from anc_core.records import SessionSummary
from anc_core.store import analyse_period, check_integrity, get_session, list_sessions, totals_of
from anc_core.store.tables import AuditEntry, Batch, NoiseTotal

LAST = date(2026, 5, 31)


def seed(database, **words):
    fields = {"sessions": 300, "days": 3, "last_day": LAST} | words
    return seed_store(database, SeedRequest(**fields))


def test_what_was_made_up_is_whole(database):
    summary = seed(database)
    assert summary.sessions == 300
    assert summary.windows > 5_000
    assert summary.requests == 3_000
    assert check_integrity(database) == []
    with database.read() as db:
        sessions = list(list_sessions(db))
        assert len(sessions) == 300
        found = [get_session(db, one.session_id) for one in sessions[:40]]
        batches = db.scalars(select(Batch)).all()
        totals = db.execute(
            select(NoiseTotal).where(NoiseTotal.session_id == found[0].session_id)
        ).scalars()
        stored = sorted((t.noise_type, t.quarter, round(t.seconds, 6)) for t in totals)
    one = found[0]
    assert isinstance(one, SessionSummary)
    assert one.windows
    assert one.windows[-1].end_s == one.duration_s
    assert stored == sorted(
        (t["noise_type"], t["quarter"], round(t["seconds"], 6))
        for t in totals_of(one.windows, one.recorded_at)
    )
    assert sum(batch.planned for batch in batches) == sum(s.batch_id is not None for s in sessions)
    assert {s.status for s in sessions} >= {"ok", "failed"}
    assert all(s.error_message for s in sessions if s.status == "failed")
    assert {s.recorded_at.date() for s in sessions} == {LAST - timedelta(days=n) for n in range(3)}


def test_the_same_seed_is_the_same_and_only_once(open_store, tmp_path):
    one, other = (open_store(f"sqlite:///{tmp_path / name}.db") for name in ("a", "b"))
    seed(one, sessions=50)
    seed(other, sessions=50)
    for table in ("audio_sessions", "noise_detections", "noise_events", "api_requests"):
        rows = []
        for database in (one, other):
            with database.read() as db:
                rows.append(db.execute(text(f"SELECT * FROM {table}")).all())
        assert rows[0] == rows[1], table
    with pytest.raises(InputError, match="seed 1 are there already"):
        seed(one)
    seed(one, seed=2, sessions=5)
    assert seed(one, seed=3, sessions=0).sessions == 0


def test_anomalies_are_planted_on_the_last_day(open_store, tmp_path):
    database = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    seed(database, sessions=600, plants=tuple(Plant))
    with database.read() as db:
        day = analyse_period(db, Period.of_day(LAST))
        before = analyse_period(db, Period.of_day(LAST - timedelta(days=1)))
        ran = db.scalar(
            select(func.count()).where(
                AuditEntry.action == "cleanup_failed_sessions", AuditEntry.actor == "schedule"
            )
        )
    assert [one.device_id for one in day.silent_devices] == ["recorder-01"]
    assert day.noise_statistics.safety_violations == 1
    assert day.emergency_events[0].is_violation
    assert day.performance_statistics.failures[0].error_code == "NO_SPACE"
    assert day.performance_statistics.failure_rate > 0.15
    assert day.performance_statistics.became_noisier > 5
    assert ran == 2
    assert before.performance_statistics.failure_rate < 0.1
    assert before.noise_statistics.safety_violations == 0
