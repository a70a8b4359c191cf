"""The charts of a report, as SVG that takes its colours from the page it stands in.

matplotlib draws with stand-in colours, which become CSS variables afterwards: one drawing reads in
light, in dark and in print. Text stays text, in the page's own font. What colour says, position,
order or a legend says too. Charts are narrow, so that they are read on a phone without zooming.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from textwrap import shorten
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from anc_core.reports.daily_figures import FEW, Counts, DayFigures, ReportFigures, Spread
from anc_core.reports.period import PeriodKind
from anc_core.reports.wording import count_of, size
from anc_core.sound_records import CALIBRATED_UNIT

Axes: TypeAlias = Any
"""matplotlib.axes.Axes, which is loaded only when something is drawn."""

INK, SOFT, GRID, PAPER = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
GOOD, WARN, BAD, MUTED = "#0a0005", "#0a0006", "#0a0007", "#0a0008"
CLASSES = tuple(f"#0a01{n:02d}" for n in range(1, 9))
ACCENT = CLASSES[0]

_VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    GRID: "--line",
    PAPER: "--paper",
    GOOD: "--ok",
    WARN: "--warn",
    BAD: "--bad",
    MUTED: "--muted",
    **{colour: f"--c{n}" for n, colour in enumerate(CLASSES, 1)},
}
_SIZE = (3.75, 2.15)
_STYLE: Any = {
    "font.family": "DejaVu Sans",  # measured with; comes with matplotlib
    "font.size": 8.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "anc",
    "axes.facecolor": "none",
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0.0,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.labelcolor": INK,
    "text.parse_math": False,  # names of classes and presets may hold a dollar sign
}
_MAX_CLASSES = len(CLASSES) - 1
_MAX_BARS = 8
_MAX_LABEL = 22


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the page.

    Attributes
    ----------
    title, caption : str
        What it shows, and what to see in it or how to read it.
    svg : str or None
        Markup to put into the page as it is; ``None`` = there is nothing to draw.
    """

    title: str
    caption: str
    svg: str | None


def charts(figures: ReportFigures) -> list[Chart]:
    """Return the charts of a report, in the order of the page."""
    one_day = figures.period.kind is PeriodKind.DAY
    history = (*figures.baseline, *figures.days)
    mix = _mix(figures)
    return [
        Chart(
            "Sessions per hour" if one_day else "Sessions per day",
            f"by when they were processed, {figures.period.timezone}",
            _sessions(figures) if figures.sessions.total else None,
        ),
        Chart(
            "Failures by cause",
            "bars: sessions; line: share of all failures so far",
            _failures(figures) if figures.failures else None,
        ),
        Chart(
            "Time per second of audio",
            "real-time factor of each day, lower is better; the period is shaded",
            _speed(history, len(figures.days)) if _any(day.rtf.median for day in history) else None,
        ),
        Chart(
            "Cancellation by preset",
            "dB; box: middle half, line: 10th to 90th percentile; below 0 became louder",
            _presets(figures) if _any(p.cancellation_db.median for p in figures.presets) else None,
        ),
        Chart(
            "What was heard, by day of recording",
            "share of the time of each day; the period is shaded",
            _class_mix(history, mix, len(figures.days)) if mix else None,
        ),
        Chart(
            "What was heard, by hour of recording",
            "darker: more of that noise's own time; hours of the day, clock time",
            _heat(figures) if figures.noise_hours else None,
        ),
        Chart(
            "Emergency events",
            _events_caption(figures),
            _timeline(figures) if _any(line.at for line in figures.event_lines) else None,
        ),
        Chart(
            "Input level",
            f"{figures.level_unit}; line: Leq, band: exceeded 10 % to 90 % of the time (L10, L90)",
            _levels(figures) if _any(leq for leq, _, _ in _level_lines(figures)) else None,
        ),
        Chart(
            "Disk",
            _disk_caption(figures),
            _disk(figures, history) if _any(day.output_bytes for day in history) else None,
        ),
    ]


def _events_caption(figures: ReportFigures) -> str:
    undated = sum(line.at is None for line in figures.event_lines)
    words = "when they sounded; crosses: made quieter by more than 1 dB"
    return f"{words}; of {undated} nobody knows when" if undated else words


def _any(values: Iterable[object]) -> bool:
    return any(value not in {None, 0} for value in values)


# --------------------------------------------------------------------------- one chart each


_STATUSES: tuple[tuple[str, str], ...] = (
    ("ok", GOOD),
    ("skipped", MUTED),
    ("degraded", WARN),
    ("failed", BAD),
)


def _sessions(figures: ReportFigures) -> str:
    def draw(axes: Axes) -> None:
        labels = [_bar_label(hour.label) for hour in figures.hours]
        _stack(axes, [hour.counts for hour in figures.hours])
        step = 1 if len(labels) <= 10 else 3 if len(labels) <= 25 else 5
        axes.set_xticks(range(0, len(labels), step), labels[::step])
        axes.set_xlim(-0.6, len(labels) - 0.4)
        _whole_numbers(axes.yaxis)
        _legend(axes)

    return _drawn("sessions", draw)


def _stack(axes: Axes, counts: Sequence[Counts]) -> None:
    bottom = [0] * len(counts)
    for name, colour in _STATUSES:
        heights = [getattr(one, name) for one in counts]
        if not any(heights):
            continue
        axes.bar(range(len(counts)), heights, bottom=bottom, width=0.82, color=colour, label=name)
        bottom = [low + high for low, high in zip(bottom, heights, strict=True)]


def _failures(figures: ReportFigures) -> str:
    groups = figures.failures[:_MAX_BARS]
    total = sum(group.count for group in figures.failures)

    def draw(axes: Axes) -> None:
        places = range(len(groups))
        bars = axes.barh(places, [group.count for group in groups], color=BAD, height=0.7)
        axes.bar_label(bars, padding=3)
        axes.set_yticks(places, [_short(group.code) for group in groups])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15 * groups[0].count)
        _whole_numbers(axes.xaxis)
        share = axes.twiny()
        running = [sum(g.count for g in groups[: n + 1]) / total * 100 for n in places]
        share.plot(running, places, color=INK, marker="o", markersize=3, linewidth=1.0)
        share.set_xlim(0, 115)
        share.set_xticks([0, 50, 100], ["0 %", "50 %", "100 %"])
        share.spines["top"].set_visible(False)
        share.tick_params(length=0)

    return _drawn("failures", draw, grid="x", height=0.85 + 0.24 * len(groups))


def _speed(history: Sequence[DayFigures], num_days: int) -> str:
    def draw(axes: Axes) -> None:
        _shade(axes, history, num_days)
        for name, colour, style in (("median", ACCENT, "-"), ("p95", CLASSES[1], "--")):
            values = [_or_nan(getattr(day.rtf, name)) for day in history]
            label = "p50" if name == "median" else name
            axes.plot(
                values, style, color=colour, label=label, marker="o", markersize=2.2, linewidth=1.3
            )
        axes.set_ylim(bottom=0)
        _date_ticks(axes, history)
        _legend(axes)

    return _drawn("speed", draw)


def _presets(figures: ReportFigures) -> str:
    shown = [p for p in figures.presets if p.cancellation_db.n >= FEW][:_MAX_BARS]

    def draw(axes: Axes) -> None:
        boxes = [_box(p.cancellation_db) for p in shown]
        axes.bxp(
            boxes,
            orientation="horizontal",
            showfliers=False,
            patch_artist=True,
            widths=0.55,
            boxprops={"facecolor": ACCENT, "edgecolor": ACCENT, "alpha": 0.45},
            medianprops={"color": INK, "linewidth": 1.8},
            whiskerprops={"color": SOFT},
            capprops={"color": SOFT},
        )
        labels = [f"{_short(p.preset)}\nn = {p.cancellation_db.n:,}" for p in shown]
        axes.set_yticks(range(1, len(shown) + 1), labels)
        axes.invert_yaxis()
        low = min(box["whislo"] for box in boxes)
        if low < 0:
            axes.axvspan(min(low * 1.1, low - 0.5), 0, color=BAD, alpha=0.15, linewidth=0)
        axes.axvline(0, color=SOFT, linewidth=1.0)

    return _drawn("presets", draw, grid="x", height=0.6 + 0.42 * len(shown))


def _box(spread: Spread) -> dict[str, Any]:
    return {
        "whislo": spread.p10,
        "q1": spread.p25,
        "med": spread.median,
        "q3": spread.p75,
        "whishi": spread.p90,
    }


def _mix(figures: ReportFigures) -> list[str]:
    """Return the classes, those with the greatest share of the period or the days before first."""
    shares: dict[str, float] = {}
    for days in (figures.baseline, figures.days):
        total = sum(sum(day.noise_s.values()) for day in days)
        for name in {name for day in days for name in day.noise_s}:
            share = sum(day.noise_s.get(name, 0.0) for day in days) / (total or 1.0)
            shares[name] = max(shares.get(name, 0.0), share)
    return sorted(shares, key=lambda name: (-shares[name], name))


def _class_mix(history: Sequence[DayFigures], mix: Sequence[str], num_days: int) -> str:
    shown = list(mix[:_MAX_CLASSES])

    def draw(axes: Axes) -> None:
        _shade(axes, history, num_days)
        bottom = [0.0] * len(history)
        for label, colour, seconds in _layers(history, shown):
            totals = [sum(day.noise_s.values()) or 1.0 for day in history]
            shares = [100 * s / total for s, total in zip(seconds, totals, strict=True)]
            axes.bar(
                range(len(history)), shares, bottom=bottom, width=0.86, color=colour, label=label
            )
            bottom = [low + high for low, high in zip(bottom, shares, strict=True)]
        axes.set_ylim(0, 100)
        axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
        _date_ticks(axes, history)
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.12),
            ncols=3,
            handlelength=0.9,
            columnspacing=1.0,
            borderaxespad=0.1,
        )

    return _drawn("mix", draw, height=_SIZE[1] + 0.45)


def _layers(
    history: Sequence[DayFigures], shown: Sequence[str]
) -> Iterator[tuple[str, str, list[float]]]:
    """Yield label, colour and seconds a day of each class, then of all others together."""
    for name, colour in zip(shown, CLASSES, strict=False):
        yield _words(name), colour, [day.noise_s.get(name, 0.0) for day in history]
    rest = [sum(v for n, v in day.noise_s.items() if n not in shown) for day in history]
    if any(rest):
        yield "all other", MUTED, rest


def _heat(figures: ReportFigures) -> str:
    from matplotlib.patches import Rectangle

    totals = {name: sum(hours) for name, hours in figures.noise_hours.items()}
    names = sorted(totals, key=lambda name: -totals[name])[:10]

    def draw(axes: Axes) -> None:
        for row, name in enumerate(names):
            hours = figures.noise_hours[name]
            top = max(hours) or 1.0
            for hour, seconds in enumerate(hours):
                if seconds:
                    cell = Rectangle((hour, row), 0.94, 0.9, linewidth=0, facecolor=ACCENT)
                    cell.set_alpha(0.12 + 0.88 * seconds / top)
                    axes.add_patch(cell)
        axes.set_xlim(0, 24)
        axes.set_ylim(len(names), 0)
        axes.set_xticks([0.5, 6.5, 12.5, 18.5, 23.5], ["00", "06", "12", "18", "23"])
        labels = [_words(name) for name in names]
        axes.set_yticks([row + 0.45 for row in range(len(names))], labels)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)

    return _drawn("heat", draw, grid="none", height=max(1.3, 0.5 + 0.2 * len(names)))


def _timeline(figures: ReportFigures) -> str:
    zone = ZoneInfo(figures.period.timezone)
    placed = [(line, line.at.astimezone(zone)) for line in figures.event_lines if line.at]
    kinds = sorted({line.noise_type for line, _ in placed})

    def draw(axes: Axes) -> None:
        rows = {kind: row for row, kind in enumerate(kinds)}
        for line, at in placed:
            axes.plot(
                [_naive(at)],
                [rows[line.noise_type]],
                marker="X" if line.violation else "o",
                markersize=8 if line.violation else 6,
                color=BAD if line.violation else ACCENT,
                alpha=1.0 if line.violation else 0.7,
                linestyle="none",
            )
        axes.set_yticks(range(len(kinds)), [_words(kind) for kind in kinds])
        axes.set_ylim(len(kinds) - 0.5, -0.5)
        moments = [_naive(at) for _, at in placed]
        start = _naive(figures.period.start.astimezone(zone))
        end = _naive(figures.period.end.astimezone(zone))
        axes.set_xlim(min(start, *moments), max(end, *moments))
        _time_ticks(axes)

    return _drawn("timeline", draw, grid="both", height=max(1.3, 0.7 + 0.32 * len(kinds)))


def _level_lines(
    figures: ReportFigures,
) -> list[tuple[float | None, float | None, float | None]]:
    """Return Leq, L10 and L90 of each hour in the unit of the report."""
    if figures.level_unit == CALIBRATED_UNIT:
        return [(hour.laeq_db, hour.la10_db, hour.la90_db) for hour in figures.levels]
    return [(hour.leq_dbfs, hour.l10_dbfs, hour.l90_dbfs) for hour in figures.levels]


def _levels(figures: ReportFigures) -> str:
    hours, lines = figures.levels, _level_lines(figures)

    def draw(axes: Axes) -> None:
        places = range(len(hours))
        axes.fill_between(
            places,
            [_or_nan(l90) for _, _, l90 in lines],
            [_or_nan(l10) for _, l10, _ in lines],
            color=ACCENT,
            alpha=0.25,
            linewidth=0,
        )
        leq = [_or_nan(one) for one, _, _ in lines]
        axes.plot(places, leq, color=ACCENT, marker="o", markersize=2.5, linewidth=1.4)
        labels = [_bar_label(hour.label) for hour in hours]
        step = 1 if len(labels) <= 10 else 3 if len(labels) <= 25 else 5
        axes.set_xticks(range(0, len(labels), step), labels[::step])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))

    return _drawn("levels", draw)


def _disk_caption(figures: ReportFigures) -> str:
    disk = figures.disk
    if disk is None or disk.days_to_full is None:
        return "outputs written since the first day shown"
    if disk.days_to_full > 365:
        return "outputs written since the first day shown; full in more than a year"
    return (
        "outputs written since the first day shown; dashed: as it goes on, "
        f"full in {count_of(round(disk.days_to_full), 'day')}"
    )


def _disk(figures: ReportFigures, history: Sequence[DayFigures]) -> str:
    def draw(axes: Axes) -> None:
        written, total = [], 0.0
        for day in history:
            total += day.output_bytes
            written.append(total / 1e9)
        axes.fill_between(range(len(written)), written, color=ACCENT, alpha=0.3, linewidth=0)
        axes.plot(written, color=ACCENT, linewidth=1.4, label="outputs")
        disk = figures.disk
        if disk is not None and disk.growth_bytes_per_day:
            ahead = 14
            slope = disk.growth_bytes_per_day / 1e9
            last = len(written) - 1
            axes.plot(
                [last, last + ahead],
                [written[-1], written[-1] + ahead * slope],
                "--",
                color=SOFT,
                linewidth=1.2,
                label="as it goes on",
            )
            limit = written[-1] + disk.free_bytes / 1e9
            if limit < 2 * (written[-1] + ahead * slope):
                axes.axhline(limit, color=BAD, linewidth=1.2, label="disk full")
        places = {point.day: point.database_bytes for point in figures.sizes}
        database = [
            _or_nan(None if (b := places.get(day.day)) is None else b / 1e9) for day in history
        ]
        if any(value == value for value in database):  # noqa: PLR0124 - NaN is not itself
            axes.plot(database, color=CLASSES[1], linewidth=1.4, label="database", marker=".")
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: size(1e9 * value) if value else "0")
        _date_ticks(axes, history)
        _legend(axes)

    return _drawn("disk", draw)


# --------------------------------------------------------------------------- what they share


def _drawn(
    name: str,
    draw: Callable[[Axes], None],
    *,
    grid: Literal["x", "y", "both", "none"] = "y",
    height: float = _SIZE[1],
) -> str:
    # Figure and canvas by hand: pyplot would keep every figure, and look for a display.
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        if grid != "none":
            axes.grid(visible=True, axis=grid)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return themed(file.getvalue(), name)


def themed(svg: str, name: str) -> str:
    """Return matplotlib's SVG as a part of the page: its colours, its font, identifiers of its own.

    Parameters
    ----------
    svg : str
        The document.
    name : str
        Put before every identifier: the page holds many drawings.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"\n\s*", "\n", body)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \g<1>px", body)
    body = re.sub(r"\s*font-family: [^;\"]*;?", "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    # Width and height are the page's; the view box keeps the shape.
    head, rest = body.split(">", 1)
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", head)
    return f'{head} aria-hidden="true" focusable="false">{rest}'


def _shade(axes: Axes, history: Sequence[DayFigures], num_days: int) -> None:
    end = len(history) - 0.5
    axes.axvspan(end - num_days, end, color=GRID, alpha=0.55, linewidth=0, zorder=0)


def _date_ticks(axes: Axes, history: Sequence[DayFigures]) -> None:
    """Mark Mondays: weeks are what people see in a month."""
    days = [date.fromisoformat(day.day) for day in history]
    mondays = [place for place, day in enumerate(days) if day.weekday() == 0]
    axes.set_xticks(mondays, [f"{days[place].day} {days[place]:%b}" for place in mondays])


def _bar_label(label: str) -> str:
    """Return an hour as it is, a date as people say it."""
    if len(label) < len("2026-11-03"):
        return label
    day = date.fromisoformat(label)
    return f"{day.day} {day:%b}"


def _time_ticks(axes: Axes) -> None:
    from matplotlib import dates

    untyped: Any = dates
    locator = untyped.AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator, show_offset=False))


def _whole_numbers(axis: Any) -> None:  # noqa: ANN401 - matplotlib.axis.Axis
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.98),
        ncols=4,
        handlelength=1.2,
        columnspacing=1.2,
        borderaxespad=0.1,
    )


def _naive(moment: datetime) -> datetime:
    # matplotlib would turn an aware moment into UTC; the wall clock is what is to be read.
    return moment.replace(tzinfo=None)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _short(text: str) -> str:
    return shorten(text, _MAX_LABEL, placeholder="…") or text[:_MAX_LABEL]


def _words(noise_type: str) -> str:
    return _short(noise_type.replace("_", " "))
