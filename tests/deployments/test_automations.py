"""What the server does by itself."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID, uuid4

from anc_core.alerts import EmergencyAlert
from anc_core.settings import Settings
from deployments.automations import automations
from deployments.environment import Place, environment
from deployments.schedules import JOBS, SCHEDULED_TAG
from flows.prefect_defaults import DEFAULTS

IDS = {job.slug: UUID(int=number) for number, job in enumerate(JOBS, 1)}
BY_NAME = {one.name.removeprefix("anc: "): one for one in automations(IDS)}


def test_names_are_the_identity() -> None:
    assert len(BY_NAME) == 6
    assert all(one.description and one.enabled for one in BY_NAME.values())


def test_an_emergency_starts_the_delivery_with_its_payload() -> None:
    one = BY_NAME["emergency -> alert"]
    (action,) = one.actions
    assert one.trigger.expect == {"anc.emergency.detected"}
    assert action.deployment_id == IDS["alert"]
    alert = EmergencyAlert(
        alert_id=uuid4(), session_id="s", source_path='/a "b".wav', event_type="siren",
        start_s=1.0, end_s=2.0, peak_confidence=0.93, channels=(0, 1),
    )  # fmt: skip
    assert rendered(action.parameters, event={"payload": json.loads(alert.to_json())}) == {
        "alert": json.loads(alert.to_json())
    }


def test_a_failed_schedule_is_told_and_a_failed_recording_is_not() -> None:
    one = BY_NAME["scheduled job failed -> webhook"]
    assert one.trigger.expect == {
        "prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut",
    }  # fmt: skip
    related = one.trigger.match_related.model_dump()
    assert related["prefect.resource.id"] == f"prefect.tag.{SCHEDULED_TAG}"
    assert [job.slug for job in JOBS if SCHEDULED_TAG in job.all_tags] == [
        job.slug for job in JOBS if job.cron
    ]


def test_a_silent_run_has_three_more_heartbeats() -> None:
    trigger = BY_NAME["silent run -> Crashed"].trigger
    for frequency in (DEFAULTS, environment(Place(settings=Settings(), host="", port=1), {})):
        every_s = int(frequency["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert trigger.within.total_seconds() >= 3 * every_s
    assert trigger.expect == {"prefect.flow-run.*"}  # not only heartbeats: it may have ended


def test_a_run_whose_first_heartbeat_was_lost_is_noticed_too() -> None:
    trigger = BY_NAME["silent run -> Crashed"].trigger
    assert trigger.after == {"prefect.flow-run.Running", "prefect.flow-run.heartbeat"}


def test_a_tagged_batch_is_analysed_by_the_name_that_it_gave_itself() -> None:
    one = BY_NAME["batch tagged then-report -> analysis"]
    assert "prefect.flow-run.CompletedWithErrors" in one.trigger.expect  # one bad file is no reason
    (action,) = one.actions
    assert action.deployment_id == IDS["analyze"]
    run = SimpleNamespace(id=UUID("01234567-89ab-cdef-0123-456789abcdef"), parameters={})
    assert rendered(action.parameters, flow_run=run) == {
        "filters": {"batch": ["batch-456789abcdef"]}
    }
    run.parameters["batch_id"] = "monday"
    assert rendered(action.parameters, flow_run=run) == {"filters": {"batch": ["monday"]}}


def test_only_the_analysis_of_the_chain_is_followed_by_a_report() -> None:
    one = BY_NAME["that analysis finished -> report of the day"]
    related = one.trigger.match_related.model_dump()
    assert related["prefect.resource.name"] in {f"anc: {name}" for name in BY_NAME}
    assert related["prefect.resource.role"] == "creator"
    (action,) = one.actions
    occurred = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert rendered(action.parameters, event=SimpleNamespace(occurred=occurred)) == {
        "date": "2026-03-28"
    }


def rendered(parameters: object, **context: object) -> object:
    """Do what the server does with the templates of an action."""
    from prefect.server.events.actions import RunDeployment
    from prefect.utilities.schema_tools.hydration import HydrationContext, hydrate

    parameters = deepcopy(parameters)
    RunDeployment._upgrade_v1_templates(parameters)  # spoils a template inside a list
    return hydrate(parameters, HydrationContext(render_jinja=True, jinja_context=context))
