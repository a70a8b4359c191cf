"""Requests and results for tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from anc_core.records import (
    Event,
    IntervalMetrics,
    LevelSpan,
    Metrics,
    SessionSummary,
    Status,
    Window,
)
from anc_core.store import Claim, ClaimRequest, Database, Outcome, Owner, claim, finish

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
# No process has this id: Linux counts to 2**22.
DEAD_PID = 2**22 + 1


def request(fingerprint: str = "f1", **changes: Any) -> ClaimRequest:
    fields: dict[str, Any] = {
        "source_path": f"/audio/{fingerprint}.wav",
        "source_digest": f"digest-{fingerprint}",
        "source_bytes": 320_044,
        "source_mtime_ns": 1_714_564_800_000_000_001,
        "output_path": f"/out/{fingerprint}.wav",
        "temp_path": f"/out/.{fingerprint}.part",
    }
    return ClaimRequest(fingerprint=fingerprint, **(fields | changes))


def dead_owner() -> Owner:
    here = Owner.current()
    return Owner(here.host, DEAD_PID, here.started_at)


def remote_owner() -> Owner:
    return Owner("another-host.invalid", 1, NOW)


def result(session_id: str, fingerprint: str = "f1", **changes: Any) -> SessionSummary:
    fields: dict[str, Any] = {
        "status": Status.OK,
        "source_path": f"/audio/{fingerprint}.wav",
        "output_path": f"/out/{fingerprint}.wav",
        "duration_s": 10.0,
        "metrics": Metrics(cancellation_db=12.5, wall_s=0.25, real_time_factor=0.025),
        "intervals": (interval(0), interval(1)),
        "level_spans": (
            LevelSpan(channel=0, start_s=0, end_s=10, input_laeq_dbfs=-40, input_levels=(-80, 80)),
        ),
        "windows": (
            Window(start_s=0, end_s=1, channel=0, noise_type="siren", confidence=0.9),
            Window(start_s=1, end_s=2, channel=0, noise_type="siren", confidence=0.8),
        ),
        "events": (
            Event(
                noise_type="siren",
                start_s=0,
                end_s=2,
                is_emergency=True,
                channels=(0,),
                peak_confidence=0.9,
                mean_confidence=0.85,
                window_count=2,
            ),
        ),
        "finished_at": NOW,
    }
    return SessionSummary(session_id=session_id, fingerprint=fingerprint, **(fields | changes))


def interval(index: int) -> IntervalMetrics:
    return IntervalMetrics(
        index=index,
        start_s=float(index),
        end_s=index + 1.0,
        input_rms_dbfs=-30.0,
        output_rms_dbfs=None,
    )


def take(
    database: Database, fingerprint: str = "f1", owner: Owner | None = None, **kw: Any
) -> Claim:
    """Claim and commit."""
    with database.begin() as db:
        return claim(db, request(fingerprint, **kw), owner or Owner.current(), now=NOW)


def process(database: Database, fingerprint: str = "f1", **changes: Any) -> str:
    """Claim and finish; return the session's id."""
    taken = take(database, fingerprint, batch_id=changes.get("batch_id"))
    assert taken.outcome is Outcome.CLAIMED
    with database.begin() as db:
        finish(db, result(taken.session_id, fingerprint, **changes), Owner.current())
    return taken.session_id
