"""The one table of deployments; ``prefect.yaml`` is written from it.

All times are UTC. Jobs that look after the installation run one at a time, and a run that comes
while one is at work is cancelled: after an outage the late ones collapse to one. Jobs that delete
are a preview when they are started by hand; their schedules mean it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from anc_core.periodic_jobs import BACKUP, CLEANUP_FAILED, CLEANUP_OLD, DAILY_REPORT, VACUUM

POOL = "anc"
QUEUES = {"high": 1, "normal": 5, "helpers": 6, "low": 10}
"""Work queues and their priority, 1 first."""
OTHERS_QUEUE = "helpers"
"""Not for the worker of ``anc serve``: its machine's cores are busy with the batch itself."""
SCHEDULED_TAG = "scheduled"
"""A failed run with this tag is told to the webhook: nobody looks at it by himself."""
REPORT_TAG = "then-report"
"""A batch whose run has this tag is followed by its analysis and the report of the day."""

Queue = Literal["high", "normal", "helpers", "low"]
Collision = Literal["ENQUEUE", "CANCEL_NEW"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One deployment: a flow, when it runs and with what."""

    slug: str
    """Name of the deployment and of its schedule; ``anc run SLUG``."""
    flow: str
    """Public name in ``flows``."""
    description: str
    tags: tuple[str, ...] = ()
    queue: Queue = "normal"
    parameters: dict[str, Any] = field(default_factory=dict)
    """Of a run that is started by hand."""
    cron: str | None = None
    scheduled_parameters: dict[str, Any] = field(default_factory=dict)
    """Of a run that the schedule starts."""
    one_at_a_time: Collision | None = None
    resumes: bool = False
    """Whether a run that is started again does only what is missing."""

    @property
    def entrypoint(self) -> str:
        """What Prefect imports; the public name does not move when a module does."""
        return f"flows.{self.flow}"

    @property
    def all_tags(self) -> list[str]:
        """Tags, and whether it runs by itself."""
        return ["anc", *self.tags, *([SCHEDULED_TAG] if self.cron else [])]


JOBS: tuple[Job, ...] = (
    Job(
        slug="process",
        flow="process_audio_file",
        description="Remove the noise from one recording; emergency sounds stay untouched.",
        tags=("audio",),
    ),
    Job(
        slug="batch",
        flow="batch_process_files",
        description="Remove the noise from many recordings; one bad file never stops the rest.",
        tags=("audio",),
        resumes=True,
    ),
    Job(
        slug="help-batch",
        flow="help_batch",
        description="Share the batch of another run; a batch with 'spread' above 1 starts it.",
        tags=("audio",),
        queue="helpers",
    ),
    Job(
        slug="alert",
        flow="deliver_emergency_alert",
        description="Post emergency alerts to the webhook; an automation starts it.",
        tags=("alert",),
        queue="high",
        one_at_a_time="ENQUEUE",
    ),
    Job(
        slug="failed-job",
        flow="report_failed_job",
        description="Tell the webhook that a scheduled job failed; an automation starts it.",
        tags=("alert",),
        queue="high",
    ),
    Job(
        slug="train",
        flow="train_noise_classifier",
        description="Train the noise classifier; it is used if it is better than the present one.",
        tags=("model",),
        queue="high",
        one_at_a_time="ENQUEUE",
    ),
    Job(
        slug="train-suppressor",
        flow="train_noise_suppressor",
        description="Train the learned suppressor; needs the extra 'train' (PyTorch).",
        tags=("model",),
        queue="high",
        one_at_a_time="ENQUEUE",
    ),
    Job(
        slug="validate",
        flow="validate_model",
        description="Check the classifier in use; runs by itself after each training.",
        tags=("model",),
        queue="high",
    ),
    Job(
        slug="compare",
        flow="compare_suppressors",
        description="Measure several suppressors on the same recordings, with a page to listen.",
        tags=("lab",),
        queue="low",
    ),
    Job(
        slug="simulate",
        flow="simulate_anc_sweep",
        description="Simulate acoustic ANC over a grid of algorithms and parameters.",
        tags=("lab",),
        queue="low",
    ),
    Job(
        slug="analyze",
        flow="analyze_session_data",
        description="Noise distribution, emergency events and performance of sessions.",
        tags=("report",),
    ),
    Job(
        slug=DAILY_REPORT.name,
        flow="generate_daily_report",
        description="Report of the day before, every day at 01:00 UTC.",
        tags=("report",),
        cron=DAILY_REPORT.cron,
        one_at_a_time="CANCEL_NEW",
    ),
    Job(
        slug="export",
        flow="export_session_data",
        description="Sessions as JSON, JSON lines, CSV or Parquet.",
        tags=("data",),
    ),
    Job(
        slug="import-requests",
        flow="import_api_requests",
        description="Read the log of the service's requests into the store.",
        tags=("data",),
    ),
    Job(
        slug=CLEANUP_OLD.name,
        flow="cleanup_old_sessions",
        description="Delete sessions of more than 30 days, Sundays at 02:00 UTC; "
        "by hand it shows the plan only, unless 'Plan only' is switched off.",
        tags=("upkeep",),
        queue="low",
        parameters={"older_than_days": 30, "dry_run": True},
        cron=CLEANUP_OLD.cron,
        scheduled_parameters={"older_than_days": 30, "dry_run": False},
        one_at_a_time="CANCEL_NEW",
    ),
    Job(
        slug=CLEANUP_FAILED.name,
        flow="cleanup_failed_sessions",
        description="Delete failed sessions of more than 24 hours, every day at 03:00 UTC; "
        "by hand it shows the plan only, unless 'Plan only' is switched off.",
        tags=("upkeep",),
        queue="low",
        parameters={"older_than_hours": 24, "dry_run": True},
        cron=CLEANUP_FAILED.cron,
        scheduled_parameters={"older_than_hours": 24, "dry_run": False},
        one_at_a_time="CANCEL_NEW",
    ),
    Job(
        slug=BACKUP.name,
        flow="backup_database",
        description="Copy the database while it is in use; the oldest beyond 14 backups go.",
        tags=("upkeep",),
        queue="low",
        one_at_a_time="CANCEL_NEW",
    ),
    Job(
        slug=VACUUM.name,
        flow="vacuum_database",
        description="Give free space of the database back, Saturdays at 04:00 UTC; "
        "the schedule waits for running sessions, up to 6 hours.",
        tags=("upkeep",),
        queue="low",
        cron=VACUUM.cron,
        scheduled_parameters={"wait": True},
        one_at_a_time="CANCEL_NEW",
    ),
    Job(
        slug="health",
        flow="health_check",
        description="Database, disk, models, codecs and server, every hour (UTC).",
        tags=("upkeep",),
        queue="high",
        cron="0 * * * *",
        one_at_a_time="CANCEL_NEW",
    ),
)
"""The deployments; ``erase_user`` is none: Prefect would keep the name of who is erased."""


def job(slug: str) -> Job:
    """Return the row of ``slug``, which must be there."""
    return next(job for job in JOBS if job.slug == slug)
