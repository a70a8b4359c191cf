"""The page of a sweep: best settings, heat maps, what mismatch and delay cost, what went wrong.

One HTML file without anything from elsewhere; heat maps are tables, so that they are read aloud,
copied and printed as well. All text is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anc_core.files import write_text_atomic
from anc_core.reports.page import page_environment


def write_sweep_page(path: Path | str, result: Mapping[str, Any], views: Mapping[str, Any]) -> None:
    """Write the page to ``path``, complete or not at all.

    Parameters
    ----------
    path : path
    result : mapping
        ``SweepResult.model_dump()``.
    views : mapping
        What :func:`anc_core.jobs.sweep_views.page_views` returned.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    environment = page_environment()
    environment.globals |= {
        "heat": _heat_of(float(views["top_db"])),
        "trouble": _trouble,
        "same_setting": _same_setting,
    }
    template = environment.get_template("sweep.html")
    write_text_atomic(path, template.render(result=result, views=views))


def _heat_of(top_db: float) -> Any:  # noqa: ANN401 - a function of the template
    def heat(value: float | None) -> int:
        """Return how strong the colour of a cell is, 0 to 100."""
        return 0 if value is None else round(100.0 * min(max(value / top_db, 0.0), 1.0))

    return heat


def _trouble(score: Mapping[str, Any]) -> str:
    """Return in words what went wrong with a setting; empty if nothing did."""
    counts = ((score[name], name) for name in ("diverged", "louder", "tripped"))
    return ", ".join(f"{count} {name}" for count, name in counts if count)


def _same_setting(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = ("algorithm", "step_size", "num_taps")
    return all(one["cell"][name] == other["cell"][name] for name in names)
