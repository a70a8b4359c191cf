"""The present values: from the store, the disks and the models; nothing is written or created."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from anc_core.bundles.registry import active_bundle, shipped_models
from anc_core.classifier.models import find_classifier
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.maintenance.health.questions import Answer, HealthStatus, Question, ask_all
from anc_core.maintenance.health.storage import disk_places, existing, opened
from anc_core.monitoring import families as f
from anc_core.monitoring.families import Family, Samples
from anc_core.periodic_jobs import PERIODIC_JOBS
from anc_core.records import Status
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    Totals,
    api_request_figures,
    backlog,
    database_bytes,
    database_file,
    dead_sessions,
    deliveries_by_status,
    last_health,
    last_runs,
    recent_totals,
    stored_sessions,
    totals_by_day,
    unused_bytes,
)
from anc_core.version import __version__

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

EMERGENCY_TYPES = ("alarm_tone", "co_alarm", "evacuation_tone", "siren", "smoke_alarm")
"""What the detector calls emergencies (``anc_core.emergency.events``)."""
MODEL_KINDS = ("emergency", "noise-classifier", "suppressor")
OTHER = "other"
"""Label of words that this program does not use: they came with an import."""
WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(days=1)}
API_WINDOW, API_WINDOW_LENGTH = "15m", timedelta(minutes=15)

_ENDED = (Status.OK, Status.DEGRADED, Status.SKIPPED, Status.FAILED)
_DELIVERY_STATUSES = ("pending", "delivered", "suppressed", "failed")
_JOB_LOOK_BACK = timedelta(days=400)
_DISK_PATIENCE_S = 2.0


class Readings:
    """Samples that are being collected."""

    def __init__(self) -> None:
        self.samples: Samples = {}

    def put(self, family: Family, value: float | None, *labels: str) -> None:
        """Add a sample; what is not known has none."""
        if value is not None:
            self.samples[family.name, labels] = float(value)

    def add(self, family: Family, value: float, *labels: str) -> None:
        """Add to a sample: several words may stand for one label."""
        key = (family.name, labels)
        self.samples[key] = self.samples.get(key, 0.0) + value


def read_store(settings: Settings, now: datetime) -> Samples:
    """Return what the store knows.

    Raises
    ------
    StoreError, SchemaError
        If it does not answer, is not there or has another version's schema.
    """
    readings = Readings()
    with opened(settings) as database, database.read() as db:
        readings.put(f.BUILD, 1, __version__, database.dialect)
        _totals(readings, totals_by_day(db, now), now)
        _recent(readings, db, now)
        _work(readings, db, settings, now)
        _alerts(readings, db, now)
        _requests(readings, db, now)
        _upkeep(readings, db, now)
        _space(readings, db, database)
    readings.put(f.STORE_UP, 1)
    return readings.samples


def read_disks(settings: Settings) -> Samples:
    """Return how full the disks are; one that does not answer within 2 s has no sample."""
    readings = Readings()

    def ask(name: str, path: Path) -> Answer:
        found = os.statvfs(existing(path))
        readings.put(f.DISK_FREE_BYTES, found.f_bavail * found.f_frsize, name)
        readings.put(f.DISK_BYTES, found.f_blocks * found.f_frsize, name)
        return Answer.ok(name)

    questions = [
        Question(name=f"metrics: {name}", ask=lambda name=name, path=path: ask(name, path))  # type: ignore[misc]
        for name, path in disk_places(settings).items()
    ]
    ask_all(questions, total_s=_DISK_PATIENCE_S)
    return dict(readings.samples)  # who comes late adds to what nobody looks at


def read_models(settings: Settings) -> Samples:
    """Return which models are in use, and whether they can be opened."""
    readings = Readings()
    for kind in MODEL_KINDS:
        try:
            if kind == "noise-classifier":
                bundle = find_classifier(
                    settings.models_dir,
                    model=settings.ml_model_path,
                    scaler=settings.ml_scaler_path,
                )
            else:
                bundle = active_bundle(kind, [settings.models_dir, shipped_models()])
            if bundle is None:
                continue
            for name in bundle.files:
                bundle.read(name)  # compares the digest
        except ModelBundleError as err:
            if err.code is not ErrorCode.MODEL_MISSING:
                readings.put(f.MODEL_OK, 0, kind)
            continue
        readings.put(f.MODEL_OK, 1, kind)
        readings.put(f.MODEL, 1, kind, bundle.model_id)
    return readings.samples


def _totals(readings: Readings, by_day: Mapping[date, Totals], now: datetime) -> None:
    total = Totals()
    for own in by_day.values():
        total.add(own)
    for status in _ENDED:
        readings.put(f.SESSIONS, total.by_status[status], status)
        for name, day in (("today", now.date()), ("yesterday", now.date() - timedelta(days=1))):
            count = by_day[day].by_status[status] if day in by_day else 0
            readings.put(f.DAY_SESSIONS, count, name, status)
    for code, failures in total.failures_by_code.items():
        readings.add(f.FAILURES, failures, code if code in ErrorCode.__members__ else OTHER)
    for noise_type in EMERGENCY_TYPES:
        readings.put(f.EMERGENCIES, 0, noise_type)
    for noise_type, events in total.emergencies_by_type.items():
        readings.add(f.EMERGENCIES, events, noise_type if noise_type in EMERGENCY_TYPES else OTHER)
    readings.put(f.VIOLATIONS, total.safety_violations)
    readings.put(f.AUDIO_S, total.audio_s)
    readings.put(f.PROCESSING_S, total.wall_s)


def _recent(readings: Readings, db: Session, now: datetime) -> None:
    for name, length in WINDOWS.items():
        recent = recent_totals(db, now - length, now)
        for status in _ENDED:
            readings.put(f.RECENT_SESSIONS, recent.by_status[status], name, status)
        readings.put(f.RECENT_AUDIO_S, recent.audio_s, name)
        readings.put(f.RECENT_PROCESSING_S, recent.wall_s, name)
        readings.put(f.RECENT_VIOLATIONS, recent.safety_violations, name)


def _work(readings: Readings, db: Session, settings: Settings, now: datetime) -> None:
    for status, count in stored_sessions(db).items():
        readings.put(f.STORED, count, status)
    found = backlog(db)
    dead = dead_sessions(db, now=now, stale_after_s=settings.stale_after_s)
    readings.put(f.RUNNING, found.running - len(dead))
    readings.put(f.STALE, len(dead))
    readings.put(f.RUNNING_AGE_S, _age(found.oldest_started_at, now))
    readings.put(f.HEARTBEAT_AGE_S, _age(found.oldest_heartbeat_at, now))
    readings.put(f.OPEN_BATCHES, found.open_batches)
    readings.put(f.BATCH_AGE_S, _age(found.oldest_batch_at, now))
    readings.put(f.WAITING, found.waiting)


def _alerts(readings: Readings, db: Session, now: datetime) -> None:
    found = deliveries_by_status(db)
    for status in _DELIVERY_STATUSES:
        readings.put(f.DELIVERIES, found[status].alerts if status in found else 0, status)
    pending = found.get("pending")
    readings.put(f.PENDING_AGE_S, _age(None if pending is None else pending.oldest_at, now))


def _requests(readings: Readings, db: Session, now: datetime) -> None:
    total = api_request_figures(db, now - API_WINDOW_LENGTH, now).total
    errors = total.client_errors + total.server_errors
    readings.put(f.API_REQUESTS, total.requests - errors, API_WINDOW, "1xx-3xx")
    readings.put(f.API_REQUESTS, total.client_errors, API_WINDOW, "4xx")
    readings.put(f.API_REQUESTS, total.server_errors, API_WINDOW, "5xx")
    for quantile, milliseconds in (
        ("0.5", total.p50_ms),
        ("0.95", total.p95_ms),
        ("0.99", total.p99_ms),
    ):
        seconds = None if milliseconds is None else milliseconds / 1000.0
        readings.put(f.API_LATENCY_S, seconds, API_WINDOW, quantile)


def _upkeep(readings: Readings, db: Session, now: datetime) -> None:
    runs = last_runs(db, now - _JOB_LOOK_BACK)
    for job in PERIODIC_JOBS:
        if job.name in runs:
            readings.put(f.JOB_SUCCESS, _timestamp(runs[job.name].done_at), job.name)
            readings.put(f.JOB_FAILURE, _timestamp(runs[job.name].failed_at), job.name)
    health = last_health(db, now)
    if health is not None:
        status, at = health
        readings.put(f.HEALTH, HealthStatus(status).exit_code)
        readings.put(f.HEALTH_AT, at.timestamp())


def _space(readings: Readings, db: Session, database: Database) -> None:
    readings.put(f.DATABASE_BYTES, database_bytes(db))
    readings.put(f.UNUSED_BYTES, unused_bytes(db))
    file = database_file(database.url)
    if file is not None:
        log = file.with_name(file.name + "-wal")
        readings.put(f.WAL_BYTES, log.stat().st_size if log.exists() else 0)


def _age(moment: datetime | None, now: datetime) -> float:
    """Return the seconds since ``moment``; nothing that waits is 0 s old, an alert then rests."""
    return 0.0 if moment is None else max((now - moment).total_seconds(), 0.0)


def _timestamp(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
