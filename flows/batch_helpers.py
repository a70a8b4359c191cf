"""Runs that help with a batch, each on whatever worker takes it.

Context: a run belongs to one worker, so one batch would use one machine.
Decision: the batch asks for runs of ``help-batch``, which begin elsewhere in the same list; who
comes first to a recording claims it in the store. The batch itself goes through the whole list.
Consequence: a helper that never starts, is slow or dies costs time only; nobody waits for a sign
that it is dead but for the one recording that it held.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import PrefectException
from pydantic import TypeAdapter

from anc_core.jobs.plan import BatchRequest
from anc_core.jobs.records import BatchPlan
from anc_core.remote.address import is_url
from flows.common import logger

_DEPLOYMENT = "help-batch/help-batch"
_NOT_STARTED = {StateType.SCHEDULED, StateType.PENDING}


@contextmanager
def helpers(
    request: BatchRequest, plan: BatchPlan, *, since: datetime, spread: int
) -> Iterator[None]:
    """Have ``spread - 1`` helpers for the time of the block.

    Parameters
    ----------
    request : BatchRequest
        What the batch was asked for.
    plan : BatchPlan
        What it came to; a batch of few recordings gets fewer helpers.
    since : datetime
        When the batch began.
    spread : int
        Runs that share the work, this one included.
    """
    of = min(spread, len(plan.jobs))
    asked = [_ask(replace(request, batch_id=plan.batch_id), since, k, of) for k in range(1, of)]
    ids = [run_id for run_id in asked if run_id is not None]
    if not ids:
        yield
        return
    try:
        yield
    except BaseException:
        _recall(ids, all_of_them=True)
        raise
    _recall(ids, all_of_them=False)


def _ask(request: BatchRequest, since: datetime, turn: int, of: int) -> UUID | None:
    # A helper works in a folder of its own.
    absolute = replace(
        request,
        inputs=[_absolute(word) for word in request.inputs],
        output_dir=None if request.output_dir is None else request.output_dir.absolute(),
    )
    parameters: dict[str, Any] = {
        "request": TypeAdapter(BatchRequest).dump_python(absolute, mode="json"),
        "since": since.isoformat(),
        "turn": turn,
        "of": of,
    }
    try:
        run = cast("FlowRun", run_deployment(_DEPLOYMENT, parameters=parameters, timeout=0))
    except (PrefectException, httpx.HTTPError) as err:
        logger().warning("no helper %d, this run does its share: %s", turn, err)
        return None
    return run.id


def _absolute(word: str | Path) -> str:
    return str(word) if is_url(word) else os.path.abspath(word)  # noqa: PTH100 - also patterns


def _recall(ids: list[UUID], *, all_of_them: bool) -> None:
    """Cancel helpers: those that were never needed, or all where the batch itself was stopped."""
    with get_client(sync_client=True) as client:
        for run_id in ids:
            try:
                state = client.read_flow_run(run_id).state
                if state is None or state.is_final():
                    continue
                if all_of_them or state.type in _NOT_STARTED:
                    cancelling: State[Any] = State(
                        type=StateType.CANCELLING, message="its batch is over"
                    )
                    client.set_flow_run_state(run_id, cancelling)
            except (PrefectException, httpx.HTTPError) as err:
                logger().warning("helper %s was not cancelled: %s", run_id, err)
