"""The page of a report: one HTML file that an operations lead reads in a minute.

First the verdict and ten numbers, then why, then charts, then tables. It holds everything that it
shows, has no script, and its content policy forbids any request. All text is escaped by the
template; every number of the first screen is looked up in the JSON twin, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from anc_core.reports import wording
from anc_core.reports.daily_charts import Chart
from anc_core.reports.daily_figures import DailyReport, EventLine, FailureGroup, QualityLine
from anc_core.reports.daily_summary import NEGATIVE_BELOW_DB, VOICE_BELOW_DB
from anc_core.reports.event_clips import Clip
from anc_core.reports.page import page_environment

MAX_ROWS = 100
"""Of a table; the rest is in the JSON twin and in the store."""


def daily_page(
    report: DailyReport,
    drawings: Sequence[Chart],
    clips: Mapping[str, Clip],
    *,
    clips_left_out: int,
) -> str:
    """Return the page.

    Parameters
    ----------
    report : DailyReport
    drawings : sequence of Chart
        From :func:`anc_core.reports.daily_charts.charts`.
    clips : mapping of Clip, by event id
    clips_left_out : int
        Both from :func:`anc_core.reports.event_clips.event_clips`.
    """
    figures = report.figures
    zone = ZoneInfo(figures.period.timezone)

    def moment(value: datetime | None, pattern: str = "%d %b %H:%M") -> str:
        return "–" if value is None else value.astimezone(zone).strftime(pattern)

    environment = page_environment()
    environment.globals |= {"fig": figure_writer(report), "count_of": wording.count_of}
    environment.filters |= {
        "moment": moment,
        "duration": lambda seconds: "–" if seconds is None else wording.duration(seconds),
        "in_unit": in_unit,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "shortened": lambda text, most: text if len(text) <= most else text[: most - 1] + "…",
        "words": lambda name: str(name).replace("_", " "),
        "file_name": file_name,
        "example": _example,
        "why": _why,
    }
    text = environment.get_template(
        "daily.html"
    ).render(
        report=report,
        figures=figures,
        # Our own drawings: matplotlib has escaped the text in them.
        drawings=[(one, None if one.svg is None else Markup(one.svg)) for one in drawings],  # noqa: S704
        empty_charts=[chart.title for chart in drawings if chart.svg is None],
        events=sorted(figures.event_lines, key=_gravest_first)[:MAX_ROWS],
        clips=clips,
        clips_left_out=clips_left_out,
        max_rows=MAX_ROWS,
    )
    return str(text).encode(errors="replace").decode()  # undecodable bytes of file names


def file_name(path: str) -> str:
    """Return the last part of a path of any system."""
    return path.replace("\\", "/").rpartition("/")[2]


def _example(group: FailureGroup) -> str:
    """Return what happened to one file; most messages name it, and its folder says no more."""
    name = file_name(group.source_path)
    message = group.message.replace(group.source_path, name)
    return message if name and name in message else f"{name}: {message}"


def _why(line: QualityLine) -> str:
    """Return what there is to look at in a session."""
    if line.reason:
        return line.reason
    louder, voice = line.cancellation_db, line.speech_level_change_db
    words = []
    if louder is not None and louder < NEGATIVE_BELOW_DB:
        words.append(f"the noise became {-louder:.1f} dB louder")
    if voice is not None and voice < VOICE_BELOW_DB:
        words.append(f"the voice lost {-voice:.1f} dB")
    return ", ".join(words)


def _gravest_first(line: EventLine) -> tuple[bool, str]:
    return (not line.violation, line.event_id)


# --------------------------------------------------------------------------- numbers


def figure_writer(report: DailyReport) -> Callable[[str, str], Markup]:
    """Return what writes the number at a path of the JSON twin, with that path beside it."""
    twin: Mapping[str, Any] = report.model_dump(mode="json")["figures"]

    def fig(path: str, kind: str) -> Markup:
        value: Any = twin
        for name in path.split("."):
            value = None if value is None else value[name]
        return Markup('<data data-figure="{}" value="{}">{}</data>').format(
            path, "" if value is None else value, shown(value, kind)
        )

    return fig


def shown(value: float | None, kind: str) -> str:
    """Return a number as the page shows it; a typographic minus, and a dash for none.

    Examples
    --------
    >>> shown(1234, "count"), shown(-1.26, "db"), shown(None, "share"), shown(0.0123, "share")
    ('1,234', '−1.3', '–', '1.2 %')
    """
    return "–" if value is None else _KINDS[kind](value).replace("-", "−")


def in_unit(value: float, unit: str) -> str:
    """Return a number of a flag with its unit; shares as a percentage.

    Examples
    --------
    >>> in_unit(0.0512, "share"), in_unit(-6.0, "dB")
    ('5.1 %', '−6 dB')
    """
    text = wording.percent(value, 1) if unit == "share" else f"{value:.3g} {unit}"
    return text.replace("-", "−")


_KINDS: Mapping[str, Callable[[float], str]] = {
    "count": lambda value: f"{value:,.0f}",
    "mean": lambda value: f"{value:,.1f}" if value < 10 else f"{value:,.0f}",
    "db": lambda value: f"{value + 0.0:.1f}",
    "share": lambda value: wording.percent(value, 1),
    "audio": lambda value: f"{value / 3600:,.1f} h" if value >= 3600 else f"{value / 60:.1f} min",
    "speed": lambda value: f"{value:,.0f}" if value >= 10 else f"{value:.1f}",
    "ms": lambda value: f"{value:,.0f}",
    "ratio": lambda value: f"{value:.3g}",
    "size": wording.size,
    "duration": wording.duration,
    "days": lambda value: "over a year" if value > 365 else f"{value:,.0f} days",
}
