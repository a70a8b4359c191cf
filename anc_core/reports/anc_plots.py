"""Pictures of an ANC run: attenuation by band, convergence, before and after, what delay costs.

PNG and SVG, on white with dark ink so that they read the same on paper and on a dark page; what
colour says, shape or text says too. Figures are drawn by
hand, without pyplot, which would keep every figure and look for a display.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.levels import power_to_db
from anc_core.dsp.third_octave import BandSums, power_spectrum_scale
from anc_core.dsp.wiener import CausalityMargin
from anc_core.errors import InputError
from anc_core.files import atomic_path
from anc_core.metrics.anc_figures import CONVERGED_DB, AncFigures
from anc_core.metrics.anc_measure import (
    FRAMES_PER_LEVEL,
    columns,
    frame_energies,
    frame_length_of,
    running_sums,
)

Signal: TypeAlias = NDArray[np.floating[Any]]
Array: TypeAlias = NDArray[np.float64]
PictureFormat: TypeAlias = Literal["png", "svg"]
Axes: TypeAlias = Any
"""matplotlib.axes.Axes, which is loaded only when something is drawn."""

# Okabe & Ito's palette, told apart by the colour-blind; each at least 3:1 on white (WCAG 1.4.11).
INK, FAINT = "#222222", "#767676"
REACHED, LOUDER, BOUND, SETTLED = "#0072B2", "#B84F00", "#222222", "#EAF2E4"
LINES = ("#0072B2", "#B84F00", "#00785A", "#8F3F71", "#222222", "#767676")
MARKERS = ("o", "s", "^", "D", "v", "P")

_DPI = 150
_SMALL = 8.5
_STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 9.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "legend.fontsize": _SMALL,
    "text.parse_math": False,  # names of files may hold a dollar sign
    # Without a salt every SVG of the same picture would differ in its identifiers.
    "svg.hashsalt": "anc",
}

_LOWEST_DB = -40.0
"""Bars end here; a run that diverged by hundreds of decibels must not flatten all others."""
_LEVEL_RANGE_DB = 80.0
_LEGEND_FROM = 0.68
"""Of the height of the axes; above it there is room for a legend and no line runs."""
_COLOUR_RANGE_DB = 60.0
_NOTHING_DBFS = -199.0
_MAX_TITLE = 95
_MAX_POINTS = 1_200
_MAX_COLUMNS = 500
_SPECTROGRAM_S = 0.125
_LOWEST_HZ = 40.0
_BANDS_PER_OCTAVE = 6
_OCTAVES = ("31.5", "63", "125", "250", "500", "1000", "2000", "4000", "8000", "16000")


@dataclass(frozen=True, slots=True, kw_only=True)
class AncRun:
    """What there is to draw.

    Attributes
    ----------
    disturbance, error_signal : ndarray, shape (num_samples,) or (num_samples, num_error_mics)
        Without and with ANC; microphones are shown as their mean power.
    sample_rate : int
        Hz.
    figures : AncFigures
        Of these signals.
    margins : mapping of str to CausalityMargin
        Name of the noise -> its curve; empty = not drawn.
    title : str
        Over the overview: what was simulated.
    """

    disturbance: Signal
    error_signal: Signal
    sample_rate: int
    figures: AncFigures
    margins: Mapping[str, CausalityMargin] = field(default_factory=dict)
    title: str = "ANC simulation"


# --------------------------------------------------------------------------- whole pictures


def attenuation_plot(figures: AncFigures, *, picture_format: PictureFormat = "png") -> bytes:
    """Return a picture of the steady attenuation by third octave, with the bound beside it."""
    return _picture((8.0, 3.8), picture_format, lambda figure: draw_attenuation(
        figure.add_subplot(), figures
    ))  # fmt: skip


def convergence_plot(run: AncRun, *, picture_format: PictureFormat = "png") -> bytes:
    """Return a picture of the levels of disturbance and error over time."""
    return _picture((8.0, 3.6), picture_format, lambda figure: draw_convergence(
        figure.add_subplot(), run
    ))  # fmt: skip


def spectrogram_plot(run: AncRun, *, picture_format: PictureFormat = "png") -> bytes:
    """Return a picture of the spectrograms before and after, on one scale."""
    return _picture((8.0, 3.6), picture_format, lambda figure: draw_spectrograms(
        figure, figure.subplots(1, 2, sharey=True), run
    ))  # fmt: skip


def causality_margin_plot(
    margins: Mapping[str, CausalityMargin], *, picture_format: PictureFormat = "png"
) -> bytes:
    """Return a picture of the attenuation in reach against extra delay, a curve for each noise."""
    return _picture((8.0, 3.8), picture_format, lambda figure: draw_causality_margin(
        figure.add_subplot(), margins
    ))  # fmt: skip


def overview_plot(run: AncRun, *, picture_format: PictureFormat = "png") -> bytes:
    """Return one picture with everything there is, and the main figures in words."""

    def draw(figure: Any) -> None:  # noqa: ANN401 - matplotlib is loaded only when drawing
        heading, *panels = figure.subfigures(4, 1, height_ratios=[0.75, 2.9, 2.6, 2.9])
        _draw_heading(heading, run)
        draw_attenuation(panels[0].add_subplot(), run.figures)
        if run.margins:
            left, right = panels[1].subplots(1, 2)
            draw_causality_margin(right, run.margins)
        else:
            left = panels[1].add_subplot()
        draw_convergence(left, run)
        draw_spectrograms(panels[2], panels[2].subplots(1, 2, sharey=True), run)

    return _picture((9.5, 10.5), picture_format, draw)


def write_anc_plots(
    folder: Path | str, run: AncRun, *, picture_formats: Sequence[PictureFormat] = ("png", "svg")
) -> tuple[Path, ...]:
    """Write all pictures of a run to ``folder``, each complete or not at all.

    Parameters
    ----------
    folder : path
        Is made if it is missing.
    run : AncRun
    picture_formats : sequence of "png" and "svg"

    Returns
    -------
    tuple of Path
        ``overview``, ``attenuation``, ``convergence``, ``spectrogram`` and, where there is a
        curve, ``causality_margin``, each with the name of its format.

    Raises
    ------
    InputError
        If a format is unknown.
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    pictures: dict[str, Callable[[PictureFormat], bytes]] = {
        "overview": lambda kind: overview_plot(run, picture_format=kind),
        "attenuation": lambda kind: attenuation_plot(run.figures, picture_format=kind),
        "convergence": lambda kind: convergence_plot(run, picture_format=kind),
        "spectrogram": lambda kind: spectrogram_plot(run, picture_format=kind),
    }
    if run.margins:
        pictures["causality_margin"] = lambda kind: causality_margin_plot(
            run.margins, picture_format=kind
        )
    written = []
    for name, draw in pictures.items():
        for kind in picture_formats:
            content = draw(kind)
            path = Path(folder) / f"{name}.{kind}"
            with atomic_path(path) as temp:
                temp.write_bytes(content)
            written.append(path)
    return tuple(written)


def _picture(
    inches: tuple[float, float],
    picture_format: PictureFormat,
    draw: Callable[[Any], None],
) -> bytes:
    if picture_format not in get_args(PictureFormat):
        msg = f"picture_format is {picture_format!r}; it must be one of {get_args(PictureFormat)}"
        raise InputError(msg)
    with _style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=inches, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        file = io.BytesIO()
        # Without a date and a program version the same run gives the same bytes.
        metadata = {"Date": None} if picture_format == "svg" else {"Software": None}
        figure.savefig(file, format=picture_format, metadata=metadata)
    return file.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    from matplotlib import rc_context

    with rc_context(_STYLE), warnings.catch_warnings():
        # The names of recordings may be in any script; a box for a letter is no fault of the run.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


# --------------------------------------------------------------------------- attenuation by band


def draw_attenuation(axes: Axes, figures: AncFigures) -> None:
    """Draw the steady attenuation by third octave as bars, the bound as lines across them."""
    bands, bound = figures.steady_third_octave_db, figures.wiener_third_octave_db
    place = {label: index for index, label in enumerate(bands)}
    axes.set_title("Attenuation by third octave, at the end of the recording")
    axes.set_ylabel("attenuation (dB)")
    axes.set_xlabel("band centre (Hz)")
    if not bands:
        _say(axes, figures.null_reasons.get("steady_third_octave_db", "nothing to compare"))
        return
    known = {label: value for label, value in bands.items() if value is not None}
    quieter = {b: v for b, v in known.items() if v >= 0.0}
    louder = {b: v for b, v in known.items() if v < 0.0}
    if quieter:
        _bars(axes, place, quieter, "reached", REACHED, "")
    if louder:
        _bars(axes, place, louder, "louder than without ANC", LOUDER, "////")
    best = {place[b]: v for b, v in bound.items() if v is not None and b in place}
    if best:
        axes.hlines(
            list(best.values()), [x - 0.45 for x in best], [x + 0.45 for x in best],
            colors=BOUND, linewidth=1.8, label="best causal filter (optimum over all bands)",
        )  # fmt: skip
    axes.axhline(0.0, color=INK, linewidth=0.9)
    values = [*known.values(), *best.values(), 0.0]
    low, high = max(min(values), _LOWEST_DB), max(values)
    room = max(high - low, 6.0)
    axes.set_ylim(low - (0.2 if louder else 0.02) * room, high + 0.34 * room)
    axes.set_xlim(-0.7, len(bands) - 0.3)
    shown = [label for label in bands if label in _OCTAVES] or list(bands)
    axes.set_xticks([place[label] for label in shown], [_hertz(float(b)) for b in shown])
    axes.set_xticks(range(len(bands)), minor=True)
    axes.grid(axis="y")
    _mark_worst(axes, figures, place, high + 0.07 * room)
    handles, labels = axes.get_legend_handles_labels()
    bars_first = sorted(range(len(labels)), key=lambda index: labels[index].startswith("best"))
    axes.legend(
        [handles[i] for i in bars_first], [labels[i] for i in bars_first], loc="upper left", ncols=3
    )


def _bars(
    axes: Axes,
    place: Mapping[str, int],
    values: Mapping[str, float],
    label: str,
    colour: str,
    hatch: str,
) -> None:
    axes.bar(
        [place[band] for band in values],
        [max(value, 1.1 * _LOWEST_DB) for value in values.values()],
        width=0.72,
        color=colour if not hatch else "white",
        edgecolor=colour,
        hatch=hatch,
        label=label,
    )


def _mark_worst(axes: Axes, figures: AncFigures, place: Mapping[str, int], height: float) -> None:
    """Point at the band with the least attenuation from above all bars."""
    if figures.worst_band_hz is None or figures.worst_band_amplification_db is None:
        return
    x = next(index for label, index in place.items() if float(label) == figures.worst_band_hz)
    is_low = x < len(place) / 2
    axes.annotate(
        f"worst: {_hertz(figures.worst_band_hz, ' ')}Hz, {_effect(figures)}",
        xy=(x, max(-figures.worst_band_amplification_db, 0.0)),
        xytext=(x, height),
        ha="left" if is_low else "right",
        va="bottom",
        fontsize=_SMALL,
        color=LOUDER,
        fontweight="bold",
        arrowprops={
            "arrowstyle": "-|>",
            "color": LOUDER,
            "linewidth": 1.6,
            "relpos": (0.0, 0.0) if is_low else (1.0, 0.0),  # straight down from the text's edge
        },
    )


def _effect(figures: AncFigures) -> str:
    change = round(figures.worst_band_amplification_db or 0.0, 1)
    if change == 0.0:
        return "unchanged"
    return f"{abs(change):.1f} dB {'louder' if change > 0.0 else 'quieter'}"


# --------------------------------------------------------------------------- levels over time


def draw_convergence(axes: Axes, run: AncRun) -> None:
    """Draw the levels of disturbance and error over time, and when the filter had settled."""
    figures = run.figures
    axes.set_title("Level at the error microphones")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("level of 125 ms (dBFS)")
    before = _levels(run.disturbance, run.sample_rate)
    after = _levels(run.error_signal, run.sample_rate)
    if not len(before[0]) or not (np.isfinite(before[1]).all() and np.isfinite(after[1]).all()):
        _say(axes, "nothing that could be drawn")
        return
    if before[1].max() <= _NOTHING_DBFS:
        _say(axes, "the disturbance is digital silence")
        return
    _shade_end(axes, figures)
    axes.plot(*before, color=FAINT, linewidth=1.1, label="without ANC")
    axes.plot(*after, color=REACHED, linewidth=1.4, label="with ANC")
    bound = _bound_level(run)
    if bound is not None:
        axes.hlines(
            bound, figures.steady_start_s, figures.duration_s,
            colors=BOUND, linestyles="dashed", linewidth=1.6, label="best causal filter",
        )  # fmt: skip
    # A run that diverges leaves through the top instead of pushing all else off the picture.
    loudest = float(before[1].max())
    top = min(max(loudest, float(after[1].max())), loudest + _LEVEL_RANGE_DB / 2.0)
    shown = [*before[1], *after[1], *([bound] if bound is not None else [])]
    bottom = max(float(min(shown)), loudest - _LEVEL_RANGE_DB)
    room = max(top - bottom, 6.0)
    bottom -= 0.08 * room
    axes.set_ylim(bottom, bottom + (top + 0.05 * room - bottom) / _LEGEND_FROM)
    axes.set_xlim(0.0, figures.duration_s)
    axes.grid()
    _mark_times(axes, figures)
    axes.legend(loc="upper left", ncols=2, columnspacing=1.2)


def _shade_end(axes: Axes, figures: AncFigures) -> None:
    """Shade the steady stretch, which most figures are about, and name it."""
    start, stop = figures.steady_start_s, figures.duration_s
    axes.axvspan(start, stop, ymax=_LEGEND_FROM, color=SETTLED, linewidth=0)
    axes.text(
        (start + stop) / 2, _LEGEND_FROM, "end", transform=axes.get_xaxis_transform(),
        ha="center", va="bottom", fontsize=_SMALL,
    )  # fmt: skip


def _levels(samples: Signal, sample_rate: int) -> tuple[Array, Array]:
    """Return times (s) and levels (dBFS) of 125 ms, at most :data:`_MAX_POINTS` of them."""
    heard = columns(samples, "signal")
    length, frames = frame_length_of(sample_rate), frame_energies(heard, sample_rate)
    energies = running_sums(frames)
    times = (np.arange(len(energies)) + FRAMES_PER_LEVEL / 2.0) * length / sample_rate
    if len(energies) > _MAX_POINTS:  # mean energies of neighbours: no peak and no gap gets lost
        edges = np.linspace(0, len(energies), _MAX_POINTS + 1).astype(int)[:-1]
        counts = np.diff(np.append(edges, len(energies)))
        energies = np.add.reduceat(energies, edges) / counts
        times = np.add.reduceat(times, edges) / counts
    per_level = FRAMES_PER_LEVEL * length * heard.shape[1]
    return times, power_to_db(energies / per_level)


def _bound_level(run: AncRun) -> float | None:
    """Return the level that the best filter would leave in the steady stretch, dBFS."""
    if run.figures.wiener_db is None:
        return None
    start = round(run.figures.steady_start_s * run.sample_rate)
    steady = columns(run.disturbance, "disturbance")[start:]
    power = float(np.sum(frame_energies(steady, run.sample_rate))) / max(steady.size, 1)
    return float(power_to_db(power)) - run.figures.wiener_db


def _mark_times(axes: Axes, figures: AncFigures) -> None:
    near = f"within {CONVERGED_DB:g} dB of the end"
    again = figures.reconvergence_s
    if figures.convergence_s is not None:
        text = f"{near if figures.change_s is None else 'settled'}: {figures.convergence_s:.1f} s"
        _upright(axes, figures.convergence_s, text, REACHED, ":")
    if figures.change_s is not None:
        _upright(axes, figures.change_s, f"change: {figures.change_s:.1f} s", LOUDER, "-.")
    if figures.change_s is not None and again is not None:
        _upright(axes, figures.change_s + again, f"again: {again:.1f} s later", REACHED, "--")


def _upright(axes: Axes, time: float, text: str, colour: str, line: str) -> None:
    axes.axvline(time, ymax=_LEGEND_FROM, color=colour, linestyle=line, linewidth=1.4, label=text)


# --------------------------------------------------------------------------- spectrograms


def draw_spectrograms(figure: Any, pair: Sequence[Axes], run: AncRun) -> None:  # noqa: ANN401
    """Draw sixth-octave levels over time before and after, on one scale of colours."""
    before, after = (
        _band_levels(samples, run.sample_rate) for samples in (run.disturbance, run.error_signal)
    )
    top = float(before[1].max(initial=-200.0))
    image = None
    for axes, (edges, levels), title in zip(
        pair, (before, after), ("Without ANC", "With ANC"), strict=True
    ):
        axes.set_title(title)
        axes.set_xlabel("time (s)")
        if not levels.size or top <= _NOTHING_DBFS:
            _say(axes, "too short for a spectrogram" if not levels.size else "digital silence")
            continue
        # Octaves upwards are equal steps, as the ear hears them and third octaves show them.
        low, high = np.log2(edges[[0, -1]])
        image = axes.imshow(
            levels,
            origin="lower",
            aspect="auto",
            extent=(0.0, run.figures.duration_s, low, high),
            cmap="magma",
            vmin=top - _COLOUR_RANGE_DB,
            vmax=top,
            interpolation="nearest",
        )
        ticks = [float(hz) for hz in _OCTAVES if edges[0] <= float(hz) <= edges[-1]]
        axes.set_yticks(np.log2(ticks), [_hertz(hz) for hz in ticks])
    pair[0].set_ylabel("frequency (Hz)")
    if image is not None:
        extend = "both" if after[1].max() > top + 1.0 else "min"
        bar = figure.colorbar(image, ax=list(pair), extend=extend, pad=0.02)
        bar.set_label("level per 1/6 octave (dBFS)")


def _band_levels(samples: Signal, sample_rate: int) -> tuple[Array, Array]:
    """Return band edges (Hz) and levels (dBFS), shape (num_bands, num_columns).

    Frames are added up into at most :data:`_MAX_COLUMNS` columns while they are made, so an hour
    takes no more memory than ten seconds.
    """
    heard = columns(samples, "signal")
    length = round(_SPECTROGRAM_S * check_sample_rate(sample_rate))
    octaves = np.log2(sample_rate / 2.0 / _LOWEST_HZ)
    steps = np.arange(np.floor(octaves * _BANDS_PER_OCTAVE) + 1)
    edges = sample_rate / 2.0 * 2.0 ** ((steps - steps[-1]) / _BANDS_PER_OCTAVE)
    starts = np.arange(0, len(heard) - length + 1, max(1, length // 2))
    if not len(starts) or len(edges) < 2:
        return edges, np.zeros((0, 0))
    num_columns = min(len(starts), _MAX_COLUMNS)
    sums, counts = np.zeros((num_columns, len(edges) - 1)), np.zeros(num_columns)
    window = np.hanning(length + 1)[:-1]
    bands = BandSums(edges, sample_rate=sample_rate, n_fft=length)
    scale = power_spectrum_scale(window, length)
    for first in range(0, len(starts), 64):
        some = starts[first : first + 64]
        into = np.arange(first, first + len(some)) * num_columns // len(starts)
        counts += np.bincount(into, minlength=num_columns)
        for channel in range(heard.shape[1]):
            frames = np.lib.stride_tricks.sliding_window_view(
                heard[some[0] : some[-1] + length, channel].astype(np.float64), length
            )[:: max(1, length // 2)]
            with np.errstate(over="ignore", invalid="ignore"):
                powers = np.abs(np.fft.rfft(frames * window)) ** 2 * scale
                np.add.at(sums, into, np.nan_to_num(bands(powers), posinf=1e300))
    return edges, power_to_db(sums / counts[:, np.newaxis] / heard.shape[1]).T


# --------------------------------------------------------------------------- causality margin


def draw_causality_margin(axes: Axes, margins: Mapping[str, CausalityMargin]) -> None:
    """Draw the attenuation in reach against extra delay, and where 3 dB of it are lost."""
    axes.set_title("What delay costs: the best causal filter")
    axes.set_xlabel("extra delay of the anti-noise (ms)")
    axes.set_ylabel("attenuation in reach (dB)")
    axes.grid()
    drawn = False
    for index, (name, curve) in enumerate(margins.items()):
        points = [
            (1_000.0 * delay, level)
            for delay, level in zip(curve.delays_s, curve.attenuation_db, strict=True)
            if level is not None
        ]
        if not points:
            continue
        drawn = True
        colour, marker = LINES[index % len(LINES)], MARKERS[index % len(MARKERS)]
        times, levels = zip(*points, strict=True)
        label = _with_margin(name, curve)
        axes.plot(times, levels, color=colour, marker=marker, markersize=4, label=label)
        margin = curve.margin_samples(CONVERGED_DB)
        if margin is not None:
            time, level = 1_000.0 * margin / curve.sample_rate, levels[0] - CONVERGED_DB
            axes.vlines(time, 0.0, level, colors=colour, linestyles=":", linewidth=1.4)
    if not drawn:
        _say(axes, "no curve was computed")
        return
    _mark_leads(axes, margins.values())
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    axes.set_ylim(top=(1.05 + 0.1 * len(margins)) * axes.get_ylim()[1])
    axes.legend(loc="upper right")


def _mark_leads(axes: Axes, curves: Iterable[CausalityMargin]) -> None:
    """Mark where the anti-noise stops being first; curves of the same paths share the mark."""
    leads_s = {curve.lead_samples / curve.sample_rate for curve in curves}
    for lead_s in sorted(lead_s for lead_s in leads_s if lead_s > 0.0):
        axes.axvline(1_000.0 * lead_s, color=FAINT, linestyle="-.", linewidth=1.2)
        axes.annotate(
            " anti-noise no longer first",
            (1_000.0 * lead_s, 0.02),
            xycoords=axes.get_xaxis_transform(),
            fontsize=_SMALL,
            color=FAINT,
        )


def _with_margin(name: str, curve: CausalityMargin) -> str:
    """Return ``name`` and the delay that costs 3 dB."""
    name = name.lstrip("_") or "noise"  # matplotlib hides what begins with an underscore
    margin = curve.margin_samples(CONVERGED_DB)
    if margin is None:
        return name
    return f"{name}: −3 dB at {1_000.0 * margin / curve.sample_rate:.2f} ms ({margin:.0f} samples)"


# --------------------------------------------------------------------------- words


def _draw_heading(figure: Any, run: AncRun) -> None:  # noqa: ANN401 - a SubFigure of matplotlib
    figures = run.figures
    title = shorten(run.title, _MAX_TITLE, placeholder=" …")
    figure.text(0.015, 0.92, title, fontsize=13, fontweight="bold", va="top")
    facts = [
        ("attenuation at the end", figures.steady_cancellation_db, "dB"),
        ("A-weighted", figures.steady_a_weighted_db, "dB"),
        ("best causal filter", figures.wiener_db, "dB"),
        ("gap to it", figures.wiener_gap_db, "dB"),
        ("whole recording", figures.cancellation_db, "dB"),
        ("converged after", figures.convergence_s, "s"),
    ]
    for index, (name, value, unit) in enumerate(facts):
        x = 0.015 + index / len(facts)
        shown = "–" if value is None else f"{value:.1f} {unit}".replace("-", "−")
        figure.text(x, 0.42, shown, fontsize=12.5, va="center")
        figure.text(x, 0.1, name, fontsize=_SMALL, va="center", color=FAINT)


def _say(axes: Axes, text: str) -> None:
    """Say in the empty axes why they are empty."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", wrap=True)


def _hertz(hz: float, space: str = "") -> str:
    return f"{hz / 1_000:g}{space}k" if hz >= 1_000 else f"{hz:g}{space}"
