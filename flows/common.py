"""What all flows share: settings read once, logging around every task, what is worth a retry."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.context import TaskRunContext
from prefect.events import emit_event
from prefect.exceptions import MissingContextError
from prefect.runtime import flow_run, task_run

from anc_core.errors import SettingsError, TransientError
from anc_core.jobs.pool import PoolStoppedError
from anc_core.logs import configure_logs, log_ids, set_id_source
from anc_core.settings import Settings
from flows import embedded_server
from flows.prefect_defaults import apply_prefect_defaults

apply_prefect_defaults()
embedded_server.install()

P = ParamSpec("P")
R = TypeVar("R")

MAX_BACKOFF_EXPONENT = 6
"""Prefect lists the delays beforehand; a seventh retry waits as long as the sixth."""


def retry_options(settings: Settings) -> dict[str, Any]:
    """Return what ``task.with_options`` needs to retry transient errors, ever more patiently."""
    delays = [
        settings.retry_delay_s * 2**n for n in range(min(settings.retries, MAX_BACKOFF_EXPONENT))
    ]
    return {
        "retries": settings.retries,
        "retry_delay_seconds": delays,
        "retry_jitter_factor": 0.5,
        "retry_condition_fn": is_transient,
    }


def is_transient(task: Any, run: Any, state: Any) -> bool:  # noqa: ANN401 - Prefect's own
    """Return whether the failure may pass: bad data fails once and is never tried again."""
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # noqa: BLE001 - any other failure stays one
        return False
    return False


def tell_of_suspension() -> None:
    """Emit an event of this run, the last before its process ends.

    A run that is suspended goes on for some seconds, with a heartbeat perhaps; the automation that
    looks for dead runs would wait for the next one in vain.
    """
    run_id = flow_run.get_id()
    emit_event(
        "prefect.flow-run.process-ended", {"prefect.resource.id": f"prefect.flow-run.{run_id}"}
    )


def is_last_attempt(retries: int) -> bool:
    """Return whether this run of the current task is its last; true outside of Prefect."""
    count = task_run.get_run_count()  # 0 outside of a run
    return count == 0 or count > retries


def run_ids() -> dict[str, str]:
    """Return the ids of the run that is at work here, for the lines that the core writes."""
    found = {"flow_run_id": flow_run.get_id(), "task_run_id": task_run.get_id()}
    return {name: value for name, value in found.items() if value is not None}


def configure_run_logs(settings: Settings) -> None:
    """Let this process write its lines as ``ANC_LOG_JSON`` and ``ANC_LOG_LEVEL`` say."""
    set_id_source(run_ids)
    configure_logs(settings.log_style)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        if "log_level" in settings.model_fields_set:
            logging.getLogger(name).setLevel(settings.log_level)


if os.environ.get("PREFECT__FLOW_RUN_ID"):
    # A process of its own for one run: from its first line on. What is wrong with the settings is
    # told by the flow.
    with suppress(SettingsError):
        configure_run_logs(Settings.load())


def logger() -> logging.Logger | logging.LoggerAdapter[Any]:
    """Return the run's logger, whose lines show in the UI, or a plain one outside of a run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger("flows")


def logged(function: Callable[P, R]) -> Callable[P, R]:
    """Log start with arguments, duration, and success or failure of a task.

    After the last retry a failure is CRITICAL, with type, message, trace and retry count. What is
    told in words is also the object ``facts`` of a line that is JSON.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        settings, log = Settings.load(), logger()
        configure_run_logs(settings)
        bound = signature.bind(*args, **kwargs).arguments
        facts = {name: _short(value) for name, value in bound.items()}
        attempt = max(task_run.get_run_count(), 1)
        facts["attempt"] = attempt
        name = function.__name__
        _tell(log, logging.INFO, f"{name} started", facts)
        start = time.monotonic()
        try:
            result = function(*args, **kwargs)
        except PoolStoppedError:
            # Ctrl-C: somebody's wish, no failure.
            _tell(log, logging.WARNING, f"{name} stopped", facts)
            raise
        except Exception as err:
            facts |= {
                "duration_s": round(time.monotonic() - start, 3),
                "error": type(err).__name__,
                "message": str(err),
                "retries": attempt - 1,
            }
            over = not isinstance(err, TransientError) or is_last_attempt(_retries(settings))
            level = logging.CRITICAL if over else logging.WARNING
            _tell(log, level, f"{name} failed", facts, exc_info=over)
            raise
        facts["duration_s"] = round(time.monotonic() - start, 3)
        with log_ids(session_id=getattr(result, "session_id", None)):
            _tell(log, logging.INFO, f"{name} finished", facts)
        return result

    return wrapper


def _retries(settings: Settings) -> int:
    """Return how often the current task may be tried again."""
    context = TaskRunContext.get()
    return settings.retries if context is None else context.task.retries


def _tell(
    log: logging.Logger | logging.LoggerAdapter[Any],
    level: int,
    event: str,
    facts: dict[str, Any],
    *,
    exc_info: bool = False,
) -> None:
    # A percent sign or a control character in a file name must stay text in the log.
    words = " ".join(f"{name}={value!r}" for name, value in facts.items())
    log.log(level, "%s %s", event, words, exc_info=exc_info, extra={"facts": dict(facts)})


def _short(value: object) -> object:
    """Return ``value`` as a log line shows it: plain, and never longer than a line."""
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value  # JSON has no NaN
    if isinstance(value, list | tuple):
        return f"{len(value)} items"
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
