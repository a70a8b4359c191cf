"""Tell of a scheduled job that failed, as a Prefect flow; an automation starts it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from anc_core.records import Record
from anc_core.settings import Settings
from flows.common import logged, logger, retry_options
from flows.forms import form
from flows.webhook import Receiver, post


class FailedJob(Record):
    """What the receiver is told; ``alert_id`` is the id of the run."""

    version: int = 1
    kind: Literal["job_failed"] = "job_failed"
    alert_id: UUID
    job: str
    run_name: str
    state: str
    message: str | None = None


@flow(name="report-failed-job", flow_run_name="{job} ended as {state}", validate_parameters=True)
@form(titles={"job": "Flow", "run_name": "Name of the run"})
def report_failed_job(
    job: str, run_id: UUID, run_name: str, state: str, message: str | None = None
) -> FailedJob:
    """Log that a job failed and, where there is a webhook, post it, signed.

    Args:
        job: Name of the flow.
        run_id: Its run, by which the receiver knows a repetition.
        run_name: As the run is shown.
        state: How it ended.
        message: Why, in Prefect's words.

    Returns
    -------
    What was told.
    """
    failed = FailedJob(alert_id=run_id, job=job, run_name=run_name, state=state, message=message)
    logger().critical("%s (%s) ended as %s: %s", run_name, job, state, message)
    post_failed_job.with_options(**retry_options(Settings.load()))(failed)
    return failed


@task(
    name="post-failed-job",
    task_run_name="tell the webhook",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def post_failed_job(failed: FailedJob) -> None:
    """Post it, if anybody wants to know."""
    receiver = Receiver.of_alerts(Settings.load())
    if receiver is None:
        logger().info("ANC_ALERT_WEBHOOK_URL is not set: nobody is told")
        return
    post(receiver, failed.alert_id, failed.to_json().encode())
