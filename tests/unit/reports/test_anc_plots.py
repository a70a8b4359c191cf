"""The pictures of an ANC run: they hold what the figures say, and there is always a picture."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from anc_core.dsp.wiener import CausalityMargin
from anc_core.errors import InputError
from anc_core.metrics.anc_figures import anc_figures
from anc_core.reports import anc_plots
from anc_core.reports.anc_plots import (
    AncRun,
    attenuation_plot,
    causality_margin_plot,
    convergence_plot,
    draw_attenuation,
    draw_causality_margin,
    draw_convergence,
    draw_spectrograms,
    overview_plot,
    spectrogram_plot,
    write_anc_plots,
)

RATE = 8_000


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    """Draw few pixels: what is drawn stays the same, and takes a fraction of the time."""
    monkeypatch.setattr(anc_plots, "_DPI", 30)


def white(seconds: float, *channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, (round(seconds * RATE), *channels))


def curve(*levels: float | None) -> CausalityMargin:
    delays = tuple(16 * index for index in range(len(levels)))
    return CausalityMargin(
        delays_samples=delays, attenuation_db=levels, sample_rate=RATE, num_taps=64, lead_samples=20
    )


def run(seconds: float = 6.0, **more: object) -> AncRun:
    """Return a run that converges from 0 to 20 dB at 20 dB/s, and is louder at 250 Hz."""
    time = np.arange(round(seconds * RATE)) / RATE
    d = white(seconds)
    e = d * 10 ** -np.minimum(time, 1.0) + 0.1 * np.sin(2 * np.pi * 250 * time)
    values = {
        "disturbance": d,
        "error_signal": e,
        "sample_rate": RATE,
        "figures": anc_figures(d, e, RATE, wiener_error=d / 20, **more),
        "margins": {"white": curve(12.0, 8.0, 2.0), "tone": curve(10.0, 9.5, 9.0)},
    }
    return AncRun(**values)


def new_axes(count: int = 1):
    from matplotlib.figure import Figure

    figure = Figure()
    return figure, figure.subplots(1, count)


def legend_of(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


# --------------------------------------------------------------------------- what they hold


def test_a_bar_for_each_band_and_a_line_for_its_bound():
    figures = run().figures
    _, axes = new_axes()
    draw_attenuation(axes, figures)
    bars = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches}
    expected = dict(enumerate(figures.steady_third_octave_db.values()))
    assert bars == pytest.approx(expected)
    lines = axes.collections[0].get_segments()
    heights = [segment[0][1] for segment in lines]
    assert heights == pytest.approx(list(figures.wiener_third_octave_db.values()))
    assert axes.get_ylabel() == "attenuation (dB)"
    assert axes.get_xlabel() == "band centre (Hz)"
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert ticks == ["31.5", "63", "125", "250", "500", "1k", "2k"]


def test_the_worst_band_is_named_and_pointed_at():
    figures = run().figures
    _, axes = new_axes()
    draw_attenuation(axes, figures)
    note = next(text for text in axes.texts if "worst" in text.get_text())
    amplified = figures.worst_band_amplification_db
    assert figures.worst_band_hz == 250.0
    assert note.get_text() == f"worst: 250 Hz, {amplified:.1f} dB louder"
    assert note.xy[0] == list(figures.steady_third_octave_db).index("250")
    assert "louder than without ANC" in legend_of(axes)
    # Above every bar and below the legend.
    highest = max(bar.get_height() for bar in axes.patches)
    assert highest < note.get_position()[1] < axes.get_ylim()[1]


def test_what_became_louder_is_told_by_more_than_colour():
    _, axes = new_axes()
    draw_attenuation(axes, run().figures)
    hatched = [bar.get_hatch() for bar in axes.patches if bar.get_height() < 0.0]
    assert hatched
    assert all(hatched)
    assert not any(bar.get_hatch() for bar in axes.patches if bar.get_height() >= 0.0)


def test_the_levels_over_time_are_those_of_the_signals():
    shown = run()
    _, axes = new_axes()
    draw_convergence(axes, shown)
    before, after = axes.lines[:2]
    # 125 ms of white noise: 1000 samples, ±0.2 dB each.
    np.testing.assert_allclose(before.get_ydata(), -20.0, atol=1.0)
    time, level = after.get_data()
    at_half = float(np.interp(0.5, time, level))
    # 10 dB down, and a sine of -23 dBFS on top.
    expected = 10 * np.log10(10 ** (-20 / 10 - 1) + 0.005)
    assert at_half == pytest.approx(expected, abs=1.0)
    assert axes.get_xlabel() == "time (s)"
    assert "dBFS" in axes.get_ylabel()
    assert axes.get_xlim() == (0.0, 6.0)


def test_the_times_of_convergence_and_change_are_marked():
    d = white(12)
    gain = np.where(np.arange(len(d)) % (6 * RATE) < RATE, 1.0, 0.1)
    figures = anc_figures(d, d * gain, RATE, change_s=6.0)
    shown = AncRun(disturbance=d, error_signal=d * gain, sample_rate=RATE, figures=figures)
    _, axes = new_axes()
    draw_convergence(axes, shown)
    marks = {line.get_label(): line.get_xdata()[0] for line in axes.lines[2:]}
    assert marks == {
        "settled: 1.0 s": pytest.approx(1.0, abs=0.15),
        "change: 6.0 s": 6.0,
        "again: 1.0 s later": pytest.approx(7.0, abs=0.15),
    }
    assert set(marks) <= set(legend_of(axes))


def test_the_bound_is_a_level_where_the_figures_are_taken():
    shown = run()
    _, axes = new_axes()
    draw_convergence(axes, shown)
    (segment,) = axes.collections[0].get_segments()
    steady = shown.disturbance[round(shown.figures.steady_start_s * RATE) :]
    expected = 10 * np.log10(np.mean(steady**2)) - 20 * np.log10(20)
    assert segment[:, 1] == pytest.approx([expected] * 2, abs=0.01)
    assert segment[:, 0] == pytest.approx([shown.figures.steady_start_s, 6.0])


def test_before_and_after_have_one_scale_of_colours():
    shown = run()
    figure, pair = new_axes(2)
    draw_spectrograms(figure, pair, shown)
    before, after = (axes.images[0] for axes in pair)
    assert before.get_clim() == after.get_clim()
    # The lowest bands have too few bins for a steady level.
    change = np.asarray(before.get_array())[12:, -40:] - np.asarray(after.get_array())[12:, -40:]
    tone = np.median(change, axis=1).argmin()
    assert np.median(np.delete(change, [tone - 1, tone, tone + 1], axis=0)) == pytest.approx(
        20.0, abs=0.2
    )
    low, high = before.get_extent()[2:]
    centre = low + (12 + tone + 0.5) * (high - low) / before.get_array().shape[0]
    assert 2**centre == pytest.approx(250, rel=0.13)  # a sixth of an octave
    assert pair[0].get_ylabel() == "frequency (Hz)"


def test_a_spectrogram_keeps_the_power_of_its_bands():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(3 * RATE) / RATE)
    edges, levels = anc_plots._band_levels(tone, RATE)
    band = int(np.searchsorted(edges, 1_000.0, side="right")) - 1
    near = 10 ** (levels[band - 1 : band + 2] / 10)
    np.testing.assert_allclose(10 * np.log10(near.sum(axis=0)), -3.01, atol=0.01)


def test_a_long_recording_has_no_more_columns_and_keeps_its_levels():
    tone = 0.1 * np.sin(2 * np.pi * 1_000 * np.arange(120 * RATE) / RATE)
    _, levels = anc_plots._band_levels(tone.astype(np.float32), RATE)
    assert levels.shape[1] <= 500
    np.testing.assert_allclose(levels.max(axis=0), levels.max(), atol=0.01)
    time, level = anc_plots._levels(tone, RATE)
    assert len(time) <= 1_200
    np.testing.assert_allclose(level, -23.01, atol=0.01)
    assert time[-1] == pytest.approx(120.0, abs=0.2)
    assert np.all(np.diff(time) > 0)


def test_the_margin_is_in_the_legend_and_marked():
    _, axes = new_axes()
    draw_causality_margin(axes, run().margins)
    # 12 - 3 = 9 dB: 12 samples (of 16 that cost 4 dB), 1.5 ms at 8 kHz.
    assert legend_of(axes) == ["white: −3 dB at 1.50 ms (12 samples)", "tone"]
    (segment,) = axes.collections[0].get_segments()
    np.testing.assert_allclose(segment, [[1.5, 0.0], [1.5, 9.0]])
    assert axes.lines[0].get_xdata() == pytest.approx([0.0, 2.0, 4.0])
    assert axes.lines[0].get_marker() != axes.lines[1].get_marker()
    assert "(ms)" in axes.get_xlabel()
    assert "(dB)" in axes.get_ylabel()


# --------------------------------------------------------------------------- files


def test_all_pictures_are_written_in_both_formats(tmp_path):
    written = write_anc_plots(tmp_path / "new", run(3.0))
    names = {"overview", "attenuation", "convergence", "spectrogram", "causality_margin"}
    assert {path.name for path in written} == {
        f"{n}.{kind}" for n in names for kind in ("png", "svg")
    }
    assert sorted(path.name for path in written) == sorted(
        path.name for path in (tmp_path / "new").iterdir()
    )
    for path in written:
        if path.suffix == ".svg":
            assert ET.fromstring(path.read_bytes()).tag.endswith("svg")
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


def test_without_a_curve_there_is_no_picture_of_one(tmp_path):
    shown = run(3.0)
    bare = AncRun(
        disturbance=shown.disturbance,
        error_signal=shown.error_signal,
        sample_rate=RATE,
        figures=shown.figures,
    )
    written = write_anc_plots(tmp_path, bare, picture_formats=["png"])
    assert "causality_margin.png" not in {path.name for path in written}
    assert len(written) == 4


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_run_is_the_same_picture_bit_for_bit(kind):
    shown = run(3.0)
    first, second = (convergence_plot(shown, picture_format=kind) for _ in range(2))
    assert first == second


def test_the_settings_of_the_user_do_not_matter():
    from matplotlib import rc_context

    figures = run(3.0).figures
    plain = attenuation_plot(figures)
    with rc_context({"axes.facecolor": "black", "text.color": "white", "font.size": 20}):
        assert attenuation_plot(figures) == plain


def test_pictures_are_dark_ink_on_white():
    from matplotlib.image import imread

    picture = imread(io.BytesIO(attenuation_plot(run(3.0).figures)))[..., :3]
    assert np.all(picture[[0, 0, -1, -1], [0, -1, 0, -1]] == 1.0)
    for colour in (anc_plots.INK, anc_plots.FAINT, *anc_plots.LINES):
        channel = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
        # WCAG 2.1: contrast to white; 4.5 for text, which some of these colour.
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5


# --------------------------------------------------------------------------- odd runs


@pytest.mark.parametrize(
    ("d", "e"),
    [
        (np.zeros(RATE), np.zeros(RATE)),
        (white(1), np.zeros(RATE)),
        (np.zeros(RATE), white(1)),
        (white(0.05), white(0.05)),
        (np.zeros(0), np.zeros(0)),
        (white(1, 3), white(1, 3) / 10),
        (white(2), white(2) * 1e20),
        (white(1), np.full(RATE, np.nan)),
        (white(1), np.full(RATE, np.inf)),
        (white(1), white(1) * 1e200),
    ],
    ids=["silent", "none left", "from nothing", "short", "empty", "three microphones",
         "diverged", "NaN", "infinite", "beyond energy"],
)  # fmt: skip
def test_there_is_always_a_picture(d, e):
    shown = AncRun(
        disturbance=d,
        error_signal=e,
        sample_rate=RATE,
        figures=anc_figures(d, e, RATE),
        margins={"none": curve(None, None), "one": curve(3.0)},
    )
    assert overview_plot(shown).startswith(b"\x89PNG")


def test_names_in_any_script_with_any_sign_are_shown():
    shown = run(1.0)
    odd = AncRun(
        disturbance=shown.disturbance,
        error_signal=shown.error_signal,
        sample_rate=RATE,
        figures=shown.figures,
        margins={"_$x^$ 녹음": curve(3.0, 2.0)},
        title="$\\frac 녹음 <&> " + "long " * 100,
    )
    assert overview_plot(odd, picture_format="svg")


def test_a_curve_without_any_level_says_so():
    _, axes = new_axes()
    draw_causality_margin(axes, {"silence": curve(None)})
    assert [text.get_text() for text in axes.texts] == ["no curve was computed"]
    assert causality_margin_plot({})


def test_an_unknown_format_is_refused():
    with pytest.raises(InputError, match="'pdf'"):
        spectrogram_plot(run(1.0), picture_format="pdf")
