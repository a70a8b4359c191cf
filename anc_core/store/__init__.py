"""The store: sessions, their windows, events and metrics, batches, reports and the audit log.

One model and one migration tree for SQLite and PostgreSQL. Functions take a database session
``db`` first and never commit; :meth:`Database.begin` commits on success and rolls back on error::

    database = open_database("sqlite:///anc.db")
    with database.begin() as db:
        claim = store.claim(db, request, Owner.current())

Names are loaded on first use (PEP 562): importing this package imports no SQLAlchemy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.lazy import lazy_names

if TYPE_CHECKING:
    from anc_core.store.analyses import analyse_period
    from anc_core.store.api_requests import (
        ApiFigures,
        EndpointFigures,
        api_request_figures,
        record_api_request,
        record_api_requests,
    )
    from anc_core.store.audit import record_audit
    from anc_core.store.batches import BatchProgress, batch_progress, close_batch, open_batch
    from anc_core.store.bulk import insert_rows
    from anc_core.store.claims import (
        Claim,
        ClaimRequest,
        Outcome,
        Released,
        claim,
        heartbeat,
        release,
    )
    from anc_core.store.daily_aggregates import (
        daily_figures,
        database_bytes,
        roll_up,
        roll_up_sessions,
    )
    from anc_core.store.database import Database, open_database, open_existing
    from anc_core.store.identifiers import new_session_id, validate_session_id
    from anc_core.store.integrity import check_integrity
    from anc_core.store.ledger import (
        FinishedSource,
        finished_by_fingerprint,
        finished_sources,
        is_known_output,
    )
    from anc_core.store.models import mark_promoted, record_model
    from anc_core.store.noise_totals import totals_of
    from anc_core.store.owner import Owner
    from anc_core.store.report_noise import (
        NoiseFacts,
        confidence_facts,
        level_facts,
        noise_facts,
        noise_totals_between,
    )
    from anc_core.store.report_queries import (
        ACKNOWLEDGE,
        JOB_DONE,
        JOB_FAILED,
        MAX_EVENT_LOSS_DB,
        EventFacts,
        FailureFacts,
        JobRun,
        LateFacts,
        QualityFacts,
        SessionFacts,
        acknowledged,
        emergency_counts,
        emergency_facts,
        emergency_kinds,
        failure_facts,
        gate_violations,
        job_runs,
        late_facts,
        latest_output,
        model_in_use,
        quality_facts,
        session_facts,
        unfinished,
    )
    from anc_core.store.reports import StoredReport, report_sizes, save_report, stored_report
    from anc_core.store.session_analysis import analyse_session
    from anc_core.store.sessions import (
        find_by_fingerprint,
        finish,
        get_session,
        list_sessions,
        sessions_between,
    )

_HOMES = {
    "api_requests": (
        "ApiFigures",
        "EndpointFigures",
        "api_request_figures",
        "record_api_request",
        "record_api_requests",
    ),
    "analyses": ("analyse_period",),
    "audit": ("record_audit",),
    "batches": ("BatchProgress", "batch_progress", "close_batch", "open_batch"),
    "bulk": ("insert_rows",),
    "claims": (
        "Claim",
        "ClaimRequest",
        "Outcome",
        "Released",
        "claim",
        "heartbeat",
        "release",
    ),
    "daily_aggregates": (
        "daily_figures",
        "database_bytes",
        "roll_up",
        "roll_up_sessions",
    ),
    "database": ("Database", "open_database", "open_existing"),
    "identifiers": ("new_session_id", "validate_session_id"),
    "integrity": ("check_integrity",),
    "ledger": (
        "FinishedSource",
        "finished_by_fingerprint",
        "finished_sources",
        "is_known_output",
    ),
    "models": ("mark_promoted", "record_model"),
    "noise_totals": ("totals_of",),
    "owner": ("Owner",),
    "report_noise": (
        "NoiseFacts",
        "confidence_facts",
        "level_facts",
        "noise_facts",
        "noise_totals_between",
    ),
    "report_queries": (
        "ACKNOWLEDGE",
        "JOB_DONE",
        "JOB_FAILED",
        "MAX_EVENT_LOSS_DB",
        "EventFacts",
        "FailureFacts",
        "JobRun",
        "LateFacts",
        "QualityFacts",
        "SessionFacts",
        "acknowledged",
        "emergency_counts",
        "emergency_facts",
        "emergency_kinds",
        "failure_facts",
        "gate_violations",
        "job_runs",
        "late_facts",
        "latest_output",
        "model_in_use",
        "quality_facts",
        "session_facts",
        "unfinished",
    ),
    "reports": ("StoredReport", "report_sizes", "save_report", "stored_report"),
    "session_analysis": ("analyse_session",),
    "sessions": (
        "find_by_fingerprint",
        "finish",
        "get_session",
        "list_sessions",
        "sessions_between",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ACKNOWLEDGE",
    "JOB_DONE",
    "JOB_FAILED",
    "MAX_EVENT_LOSS_DB",
    "ApiFigures",
    "BatchProgress",
    "Claim",
    "ClaimRequest",
    "Database",
    "EndpointFigures",
    "EventFacts",
    "FailureFacts",
    "FinishedSource",
    "JobRun",
    "LateFacts",
    "NoiseFacts",
    "Outcome",
    "Owner",
    "QualityFacts",
    "Released",
    "SessionFacts",
    "StoredReport",
    "acknowledged",
    "analyse_period",
    "analyse_session",
    "api_request_figures",
    "batch_progress",
    "check_integrity",
    "claim",
    "close_batch",
    "confidence_facts",
    "daily_figures",
    "database_bytes",
    "emergency_counts",
    "emergency_facts",
    "emergency_kinds",
    "failure_facts",
    "find_by_fingerprint",
    "finish",
    "finished_by_fingerprint",
    "finished_sources",
    "gate_violations",
    "get_session",
    "heartbeat",
    "insert_rows",
    "is_known_output",
    "job_runs",
    "late_facts",
    "latest_output",
    "level_facts",
    "list_sessions",
    "mark_promoted",
    "model_in_use",
    "new_session_id",
    "noise_facts",
    "noise_totals_between",
    "open_batch",
    "open_database",
    "open_existing",
    "quality_facts",
    "record_api_request",
    "record_api_requests",
    "record_audit",
    "record_model",
    "release",
    "report_sizes",
    "roll_up",
    "roll_up_sessions",
    "save_report",
    "session_facts",
    "sessions_between",
    "stored_report",
    "totals_of",
    "unfinished",
    "validate_session_id",
]

__getattr__ = lazy_names(__name__, _HOME_OF)
