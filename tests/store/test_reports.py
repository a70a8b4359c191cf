"""What reports ask the store: half-open stretches, both views, jobs, revisions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from store_samples import request, result

from anc_core import store
from anc_core.errors import ErrorCode, WarningCode
from anc_core.records import Metrics, Remark, Status
from anc_core.store import Database, Owner
from anc_core.store.job_history import JOB_DONE, JOB_FAILED

START = datetime(2026, 11, 3, tzinfo=UTC)
END = START + timedelta(days=1)


def put(database: Database, name: str, **changes: Any) -> str:
    """Claim and finish a session called ``name``; its devices and places come with the request."""
    asked = {
        key: changes.pop(key)
        for key in ("device_id", "site", "recorded_at", "batch_id", "preset")
        if key in changes
    }
    with database.begin() as db:
        claim = store.claim(db, request(name, **asked), Owner.current())
        fields: dict[str, Any] = {"finished_at": START + timedelta(hours=9), **asked, **changes}
        store.finish(db, result(claim.session_id, name, **fields), Owner.current())
    return claim.session_id


def failed(code: ErrorCode, message: str) -> dict[str, Any]:
    return {"status": Status.FAILED, "error_code": code, "error_message": message,
            "metrics": Metrics(), "events": (), "windows": (), "intervals": ()}  # fmt: skip


def emergency(loss_db: float | None, noise_type: str = "siren") -> dict[str, Any]:
    event = result("x").events[0]
    return {
        "events": (
            event.model_copy(update={"max_attenuation_db": loss_db, "noise_type": noise_type}),
        )
    }


def test_a_session_belongs_to_the_stretch_that_it_finished_in(database: Database) -> None:
    for name, at in (("a", START - timedelta(seconds=1)), ("b", START), ("c", END)):
        put(database, name, finished_at=at, device_id=name)
    clipped = Remark(code=WarningCode.CLIPPED, message="2 samples are clipped")
    put(database, "d", device_id="d", warnings=(clipped,))
    with database.read() as db:
        facts = list(store.session_facts(db, START, END))
    assert {fact.device_id: fact.clipped for fact in facts} == {"b": False, "d": True}
    assert facts[0].finished_at.tzinfo is not None
    assert facts[0].cancellation_db == 12.5


def test_failures_are_grouped_with_an_example_and_their_devices(database: Database) -> None:
    for n in range(3):
        put(database, f"n{n}", device_id="a" if n else "b",
            **failed(ErrorCode.NO_SPACE, f"{n}: the disk is full"))  # fmt: skip
    put(database, "m", **failed(ErrorCode.NOT_AUDIO, "is text"))
    with database.read() as db:
        facts = store.failure_facts(db, START, END)
    assert [(fact.code, fact.sessions) for fact in facts] == [("NO_SPACE", 3), ("NOT_AUDIO", 1)]
    assert facts[0].devices == ("a", "b")
    assert facts[0].message.endswith("the disk is full")
    assert facts[1].devices == ()


def test_sessions_to_look_at_are_degraded_louder_or_lost_voice(database: Database) -> None:
    def measured(**figures: float) -> dict[str, Any]:
        return {"metrics": Metrics(**figures)}

    put(database, "fine", **measured(cancellation_db=9.0, speech_level_change_db=-0.5))
    put(database, "louder", **measured(cancellation_db=-2.0))
    put(database, "voice", **measured(cancellation_db=9.0, speech_level_change_db=-4.0))
    put(database, "degraded", status=Status.DEGRADED, reason="LAG: 3 samples")
    with database.read() as db:
        facts = store.quality_facts(
            db, START, END, louder_below_db=0.0, voice_below_db=-1.0, limit=10
        )
    names = [fact.source_path.rpartition("/")[2] for fact in facts]
    assert names == ["degraded.wav", "voice.wav", "louder.wav"]
    assert facts[0].reason == "LAG: 3 samples"


def test_emergency_events_come_with_violations_first(database: Database) -> None:
    put(database, "kept", device_id="a", **emergency(0.3))
    put(database, "lost", device_id="b", **emergency(1.5, "smoke_alarm"))
    put(database, "at the limit", device_id="b", **emergency(1.0))
    put(database, "unknown", **emergency(None))
    with database.read() as db:
        facts = store.emergency_facts(db, START, END, 10)
        assert store.emergency_counts(db, START, END) == (4, 1)
        assert store.emergency_kinds(db, START, END) == {
            ("a", "siren"), ("b", "smoke_alarm"), ("b", "siren"), (None, "siren"),
        }  # fmt: skip
        assert store.emergency_counts(db, END, END + timedelta(days=1)) == (0, 0)
    assert facts[0].noise_type == "smoke_alarm"
    assert facts[0].channels == [0]


def test_unsafe_sessions_and_acknowledgements_are_found(database: Database) -> None:
    unsafe = put(database, "u", status=Status.DEGRADED, error_code=ErrorCode.SAFETY)
    other = put(database, "o")
    with database.begin() as db:
        store.record_audit(db, store.ACKNOWLEDGE, other, {}, "somebody")
    with database.read() as db:
        assert store.gate_violations(db, START, END) == [unsafe]
        assert store.acknowledged(db, {unsafe, other}) == {other}


def test_the_backlog_is_what_was_open_at_that_moment(database: Database) -> None:
    with database.begin() as db:
        store.open_batch(db, "old", {}, 5, now=START - timedelta(hours=3))
        store.open_batch(db, "done", {}, 5, now=START - timedelta(hours=9))
        store.close_batch(db, "done", {}, "ok", now=START - timedelta(hours=1))
        store.open_batch(db, "later", {}, 5, now=END)
    put(database, "in time", finished_at=START)
    with database.read() as db:
        sessions, batches, oldest = store.unfinished(db, START)
        assert (sessions, batches, oldest) == (0, 1, START - timedelta(hours=3))
        assert store.unfinished(db, START - timedelta(hours=2))[1] == 2
        assert store.unfinished(db, START - timedelta(days=9)) == (0, 0, None)


def test_runs_of_jobs_are_those_of_the_audit_log(database: Database) -> None:
    with database.begin() as db:
        for hour, action in ((1, JOB_DONE), (2, JOB_FAILED), (3, "delete")):
            at = START + timedelta(hours=hour)
            store.record_audit(db, action, "vacuum", {}, "schedule", now=at)
    with database.read() as db:
        runs = store.job_runs(db, START, START + timedelta(hours=4))
        assert [(run.job, run.at.hour, run.failed) for run in runs] == [
            ("vacuum", 1, False), ("vacuum", 2, True),
        ]  # fmt: skip
        assert store.job_runs(db, START, START + timedelta(hours=1)) == []


def test_late_sessions_are_of_the_period_by_either_view(database: Database) -> None:
    made = START + timedelta(hours=8)
    since = START + timedelta(hours=12)
    put(database, "in time", recorded_at=made, finished_at=made)
    put(database, "same day", finished_at=since)
    put(database, "day after", recorded_at=made, finished_at=END + timedelta(hours=5))
    put(database, "of another day", recorded_at=END, finished_at=END + timedelta(hours=5),
        output_path="/out/last.wav")  # fmt: skip
    with database.read() as db:
        count, facts = store.late_facts(db, START, END, since, 1)
        assert store.latest_output(db, END + timedelta(days=1)) == "/out/last.wav"
        assert store.latest_output(db, START) is None
    assert count == 2
    assert [fact.source_path for fact in facts] == ["/audio/day after.wav"]


def test_what_was_heard_belongs_to_the_day_it_was_recorded(database: Database) -> None:
    put(database, "today", recorded_at=START + timedelta(hours=8), model_id="a")
    put(database, "yesterday", recorded_at=START - timedelta(hours=8), model_id="a")
    put(database, "undated", model_id="b")
    with database.read() as db:
        noise = store.noise_facts(db, START, END)
        by_quarter = store.noise_totals_between(db, START, END)
        sure = store.confidence_facts(db, START, END)
        levels = list(store.level_facts(db, START, END))
    assert (noise.seconds, noise.recordings, noise.undated) == ({"siren": 4.0}, 2, 1)
    moments = sorted(datetime.fromtimestamp(when, UTC).hour for _, when, _ in by_quarter)
    assert moments == [8, 9]  # recorded at 8, and undated but processed at 9
    assert [(one.model_id, one.recordings, one.sd) for one in sure] == [
        ("a", 1, None),
        ("b", 1, None),
    ]
    assert sure[0].mean == pytest.approx(0.85, abs=0.051)
    assert sum(len(column[0]) for column in levels) == 4


def test_a_report_is_one_row_for_each_period_and_zone(database: Database) -> None:
    today = START.date()

    def save(revision: int, zone: str = "UTC", day: date = today) -> None:
        with database.begin() as db:
            store.save_report(
                db, "daily", day, zone, revision=revision, verdict="GREEN",
                figures={"disk": {"free_bytes": revision}}, paths={"html": "/r.html"}, now=END,
            )  # fmt: skip

    save(1)
    save(2)
    save(7, "Europe/Berlin", date(2026, 11, 2))
    with database.read() as db:
        kept = store.stored_report(db, "daily", START.date(), "UTC")
        assert kept is not None
        assert (kept.revision, kept.created_at) == (2, END)
        assert store.stored_report(db, "daily", START.date(), "Europe/Berlin") is None
        assert store.stored_report(db, "weekly", START.date(), "UTC") is None
        sizes = store.report_sizes(db, date(2026, 11, 1), START.date())
    assert sizes == [(date(2026, 11, 2), {"free_bytes": 7}), (START.date(), {"free_bytes": 2})]


def test_the_model_in_use_is_the_one_promoted_last(database: Database) -> None:
    with database.begin() as db:
        for name, hour in (("a", 1), ("b", 2)):
            store.record_model(db, name, kind="k", path="/", digest="d", card={})
            store.mark_promoted(db, name, now=START + timedelta(hours=hour))
    with database.read() as db:
        assert store.model_in_use(db, END, "k") == "b"
        assert store.model_in_use(db, START + timedelta(hours=2), "k") == "a"
        assert store.model_in_use(db, END, "other") is None
