"""What the server does by itself when something happens.

Names are the identity: an automation of the same name is brought up to date, never doubled.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from anc_core.alerts import ALERT_EVENT
from deployments.schedules import REPORT_TAG, SCHEDULED_TAG
from flows.prefect_defaults import HEARTBEAT_S

_DEAD_AFTER = timedelta(seconds=4 * HEARTBEAT_S)
_ENDED_BADLY = {f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")}
_ANY_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
_ITS_SESSIONS = (
    """{"batch": [{{ (flow_run.parameters.batch_id"""
    """ or 'batch-' ~ (flow_run.id | string | replace('-', ''))[-12:]) | tojson }}]}"""
)
"""The batch as ``batch_process_files`` names it. A template inside a list would be spoilt."""


def automations(deployment_ids: Mapping[str, UUID]) -> list[AutomationCore]:
    """Return the automations; ``deployment_ids`` are by slug."""
    return [
        _zombies(),
        AutomationCore(
            name="anc: emergency -> alert",
            description="Every emergency event of a recorded session goes to the webhook.",
            trigger=EventTrigger(
                expect={ALERT_EVENT}, posture=Posture.Reactive, threshold=1, within=timedelta(0)
            ),
            actions=[
                RunDeployment(
                    deployment_id=deployment_ids["alert"],
                    parameters={"alert": _json("{{ event.payload | tojson }}")},
                )
            ],
        ),
        AutomationCore(
            name="anc: scheduled job failed -> webhook",
            description="A scheduled job that fails is told: nobody looks at it by himself.",
            trigger=EventTrigger(
                expect=_ENDED_BADLY,
                match=_ANY_RUN,
                match_related={
                    "prefect.resource.id": f"prefect.tag.{SCHEDULED_TAG}",
                    "prefect.resource.role": "tag",
                },
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[
                RunDeployment(
                    deployment_id=deployment_ids["failed-job"],
                    parameters={
                        "job": _text("{{ flow.name }}"),
                        "run_id": _text("{{ flow_run.id }}"),
                        "run_name": _text("{{ flow_run.name }}"),
                        "state": _text("{{ flow_run.state.name }}"),
                        "message": _text("{{ flow_run.state.message }}"),
                    },
                )
            ],
        ),
        AutomationCore(
            name="anc: training finished -> validation",
            description="After each training the classifier in use is checked.",
            trigger=EventTrigger(
                expect={"prefect.flow-run.Completed"},
                match=_ANY_RUN,
                match_related={
                    "prefect.resource.name": "train-noise-classifier",
                    "prefect.resource.role": "flow",
                },
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[RunDeployment(deployment_id=deployment_ids["validate"])],
        ),
        *_batch_to_report(deployment_ids),
    ]


def _batch_to_report(deployment_ids: Mapping[str, UUID]) -> list[AutomationCore]:
    """Return the chain batch -> analysis -> report, of batches whose run carries the tag."""
    analysis = f"anc: batch tagged {REPORT_TAG} -> analysis"
    return [
        AutomationCore(
            name=analysis,
            description=f"When a batch with the tag {REPORT_TAG} is done, it is analysed.",
            trigger=EventTrigger(
                # The name of the state, which says more than "Completed" where files failed.
                expect={"prefect.flow-run.Completed", "prefect.flow-run.CompletedWithErrors"},
                match=_ANY_RUN,
                match_related=[
                    {
                        "prefect.resource.id": f"prefect.tag.{REPORT_TAG}",
                        "prefect.resource.role": "tag",
                    },
                    {
                        "prefect.resource.name": "batch-process-files",
                        "prefect.resource.role": "flow",
                    },
                ],
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[
                RunDeployment(
                    deployment_id=deployment_ids["analyze"],
                    parameters={"filters": _json(_ITS_SESSIONS)},
                )
            ],
        ),
        AutomationCore(
            name="anc: that analysis finished -> report of the day",
            description="The end of the chain that a batch began.",
            trigger=EventTrigger(
                expect={"prefect.flow-run.Completed"},
                match=_ANY_RUN,
                match_related={
                    "prefect.resource.name": analysis,
                    "prefect.resource.role": "creator",
                },
                posture=Posture.Reactive,
                threshold=1,
                within=timedelta(0),
            ),
            actions=[
                RunDeployment(
                    deployment_id=deployment_ids["daily-report"],
                    parameters={"date": _text("{{ event.occurred.date() }}")},
                )
            ],
        ),
    ]


def _zombies() -> AutomationCore:
    """Return the one that finds runs whose process was killed together with its worker."""
    return AutomationCore(
        name="anc: silent run -> Crashed",
        description=f"A run without a heartbeat for {_DEAD_AFTER.seconds} s is dead.",
        trigger=EventTrigger(
            # Its first heartbeat may be lost, with a server that is not well.
            after={"prefect.flow-run.Running", "prefect.flow-run.heartbeat"},
            # Any event of the run, not only a heartbeat: a run that has ended is not crashed.
            expect={"prefect.flow-run.*"},
            match=_ANY_RUN,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=_DEAD_AFTER,
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="no heartbeat: its process is gone")
        ],
    )


def _json(template: str) -> dict[str, object]:
    return {"__prefect_kind": "json", "value": _text(template)}


def _text(template: str) -> dict[str, object]:
    return {"__prefect_kind": "jinja", "template": template}
