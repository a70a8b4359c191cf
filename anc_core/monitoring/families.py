"""Every metric there is: its name, what it means, its labels.

Names and units are those of Prometheus' conventions. No label holds what a user wrote: statuses,
error codes and kinds of sounds are words of this program, jobs and models are few, roots are those
of ``ANC_ALLOWED_ROOTS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Samples: TypeAlias = dict[tuple[str, tuple[str, ...]], float]
"""Family and values of its labels, in their order, to the present value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["counter", "gauge"] = "gauge"


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name=name, help=text, labels=labels, kind="counter")


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name=name, help=text, labels=labels)


BUILD = _gauge("anc_build_info", "1; what runs here.", "version", "database")
STORE_UP = _gauge("anc_store_up", "1 if the session store answers and has this version's schema.")

SESSIONS = _counter(
    "anc_sessions_total",
    "Sessions that ended, by their latest result of a day; deleted ones included.",
    "status",
)
FAILURES = _counter("anc_session_failures_total", "Failed sessions by error code.", "error_code")
AUDIO_S = _counter("anc_audio_seconds_total", "Audio of processed sessions (ok, degraded).")
PROCESSING_S = _counter(
    "anc_processing_seconds_total",
    "Time that processed sessions took; over anc_audio_seconds_total it is the real-time factor.",
)
EMERGENCIES = _counter(
    "anc_emergency_events_total", "Emergency events of recorded sessions.", "event_type"
)
VIOLATIONS = _counter(
    "anc_safety_violations_total", "Emergency events that lost more than 1 dB in the output."
)

DAY_SESSIONS = _gauge(
    "anc_day_sessions",
    "Sessions that ended on a day of UTC, deleted ones included; day is today or yesterday.",
    "day",
    "status",
)
RECENT_SESSIONS = _gauge(
    "anc_recent_sessions",
    "Sessions in the store that ended within the window, 1h or 24h.",
    "window",
    "status",
)
RECENT_AUDIO_S = _gauge(
    "anc_recent_audio_seconds", "Audio of sessions processed within the window.", "window"
)
RECENT_PROCESSING_S = _gauge(
    "anc_recent_processing_seconds", "Time that they took within the window.", "window"
)
RECENT_VIOLATIONS = _gauge(
    "anc_recent_safety_violations",
    "Emergency events that lost more than 1 dB, of sessions that ended within the window.",
    "window",
)
STORED = _gauge("anc_stored_sessions", "Sessions in the store now.", "status")

RUNNING = _gauge("anc_running_sessions", "Sessions that a worker is at.")
STALE = _gauge("anc_stale_sessions", "Running sessions whose worker is dead.")
RUNNING_AGE_S = _gauge(
    "anc_oldest_running_session_age_seconds", "Since the oldest session in work was begun."
)
HEARTBEAT_AGE_S = _gauge(
    "anc_oldest_heartbeat_age_seconds", "Since the longest silent session in work was heard of."
)
OPEN_BATCHES = _gauge("anc_open_batches", "Batches that were begun and have not ended.")
BATCH_AGE_S = _gauge("anc_oldest_open_batch_age_seconds", "Since the oldest of them was begun.")
WAITING = _gauge(
    "anc_waiting_recordings",
    "Recordings that open batches planned and nobody has begun; what a batch leaves out as done "
    "before counts until the batch ends.",
)

DELIVERIES = _gauge("anc_alert_deliveries", "Alerts in the delivery log, tests included.", "status")
PENDING_AGE_S = _gauge(
    "anc_oldest_pending_alert_age_seconds", "Since the oldest alert that waits was enlisted."
)

API_REQUESTS = _gauge(
    "anc_recent_api_requests", "Requests to the service within the window.", "window", "code_class"
)
API_LATENCY_S = _gauge(
    "anc_recent_api_request_duration_seconds",
    "Quantiles of the duration of those whose duration is known.",
    "window",
    "quantile",
)

DATABASE_BYTES = _gauge("anc_database_bytes", "Size of the session store without its log.")
WAL_BYTES = _gauge("anc_database_wal_bytes", "Size of SQLite's write-ahead log.")
UNUSED_BYTES = _gauge(
    "anc_database_unused_bytes", "Of a SQLite store, what a vacuum would give back."
)
DISK_FREE_BYTES = _gauge(
    "anc_disk_free_bytes", "Free for this user where home, database and roots lie.", "place"
)
DISK_BYTES = _gauge("anc_disk_size_bytes", "Size of the same disks.", "place")

JOB_SUCCESS = _gauge(
    "anc_job_last_success_timestamp_seconds", "When a periodic job last ended well.", "name"
)
JOB_FAILURE = _gauge(
    "anc_job_last_failure_timestamp_seconds", "When a periodic job last failed.", "name"
)
HEALTH = _gauge(
    "anc_health_status", "What the last scheduled health check said: 0 ok, 1 degraded, 2 critical."
)
HEALTH_AT = _gauge("anc_health_timestamp_seconds", "When the last scheduled health check ended.")
MODEL = _gauge("anc_model_info", "1; the model of each kind that is in use.", "kind", "model")
MODEL_OK = _gauge(
    "anc_model_ok", "1 if the model in use can be opened, 0 if it is refused.", "kind"
)
COLLECTION_S = _gauge("anc_collection_seconds", "How long it took to find all this out.")

FAMILIES: tuple[Family, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Family)
)
"""In the order in which they are exposed."""
