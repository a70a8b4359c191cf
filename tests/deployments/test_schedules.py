"""The table, prefect.yaml, and what Prefect makes of them; no server is needed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

import flows
from anc_core.periodic_jobs import BACKUP, PERIODIC_JOBS
from deployments import prefect_yaml
from deployments.schedules import JOBS, QUEUES, Job

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BY_SLUG = {job.slug: job for job in JOBS}

# design.md, section 7: every time is UTC.
PERIODIC = {
    "generate_daily_report": "0 1 * * *",
    "cleanup_old_sessions": "0 2 * * 0",
    "cleanup_failed_sessions": "0 3 * * *",
    "vacuum_database": "0 4 * * 6",
    "health_check": "0 * * * *",
}

each_job = pytest.mark.parametrize("job", JOBS, ids=lambda job: job.slug)


def test_every_flow_has_one_deployment() -> None:
    # Prefect would keep the name of who is erased.
    assert sorted(job.flow for job in JOBS) == sorted(set(flows.__all__) - {"erase_user"})
    assert len(BY_SLUG) == len(JOBS)


def test_exactly_the_periodic_jobs_have_a_schedule() -> None:
    assert {job.flow: job.cron for job in JOBS if job.cron is not None} == PERIODIC


def test_what_the_report_and_health_wait_for_is_what_the_schedules_start() -> None:
    # By its own calendar: the time between two runs, not the line of cron.
    from prefect.server.schemas.schedules import CronSchedule as ServerCron

    start = datetime(2026, 11, 2, tzinfo=UTC)
    for periodic in PERIODIC_JOBS:
        cron = BY_SLUG[periodic.name].cron
        if periodic is BACKUP:
            assert cron is None
            continue
        schedule = ServerCron(cron=str(cron), timezone="UTC")
        first, second = asyncio.run(schedule.get_dates(n=2, start=start))
        assert second - first == periodic.period, periodic.name
        days = [(start + timedelta(days=day)).date() for day in range(7)]
        assert {periodic.due_on(day) for day in days} >= {first}
    # What runs more often than daily leaves no line to judge it by.
    others = {job.slug for job in JOBS if job.cron} - {one.name for one in PERIODIC_JOBS}
    assert others == {"health"}


@pytest.mark.parametrize("job", [j for j in JOBS if j.cron], ids=lambda job: job.slug)
def test_the_next_runs_are_at_the_hour_that_is_written(job: Job) -> None:
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.server.schemas.schedules import CronSchedule as ServerCron

    CronSchedule(cron=job.cron, timezone="UTC")
    hour, weekday = str(job.cron).split()[1], str(job.cron).split()[4]
    start = datetime(2026, 3, 28, 12, tzinfo=UTC)  # Europe's clocks change that night
    dates = asyncio.run(ServerCron(cron=job.cron, timezone="UTC").get_dates(n=3, start=start))
    assert all(date.minute == 0 and date.utcoffset().total_seconds() == 0 for date in dates)
    assert hour == "*" or {date.hour for date in dates} == {int(hour)}
    assert weekday == "*" or {date.isoweekday() % 7 for date in dates} == {int(weekday)}


def test_upkeep_runs_one_at_a_time_and_alerts_queue() -> None:
    for job in JOBS:
        if job.cron is not None:
            assert job.one_at_a_time == "CANCEL_NEW", job.slug
    assert BY_SLUG["alert"].one_at_a_time == "ENQUEUE"  # a cancelled alert would be a lost one


def test_training_goes_before_processing_before_cleanup() -> None:
    def priority(slug: str) -> int:
        return QUEUES[BY_SLUG[slug].queue]

    assert priority("alert") == priority("train") == 1
    assert priority("process") == priority("batch") == 5
    assert {priority(s) for s in ("cleanup-old", "cleanup-failed", "vacuum")} == {10}


def test_what_deletes_is_a_preview_by_hand_and_means_it_on_schedule() -> None:
    for job in JOBS:
        if job.slug.startswith("cleanup"):
            assert job.parameters["dry_run"] is True
            assert job.scheduled_parameters["dry_run"] is False


def test_a_batch_of_the_night_does_not_fail_the_vacuum() -> None:
    assert BY_SLUG["vacuum"].scheduled_parameters == {"wait": True}


@each_job
def test_its_entrypoint_is_a_flow_and_takes_its_parameters(job: Job) -> None:
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(job.entrypoint, use_placeholder_flow=False)
    properties = flow.parameters.properties
    assert set(job.parameters) | set(job.scheduled_parameters) <= set(properties)
    for given in (job.parameters, job.scheduled_parameters):
        if given and not flow.parameters.required:
            flow.validate_parameters(given)


# ------------------------------------------------------------------ forms


@each_job
def test_its_form_is_in_words(job: Job) -> None:
    flow: Any = getattr(flows, job.flow)
    fields = flow.parameters.properties
    for name, field in fields.items():
        title = field["title"]
        assert title[0].isupper(), name
        assert "_" not in title, name
        assert len(field.get("description", "")) > 8, name
    assert (flow.description or "").strip()
    assert flow.flow_run_name is not None, "a run has a name that people understand"


@each_job
def test_required_fields_come_first_in_its_form(job: Job) -> None:
    parameters = getattr(flows, job.flow).parameters
    in_order = sorted(parameters.properties, key=lambda n: parameters.properties[n]["position"])
    assert set(in_order[: len(parameters.required)]) == set(parameters.required)


def test_choices_are_lists_and_units_stand_in_titles() -> None:
    fields = flows.process_audio_file.parameters.properties
    assert fields["mode"]["enum"] == ["auto", "suppress", "cancel"]
    assert "call-centre" in fields["preset"]["enum"]
    assert fields["chunk_size"]["title"] == "Chunk size (samples)"
    assert flows.compare_suppressors.parameters.properties["max_seconds"]["title"].endswith("(s)")


# ------------------------------------------------------------------ prefect.yaml


def test_the_file_is_what_the_table_says() -> None:
    assert prefect_yaml.PLACE.read_text(encoding="utf-8") == prefect_yaml.prefect_yaml(), (
        "run: python -m deployments.prefect_yaml"
    )


def test_the_file_fits_prefects_own_models_and_no_key_is_misspelt() -> None:
    from prefect.cli.deploy._models import (
        ConcurrencyLimitSpec,
        DeploymentConfig,
        PrefectYamlModel,
        RawScheduleConfig,
        WorkPoolConfig,
    )

    told = yaml.safe_load(prefect_yaml.PLACE.read_text(encoding="utf-8"))
    model = PrefectYamlModel.model_validate(told)
    assert len(model.deployments) == len(JOBS)
    assert told["pull"] == []
    for one in told["deployments"]:
        # Prefect ignores what it does not know: a misspelt key would be a setting less.
        assert set(one) <= set(DeploymentConfig.model_fields)
        assert set(one["work_pool"]) <= set(WorkPoolConfig.model_fields)
        assert set(one.get("concurrency_limit", {})) <= set(ConcurrencyLimitSpec.model_fields)
        for schedule in one["schedules"]:
            assert RawScheduleConfig.model_validate(schedule).timezone == "UTC"


@each_job
def test_what_serve_registers_is_what_the_file_says(job: Job) -> None:
    from deployments.register import deployment_of

    told = yaml.safe_load(prefect_yaml.PLACE.read_text(encoding="utf-8"))["deployments"]
    (written,) = [one for one in told if one["name"] == job.slug]
    made = deployment_of(job, in_pool=True)
    assert made.entrypoint == written["entrypoint"]
    assert made.tags == written["tags"]
    assert made.parameters == written["parameters"]
    assert made.work_queue_name == written["work_pool"]["work_queue_name"]
    assert [
        (s.schedule.cron, s.schedule.timezone, s.slug, s.parameters) for s in made.schedules
    ] == [(s["cron"], s["timezone"], s["slug"], s["parameters"]) for s in written["schedules"]]
    limit = written.get("concurrency_limit", {"limit": None})
    assert made.concurrency_limit == limit["limit"]
    if made.concurrency_options is not None:
        assert made.concurrency_options.collision_strategy == limit["collision_strategy"]


def test_the_version_changes_with_the_row_only() -> None:
    from dataclasses import replace

    from deployments.register import deployment_of

    row = BY_SLUG["process"]
    version = deployment_of(row, in_pool=True).version
    assert deployment_of(row, in_pool=True).version == version
    assert deployment_of(replace(row, queue="low"), in_pool=True).version != version
