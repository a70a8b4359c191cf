"""Compare suppressors over a folder as a Prefect flow.

``compare_suppressors`` reads: plan the comparison -> compare a few recordings at a time -> publish
what was found. The tasks run one after the other in this process: CPU time is one of the figures.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed

from anc_core.jobs.compare import Comparer, conclude_comparison, plan_comparison
from anc_core.jobs.compare_records import (
    DEFAULT_SYSTEMS,
    MAX_SECONDS,
    CompareRequest,
    Comparison,
    ComparisonPlan,
    FileComparison,
    Pair,
    SystemSummary,
)
from anc_core.metrics.quality import QUALITY_FIGURES
from anc_core.records import Status
from anc_core.reports.wording import inert
from anc_core.settings import Settings
from flows.artifacts import MAX_TABLE_ROWS
from flows.common import logged, logger, retry_options
from flows.forms import form

FILES_PER_TASK = 10
"""A recording of 10 s costs seconds of measuring for each system, so ten are a task's worth."""


def _comparison_name() -> str:
    parameters = flow_run.get_parameters()
    folder = Path(str(parameters.get("folder", "?"))).name
    return f"compare {len(parameters.get('systems') or ())} systems on {folder}"


@flow(name="compare-suppressors", flow_run_name=_comparison_name, validate_parameters=True)
@form(titles={"max_seconds": "Length taken of each (s)"})
def compare_suppressors(
    folder: Path,
    output_dir: Path,
    clean: Path | None = None,
    systems: list[str] = list(DEFAULT_SYSTEMS),  # noqa: B006 - Prefect shows it, nobody changes it
    recursive: bool = True,
    max_files: int | None = None,
    max_seconds: float = MAX_SECONDS,
    protect: bool = False,
    examples: int = 6,
) -> Comparison:
    """Compare suppressors over a folder: quality, harm, speed, and a page to listen to.

    Args:
        folder: Recordings.
        output_dir: Gets comparison.json, files.csv and audition.html.
        clean: Folder of clean references, by the same relative path or stem.
        systems: auto, spectral, neural, preset:NAME, rnnoise, onnx:PATH.
        recursive: Search the subfolders.
        max_files: Only so many recordings, drawn by chance; empty takes all.
        max_seconds: Of each recording, from its beginning.
        protect: Guard emergency sounds in every system.
        examples: Recordings on the page.

    Returns
    -------
    The figures of every system and of every recording. Recordings that failed are lines with
    their reason, and the run ends as Completed with the name CompletedWithErrors.
    """
    started = time.monotonic()
    options = retry_options(Settings.load())
    request = CompareRequest(
        folder=folder,
        output_dir=output_dir,
        clean=clean,
        systems=tuple(systems),
        recursive=recursive,
        max_files=max_files,
        max_seconds=max_seconds,
        protect=protect,
        examples=examples,
    )
    plan = plan_comparison_task.with_options(**options)(request)
    comparer = Comparer(plan)
    files: list[FileComparison] = []
    for start in range(0, len(plan.pairs), FILES_PER_TASK):
        part = plan.pairs[start : start + FILES_PER_TASK]
        name = f"compare files {start + 1} to {start + len(part)} of {len(plan.pairs)}"
        files += compare_files.with_options(task_run_name=name, **options)(comparer, part)
    wall_s = time.monotonic() - started
    comparison = publish_comparison.with_options(**options)(plan, files, comparer, wall_s)
    return _ended(comparison)


@task(
    name="plan-comparison",
    task_run_name="plan the comparison",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def plan_comparison_task(request: CompareRequest) -> ComparisonPlan:
    """Find the recordings, their references, and which systems can be had; write nothing."""
    return plan_comparison(request, Settings.load())


@task(name="compare-files", cache_policy=NO_CACHE, persist_result=False)
@logged
def compare_files(comparer: Comparer, pairs: Sequence[Pair]) -> list[FileComparison]:
    """Run every system on a few recordings and judge the results; safe to repeat."""
    files = [comparer.compare(pair) for pair in pairs]
    for file in files:
        if file.status is not Status.OK:
            logger().error("%s: %s %s", file.name, file.error_code or file.status, file.reason)
    return files


@task(
    name="publish-comparison",
    task_run_name="publish the comparison",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def publish_comparison(
    plan: ComparisonPlan, files: list[FileComparison], comparer: Comparer, wall_s: float
) -> Comparison:
    """Write the tables and the page, and show them in Prefect."""
    comparison = conclude_comparison(plan, files, wall_s=wall_s, comparer=comparer)
    words = describe_comparison(comparison)
    rows = [_row(system) for system in comparison.systems]
    create_table_artifact(rows[:MAX_TABLE_ROWS], key="comparison-systems", description=words)
    create_markdown_artifact(comparison_markdown(comparison), key="comparison", description=words)
    return comparison


def describe_comparison(comparison: Comparison) -> str:
    """Return the counts in words."""
    if comparison.nothing_to_do:
        return "nothing to compare: no recording was found"
    return (
        f"{len(comparison.systems)} systems on {comparison.planned} recordings "
        f"({comparison.ok} ok, {comparison.failed} failed), "
        f"{comparison.with_reference} with a clean reference"
    )


def comparison_markdown(comparison: Comparison) -> str:
    """Return the summary page; text from file names is inert in it."""
    lines = [
        f"## {describe_comparison(comparison)}",
        "",
        f"- recordings: {inert(comparison.folder)}",
        f"- audio judged: {comparison.audio_s / 60:.1f} min in {comparison.wall_s:.0f} s",
    ]
    if comparison.page_path is not None:
        uri = Path(comparison.page_path).absolute().as_uri()
        lines.append(f"- [page to listen to]({uri}): {inert(comparison.page_path)}")
    tables = (comparison.csv_path, comparison.json_path)
    lines += [f"- {inert(path)}" for path in tables if path is not None]
    failures = [file for file in comparison.files if file.status is Status.FAILED]
    if failures:
        lines += ["", "### Failed", "", "| recording | what happened |", "|---|---|"]
        lines += [
            f"| {inert(file.name)} | {inert(file.reason or '')} |"
            for file in failures[:MAX_TABLE_ROWS]
        ]
    return "\n".join(lines)


def _row(system: SystemSummary) -> dict[str, Any]:
    def figure(value: float | None, digits: int = 2) -> float | None:
        return None if value is None else round(value, digits)

    return {
        "system": system.system,
        "status": system.status.value,
        "files": system.files,
        **{f"{name} gain": figure(system.gains.get(name), 3) for name in QUALITY_FIGURES},
        "harmed": figure(system.pesq_fell_share),
        "voice dB": figure(system.speech_level_change_db),
        "noise less dB": figure(system.cancellation_db),
        "lag": system.largest_lag_samples,
        "speed x": figure(system.speed_x, 0),
        "note": system.reason or "",
    }


def _ended(comparison: Comparison) -> Comparison:
    """Return a state that tells more than "Completed" where something failed."""
    failed_systems = [s for s in comparison.systems if s.status is not Status.OK]
    if not comparison.failed and not failed_systems:
        return comparison
    words = describe_comparison(comparison)
    return cast("Comparison", Completed(name="CompletedWithErrors", message=words, data=comparison))
