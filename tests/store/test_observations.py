"""What monitoring asks the store: totals that outlive cleanup, the backlog, cheap queries."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, event
from store_samples import process, result, take

from anc_core.alerts import alerts_of
from anc_core.records import Event, Metrics, Status
from anc_core.store import (
    Database,
    Totals,
    backlog,
    deliveries_by_status,
    enlist,
    last_health,
    list_sessions,
    open_batch,
    recent_totals,
    record_audit,
    roll_up,
    stored_sessions,
    totals_by_day,
    unused_bytes,
)
from anc_core.store.tables import AudioSession, DailyAggregate

DAY = date(2026, 5, 1)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NEXT_NOON = NOON + timedelta(days=1)


def lossy(loss_db: float) -> Event:
    return result("x").events[0].model_copy(update={"max_attenuation_db": loss_db})


def three(database: Database) -> None:
    """One good session with a siren that lost 3 dB, one failed, one skipped, all at noon."""
    metrics = Metrics(wall_s=0.25)
    process(database, "a", finished_at=NOON, events=(lossy(3.0),), metrics=metrics)
    for name, status, code in (("b", Status.FAILED, "NOT_AUDIO"), ("c", Status.SKIPPED, None)):
        process(
            database, name, finished_at=NOON, status=status, error_code=code, duration_s=99.0,
            events=(), metrics=metrics,
        )  # fmt: skip


EXPECTED = Totals(
    by_status=Counter(ok=1, failed=1, skipped=1),
    failures_by_code=Counter(NOT_AUDIO=1),
    emergencies_by_type=Counter(siren=1),
    safety_violations=1,
    audio_s=10.0,
    wall_s=0.25,
)


def totals(database: Database, now: datetime) -> dict[date, Totals]:
    with database.read() as db:
        return totals_by_day(db, now)


def test_a_day_is_counted_from_its_sessions(database: Database) -> None:
    three(database)
    take(database, "in-work")
    assert totals(database, NOON) == {DAY: EXPECTED}
    with database.read() as db:
        assert recent_totals(db, NOON, NOON + timedelta(hours=1)) == EXPECTED
        assert recent_totals(db, NOON - timedelta(hours=1), NOON) == Totals()
        assert stored_sessions(db) == {"ok": 1, "failed": 1, "skipped": 1, "running": 1}


def test_no_total_changes_when_sessions_are_deleted(database: Database) -> None:
    three(database)
    before = totals(database, NEXT_NOON)
    with database.begin() as db:
        roll_up(db, DAY, now=NOON)  # as cleanup does, in the middle of the day
        db.execute(delete(AudioSession))
    assert totals(database, NEXT_NOON) == before == {DAY: EXPECTED}


def test_who_knows_more_of_a_day_is_believed(database: Database) -> None:
    three(database)
    with database.begin() as db:
        roll_up(db, DAY, now=NOON)
    process(database, "later", finished_at=NOON + timedelta(hours=1), events=())
    (known,) = totals(database, NEXT_NOON).values()
    assert known.by_status == Counter(ok=2, failed=1, skipped=1)


def test_a_day_that_was_rolled_up_after_its_end_is_not_read_again(database: Database) -> None:
    three(database)
    with database.begin() as db:
        roll_up(db, DAY, now=NEXT_NOON)
    process(database, "next-day", finished_at=NEXT_NOON, events=())
    seen: list[Any] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(str(args[3])))
    found = totals(database, NEXT_NOON)
    assert found[DAY] == EXPECTED
    assert found[DAY + timedelta(days=1)].by_status == Counter(ok=1)
    assert not [values for values in seen if "2026-05-01" in values]


def test_an_aggregate_of_an_older_version_counts_without_emergencies(database: Database) -> None:
    three(database)
    with database.begin() as db:
        roll_up(db, DAY, now=NEXT_NOON)
        row = db.query(DailyAggregate).one()
        new = {"emergencies_by_type", "safety_violations"}
        row.processing = {k: v for k, v in row.processing.items() if k not in new}
    (known,) = totals(database, NEXT_NOON).values()
    assert (known.sessions, known.safety_violations) == (3, 0)


def test_an_empty_store_answers(database: Database) -> None:
    assert totals(database, NOON) == {}
    with database.read() as db:
        assert backlog(db) == (0, None, None, 0, 0, None)
        assert deliveries_by_status(db) == {}
        assert last_health(db, NOON) is None
        assert (unused_bytes(db) is None) is (database.dialect == "postgresql")


def test_the_backlog_is_what_was_planned_and_not_begun(database: Database) -> None:
    with database.begin() as db:
        open_batch(db, "b1", {}, 5, now=NOON)
        open_batch(db, "b2", {}, 1, now=NEXT_NOON)
    process(database, "done", batch_id="b1")
    take(database, "in-work", batch_id="b1")
    with database.read() as db:
        found = backlog(db)
    assert (found.running, found.open_batches, found.waiting) == (1, 2, 4)
    assert found.oldest_batch_at == NOON


def test_alerts_are_counted_by_state(database: Database) -> None:
    session_id = process(database, finished_at=NOON)
    with database.begin() as db:
        (summary,) = list_sessions(db, session_ids=[session_id])
        summary = summary.model_copy(update={"events": result("x").events})
        enlist(db, alerts_of(summary), now=NOON)
        assert deliveries_by_status(db) == {"pending": (1, NOON)}


def test_the_last_health_check_is_found(database: Database) -> None:
    with database.begin() as db:
        for hour, status in ((0, "critical"), (1, "ok")):
            at = NOON + timedelta(hours=hour)
            record_audit(db, "health", status, {}, "health-check", now=at)
        assert last_health(db, NEXT_NOON) == ("ok", NOON + timedelta(hours=1))
        assert last_health(db, NOON + timedelta(days=60)) is None


def test_no_query_reads_a_table_whole(database: Database) -> None:
    if database.dialect != "sqlite":
        pytest.skip("a planner with statistics reads a small table whole, and is right")
    seen: list[tuple[str, Any]] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *args: seen.append((args[2], args[3]))
    )
    with database.begin() as db:
        open_batch(db, "b1", {}, 5, now=NOON)
    three(database)
    seen.clear()
    with database.read() as db:
        totals_by_day(db, NEXT_NOON)
        recent_totals(db, NOON, NEXT_NOON)
        stored_sessions(db)
        backlog(db)
        deliveries_by_status(db)
        last_health(db, NOON)
    with database.engine.connect() as connection:
        plans = {
            sql: [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
            for sql, values in list(seen)
            if sql.lstrip().startswith("SELECT")
        }
    assert len(plans) >= 9
    for sql, plan in plans.items():
        for step in plan:
            # Few rows by nature, or an index that holds all that is asked for.
            harmless = "COVERING INDEX" in step or "daily_aggregates" in step or "batches" in step
            assert harmless or not step.startswith("SCAN"), (sql, plan)
    flat = [step for plan in plans.values() for step in plan]
    assert any("COVERING INDEX ix_audio_sessions_finished_view" in step for step in flat)
    assert any("ix_alert_deliveries_status" in step for step in flat)
