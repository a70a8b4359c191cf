"""The health check as a Prefect flow: hourly, done within ten seconds, noted in the audit log."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from anc_core.maintenance.health.check import note_health
from anc_core.maintenance.health.questions import HealthReport, HealthStatus
from anc_core.settings import Settings
from flows.common import logged, logger, retry_options
from flows.forms import form
from flows.maintenance_tables import describe_health, health_rows
from flows.prefect_health import installation_health


@flow(name="health-check", flow_run_name="is all well", validate_parameters=True)
@form(titles={"reconcile": "Mark sessions of dead workers"})
def health_check(reconcile: bool = False) -> HealthReport:
    """Ask database, disks, models, codecs, Prefect, workers, jobs and clocks whether all is well.

    Args:
        reconcile: Afterwards mark sessions of dead workers failed.

    Returns
    -------
    Status (ok, degraded, critical), every check, the sessions in work.
    """
    options = retry_options(Settings.load())
    return ask_installation.with_options(**options)(reconcile)


@task(
    name="ask-installation",
    task_run_name="all questions at once",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def ask_installation(reconcile: bool) -> HealthReport:
    """Ask every question; what is not well is in the log and in the table."""
    settings = Settings.load()
    report = installation_health(settings, reconcile=reconcile)
    for check in report.checks:
        if check.status is not HealthStatus.OK:
            logger().error("%s is %s: %s", check.name, check.status, check.message)
    note_health(settings, report)
    create_table_artifact(health_rows(report), key="health", description=describe_health(report))
    return report
