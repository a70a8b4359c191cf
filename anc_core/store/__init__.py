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
    from anc_core.store.audit import record_audit
    from anc_core.store.batches import BatchProgress, batch_progress, close_batch, open_batch
    from anc_core.store.claims import (
        Claim,
        ClaimRequest,
        Outcome,
        Released,
        claim,
        heartbeat,
        release,
    )
    from anc_core.store.compaction import Compaction, vacuum
    from anc_core.store.database import Database, open_database, open_existing
    from anc_core.store.identifiers import new_session_id, validate_session_id
    from anc_core.store.integrity import check_integrity
    from anc_core.store.job_runs import (
        LastRun,
        first_entry,
        last_entry,
        last_runs,
        note_job_run,
    )
    from anc_core.store.ledger import (
        FinishedSource,
        finished_by_fingerprint,
        finished_sources,
        is_known_output,
        known_outputs,
        known_sessions,
        known_temporaries,
        output_paths,
    )
    from anc_core.store.models import mark_promoted, record_model
    from anc_core.store.owner import Owner
    from anc_core.store.retention import (
        Doomed,
        Retention,
        RetentionCounts,
        candidates,
        child_counts,
        claimed_paths,
        count_retention,
        count_rows,
        days_of_retention,
        held_sessions,
        mark,
        mark_sessions,
        marked,
        remove_marked,
        set_hold,
        thin_out,
    )
    from anc_core.store.sessions import (
        find_by_fingerprint,
        finish,
        get_session,
        list_sessions,
        sessions_between,
    )
    from anc_core.store.vitals import (
        check_writable,
        clock_error_s,
        database_file,
        dead_sessions,
        latest_moment,
        latest_output,
        live_sessions,
        load_driver,
    )

_HOMES = {
    "audit": ("record_audit",),
    "batches": ("BatchProgress", "batch_progress", "close_batch", "open_batch"),
    "claims": (
        "Claim",
        "ClaimRequest",
        "Outcome",
        "Released",
        "claim",
        "heartbeat",
        "release",
    ),
    "compaction": ("Compaction", "vacuum"),
    "database": ("Database", "open_database", "open_existing"),
    "identifiers": ("new_session_id", "validate_session_id"),
    "integrity": ("check_integrity",),
    "job_runs": (
        "LastRun",
        "first_entry",
        "last_entry",
        "last_runs",
        "note_job_run",
    ),
    "ledger": (
        "FinishedSource",
        "finished_by_fingerprint",
        "finished_sources",
        "is_known_output",
        "known_sessions",
        "output_paths",
        "known_temporaries",
        "known_outputs",
    ),
    "models": ("mark_promoted", "record_model"),
    "owner": ("Owner",),
    "retention": (
        "Doomed",
        "Retention",
        "RetentionCounts",
        "candidates",
        "child_counts",
        "claimed_paths",
        "count_retention",
        "count_rows",
        "days_of_retention",
        "held_sessions",
        "mark",
        "mark_sessions",
        "marked",
        "remove_marked",
        "set_hold",
        "thin_out",
    ),
    "sessions": (
        "find_by_fingerprint",
        "finish",
        "get_session",
        "list_sessions",
        "sessions_between",
    ),
    "vitals": (
        "check_writable",
        "clock_error_s",
        "database_file",
        "dead_sessions",
        "latest_moment",
        "latest_output",
        "live_sessions",
        "load_driver",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BatchProgress",
    "Claim",
    "ClaimRequest",
    "Compaction",
    "Database",
    "Doomed",
    "FinishedSource",
    "LastRun",
    "Outcome",
    "Owner",
    "Released",
    "Retention",
    "RetentionCounts",
    "batch_progress",
    "candidates",
    "check_integrity",
    "check_writable",
    "child_counts",
    "claim",
    "claimed_paths",
    "clock_error_s",
    "close_batch",
    "count_retention",
    "count_rows",
    "database_file",
    "days_of_retention",
    "dead_sessions",
    "find_by_fingerprint",
    "finish",
    "finished_by_fingerprint",
    "finished_sources",
    "first_entry",
    "get_session",
    "heartbeat",
    "held_sessions",
    "is_known_output",
    "known_outputs",
    "known_sessions",
    "known_temporaries",
    "last_entry",
    "last_runs",
    "latest_moment",
    "latest_output",
    "list_sessions",
    "live_sessions",
    "load_driver",
    "mark",
    "mark_promoted",
    "mark_sessions",
    "marked",
    "new_session_id",
    "note_job_run",
    "open_batch",
    "open_database",
    "open_existing",
    "output_paths",
    "record_audit",
    "record_model",
    "release",
    "remove_marked",
    "sessions_between",
    "set_hold",
    "thin_out",
    "vacuum",
    "validate_session_id",
]

__getattr__ = lazy_names(__name__, _HOME_OF)
