"""Ledger, batches, audit log, integrity."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, insert, select, text, update
from store_samples import NOW, dead_owner, process, result, take

from anc_core.errors import ErrorCode, InputError, StoreError
from anc_core.records import Status
from anc_core.store import (
    BatchProgress,
    backlog,
    batch_progress,
    check_integrity,
    close_batch,
    close_silent_batches,
    finished_by_fingerprint,
    finished_sources,
    is_known_output,
    open_batch,
    record_audit,
)
from anc_core.store.rows import session_values
from anc_core.store.tables import AudioSession, AuditEntry, Batch


def fill(database, count):
    """Insert ``count`` finished sessions quickly."""
    common = session_values(result("x", source_digest="d", source_bytes=7))
    common |= {"attempt": 1, "created_at": NOW, "on_hold": False, "source_mtime_ns": 9}
    rows = [
        common | {"id": f"s{i}", "fingerprint": f"f{i}", "source_path": f"/audio/{i}.wav"}
        for i in range(count)
    ]
    with database.begin() as db:
        db.execute(insert(AudioSession.__table__), rows)


# ---------------------------------------------------------------------------------------- ledger
def test_the_ledger_knows_what_is_finished(database):
    session_id = process(database, "a")
    process(database, "b", status=Status.FAILED, error_code=ErrorCode.LAG)
    take(database, "c")
    with database.read() as db:
        found = finished_sources(db, [f"/audio/{name}.wav" for name in "abcd"])
    assert list(found) == ["/audio/a.wav"]
    (entry,) = found["/audio/a.wav"]
    assert (entry.session_id, entry.fingerprint, entry.status) == (session_id, "a", Status.OK)
    assert (entry.source_bytes, entry.source_mtime_ns) == (320_044, 1_714_564_800_000_000_001)
    assert (entry.source_digest, entry.output_path, entry.duration_s) == (
        "digest-a",
        "/out/a.wav",
        10.0,
    )


def test_a_source_with_two_presets_has_two_entries_oldest_first(database):
    for name, hours in (("new", 1), ("old", 0)):
        process(
            database, name, source_path="/audio/x.wav", finished_at=NOW + timedelta(hours=hours)
        )
    with database.read() as db:
        entries = finished_sources(db, ["/audio/x.wav", "/audio/x.wav"])["/audio/x.wav"]
    assert [entry.fingerprint for entry in entries] == ["old", "new"]


def test_the_ledger_finds_fingerprints(database):
    process(database, "a")
    take(database, "b")
    with database.read() as db:
        assert set(finished_by_fingerprint(db, ["a", "b", "c"])) == {"a"}
        assert finished_by_fingerprint(db, []) == {}


def test_odd_file_names_are_found_again(database):
    names = ["/a/\udcff.wav", "/a/\x1a00ff", "/a/ü'\"%s.wav", "/" + "x" * 4095]
    for i, name in enumerate(names):
        process(database, f"f{i}", source_path=name)
    with database.read() as db:
        assert set(finished_sources(db, names)) == set(names)


def test_an_output_is_known_once_its_session_is_finished(database):
    process(database, "done")
    process(database, "bad", status=Status.FAILED, error_code=ErrorCode.LAG)
    take(database, "running")
    with database.read() as db:
        known = [is_known_output(db, f"/out/{n}.wav") for n in ("done", "bad", "running", "none")]
    assert known == [True, False, False, False]


def test_many_paths_are_asked_for_in_small_statements(database):
    fill(database, 2000)
    sizes = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _c, _cursor, _s, parameters, _ctx, _m: sizes.append(len(parameters)),
    )
    with database.read() as db:
        found = finished_sources(db, [f"/audio/{i}.wav" for i in range(4000)])
    assert len(found) == 2000
    assert max(sizes) <= 500 + 3  # and the three statuses


def test_the_ledger_uses_its_index(sqlite_url, open_store):
    with open_store(sqlite_url).read() as db:
        plan = db.execute(
            text("EXPLAIN QUERY PLAN SELECT id FROM audio_sessions WHERE source_path IN ('a', 'b')")
        ).all()
    assert "ix_audio_sessions_source_path" in plan[0][-1]


# --------------------------------------------------------------------------------------- batches
def test_a_batch_tells_how_far_it_is(database):
    with database.begin() as db:
        open_batch(db, "b1", {"preset": "default"}, 5)
    process(database, "a", batch_id="b1", duration_s=10.0)
    process(database, "b", batch_id="b1", duration_s=2.5, status=Status.DEGRADED)
    process(database, "c", batch_id="b1", status=Status.FAILED)
    take(database, "d", batch_id="b1", owner=dead_owner())
    process(database, "elsewhere")
    with database.read() as db:
        assert batch_progress(db, "b1") == BatchProgress(done=2, failed=1, running=1, audio_s=12.5)
        assert batch_progress(db, "b2") == BatchProgress(done=0, failed=0, running=0, audio_s=0.0)


def test_a_batch_whose_process_was_killed_is_closed_when_its_last_session_ended(database):
    ended = NOW - timedelta(hours=3)
    with database.begin() as db:
        for name in ("killed", "at-work", "resting", "empty"):
            open_batch(db, name, {}, 5, now=NOW - timedelta(hours=4))
        open_batch(db, "young", {}, 5, now=NOW)
        open_batch(db, "over", {}, 5, now=NOW - timedelta(hours=4))
        close_batch(db, "over", {"ok": 5}, "ok", now=ended)
    process(database, "a", batch_id="killed")
    process(database, "b", batch_id="at-work")
    take(database, "c", batch_id="at-work")
    process(database, "d", batch_id="resting")
    with database.begin() as db:
        rows = update(AudioSession).where(AudioSession.batch_id.in_(["killed", "at-work"]))
        db.execute(rows.where(AudioSession.finished_at.is_not(None)).values(finished_at=ended))
        db.execute(
            update(AudioSession)
            .where(AudioSession.batch_id == "resting")
            .values(finished_at=NOW - timedelta(minutes=59))
        )
    with database.begin() as db:
        assert set(close_silent_batches(db, NOW - timedelta(hours=1))) == {"killed", "empty"}
        assert close_silent_batches(db, NOW - timedelta(hours=1)) == []
    with database.read() as db:
        killed, empty, over = (db.get(Batch, name) for name in ("killed", "empty", "over"))
        assert (killed.status, killed.counts, killed.finished_at) == (
            *("failed", {"stopped": True}),
            ended,
        )
        assert empty.finished_at == NOW - timedelta(hours=4)
        assert (over.status, over.counts) == ("ok", {"ok": 5})
        assert backlog(db).open_batches == 3


def test_a_closed_batch_keeps_its_counts(database):
    with database.begin() as db:
        open_batch(db, "b1", {"preset": "default"}, 5, now=NOW)
        close_batch(db, "b1", {"ok": 5}, "completed", now=NOW + timedelta(hours=1))
    with database.read() as db:
        batch = db.get(Batch, "b1")
        assert batch is not None
        assert (batch.status, batch.planned, batch.counts) == ("completed", 5, {"ok": 5})
        assert batch.parameters == {"preset": "default"}
        assert (batch.created_at, batch.finished_at) == (NOW, NOW + timedelta(hours=1))


def test_a_batch_can_be_resumed(database):
    with database.begin() as db:
        open_batch(db, "b1", {}, 5, now=NOW)
        close_batch(db, "b1", {"ok": 2}, "failed")
    with database.begin() as db:
        open_batch(db, "b1", {}, 3, now=NOW + timedelta(hours=1))
    with database.read() as db:
        batch = db.get(Batch, "b1")
        assert batch is not None
        assert (batch.status, batch.planned, batch.finished_at) == ("running", 3, None)
        assert batch.created_at == NOW


def test_an_unknown_batch_cannot_be_closed(database):
    with pytest.raises(StoreError, match="'b1'"), database.begin() as db:
        close_batch(db, "b1", {}, "completed")


def test_a_bad_batch_id_is_refused(database):
    with pytest.raises(InputError, match="batch_id"), database.begin() as db:
        open_batch(db, "../b1", {}, 1)


# ----------------------------------------------------------------------------------------- audit
def test_the_audit_log_grows_in_order(database):
    with database.begin() as db:
        record_audit(db, "hold", "s1", {"reason": "<b>"}, "anna", now=NOW)
        record_audit(db, "delete", "s2", {}, "schedule")
    with database.read() as db:
        first, second = db.scalars(select(AuditEntry).order_by(AuditEntry.id))
        assert (first.action, first.subject, first.detail) == ("hold", "s1", {"reason": "<b>"})
        assert (first.actor, first.at) == ("anna", NOW)
        assert second.action == "delete"


def test_nan_has_no_place_in_the_audit_log(database):
    with pytest.raises(InputError, match="JSON"), database.begin() as db:
        record_audit(db, "x", "y", {"value": float("nan")}, "z")


# ------------------------------------------------------------------------------------- integrity
def test_a_sound_database_has_no_findings(database):
    process(database)
    assert check_integrity(database) == []


def test_orphans_are_found(sqlite_url, open_store):
    database = open_store(sqlite_url)
    process(database)
    # A foreign tool: SQLite enforces foreign keys only where a connection asks for it.
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as other:
        other.execute("DELETE FROM audio_sessions")
        other.commit()
    assert check_integrity(database) == [
        "noise_detections: 2 rows without their session",
        "noise_totals: 1 rows without their session",
        "noise_events: 1 rows without their session",
        "processing_metrics: 2 rows without their session",
        "level_spans: 1 rows without their session",
    ]


def test_a_damaged_page_is_found(sqlite_url, open_store):
    database = open_store(sqlite_url)
    fill(database, 200)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.dispose()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    content = bytearray(file.read_bytes())
    content[-8192:] = b"\xff" * 8192  # the last two pages: sessions or their indexes
    file.write_bytes(content)
    assert check_integrity(database) != []
