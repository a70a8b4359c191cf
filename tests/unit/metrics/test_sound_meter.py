"""The sound meter against sounds of known level, and EBU Tech 3341's cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import sosfilt

from anc_core.dsp.weighting import a_weighting_power
from anc_core.dsp.weighting_filters import WeightingFilter, a_weighting_filter, k_weighting_filter
from anc_core.metrics import SessionMeter
from anc_core.metrics.loudness import LoudnessMeter, channel_weights

RATE = 48_000


def sine(frequency_hz, level_dbfs, seconds, *, rate=RATE, num_channels=1):
    """Return a sine whose *peak* is ``level_dbfs``, as EBU Tech 3341 counts."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 10.0 ** (level_dbfs / 20.0) * np.sin(2 * np.pi * frequency_hz * time)
    return np.repeat(wave[:, np.newaxis], num_channels, axis=1).astype(np.float32)


def measured(audio, output=None, *, rate=RATE, cuts=()):
    meter = SessionMeter(rate, audio.shape[1])
    output = audio if output is None else output
    for start, stop in zip((0, *cuts), (*cuts, len(audio)), strict=True):
        meter.update(audio[start:stop], output[start:stop])
    return meter.compute()


# ------------------------------------------------------------------ A-weighted levels


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("frequency_hz", [31.5, 125.0, 1_000.0, 3_150.0])
def test_a_sine_has_the_level_of_its_a_weighting(rate, frequency_hz):
    figures = measured(sine(frequency_hz, -20.0, 8.0, rate=rate), rate=rate).figures
    wanted = -20.0 - 3.01 + 10 * np.log10(a_weighting_power(frequency_hz))
    # The onset of the filter, in 8 s, and 0.1 dB of the curve.
    assert figures["input_laeq_dbfs"] == pytest.approx(wanted, abs=0.2)


def test_fast_and_slow_follow_a_burst_as_the_standard_has_it():
    """IEC 61672-1, Table 4: a 4 kHz burst of 200 ms is 1.0 dB below with F, 7.4 dB with S."""
    steady = measured(sine(4_000.0, -20.0, 8.0)).level_spans[0]
    audio = np.zeros((3 * RATE, 1), dtype=np.float32)
    audio[RATE : RATE + RATE // 5] = sine(4_000.0, -20.0, 0.2)
    burst = measured(audio).level_spans[0]
    assert burst.input_lafmax_dbfs - steady.input_lafmax_dbfs == pytest.approx(-1.0, abs=0.1)
    assert burst.input_lasmax_dbfs - steady.input_lasmax_dbfs == pytest.approx(-7.4, abs=0.1)


def test_spans_count_the_levels_of_125_ms():
    audio = np.concatenate(
        [sine(1_000.0, -20.0, 30.0, rate=8_000), sine(1_000.0, -50.0, 60.0, rate=8_000)]
    )
    first, second = measured(audio, audio / 10, rate=8_000).level_spans
    assert (first.start_s, first.end_s, second.end_s) == (0.0, 60.0, 90.0)
    assert (len(first.input_levels) > 2, sum(first.input_levels[1:])) == (True, 480)
    # -23.01 and -53.01 dBFS, in steps of half a decibel from 0.
    low, *counts = first.input_levels
    assert low == -107
    assert counts[0] == pytest.approx(240, abs=2)
    assert counts[-47 + 107] == pytest.approx(240, abs=2)
    assert second.input_levels == (-107, 240)
    assert second.output_levels == (-147, 240)
    assert first.output_laeq_dbfs == pytest.approx(first.input_laeq_dbfs - 20.0, abs=0.001)


def test_a_day_has_no_more_spans_than_96_and_the_same_energy():
    from anc_core.metrics.level_spans import SpanTable

    table = SpanTable(8_000, 1, 1_000, 480)
    energies = np.full((25, 1, 2), 10.0)
    for _ in range(24 * 3_600 * 8 // 25):
        table.add(25_000, energies, np.full((25, 1, 2, 2), 0.01))
    spans = table.compute()
    assert (len(spans), spans[0].end_s, spans[-1].end_s) == (90, 960.0, 86_400.0)
    assert {span.input_laeq_dbfs for span in spans} == {-20.0}
    assert spans[0].input_levels == (-40, 7_680)


# ------------------------------------------------------------------ loudness, EBU Tech 3341


def test_case_1_and_2_a_stereo_sine_of_minus_23_and_minus_33():
    for level in (-23.0, -33.0):
        figures = measured(sine(1_000.0, level, 20.0, num_channels=2)).figures
        for name in ("loudness", "max_momentary", "max_short_term"):
            assert figures[f"input_{name}_lufs"] == pytest.approx(level, abs=0.1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_the_loudness_does_not_depend_on_the_sample_rate(rate):
    audio = sine(997.0, -23.0, 5.0, rate=rate, num_channels=2)
    assert measured(audio, rate=rate).figures["input_loudness_lufs"] == pytest.approx(
        -23.0, abs=0.05
    )


@pytest.mark.parametrize(
    "parts",
    [
        ((-36, 10), (-23, 60), (-36, 10)),  # case 3
        ((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)),  # case 4
        ((-26, 20), (-20, 20.1), (-26, 20)),  # case 5
    ],
)
def test_cases_3_to_5_the_gates_leave_out_what_is_quiet(parts):
    audio = np.concatenate(
        [sine(1_000.0, level, seconds, rate=8_000, num_channels=2) for level, seconds in parts]
    )
    assert measured(audio, rate=8_000).figures["input_loudness_lufs"] == pytest.approx(
        -23.0, abs=0.1
    )


def test_case_6_five_channels_weigh_as_the_recommendation_says():
    levels = (-28.0, -28.0, -24.0, 0.0, -30.0, -30.0)  # L R C LFE Ls Rs
    audio = np.concatenate([sine(1_000.0, level, 5.0, rate=8_000) for level in levels], axis=1)
    assert measured(audio, rate=8_000).figures["input_loudness_lufs"] == pytest.approx(
        -23.0, abs=0.1
    )
    assert channel_weights(3).tolist() == [1.0, 1.0, 1.0]


def test_gating_in_bins_is_the_gating_of_the_recommendation():
    rng = np.random.default_rng(3)
    hops = 10.0 ** (rng.uniform(-90.0, -10.0, 3_000) / 10.0)
    blocks = np.convolve(hops, np.full(4, 0.25), mode="valid")
    gated = blocks[-0.691 + 10 * np.log10(blocks) > -70.0]
    gate = 10 * np.log10(gated.mean()) - 10.0
    wanted = -0.691 + 10 * np.log10(gated[10 * np.log10(gated) > gate].mean())
    meter = LoudnessMeter()
    for part in np.array_split(hops, 17):
        meter.update(part)
    assert meter.integrated_lufs() == pytest.approx(wanted, abs=0.002)


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        (sine(1_000.0, -20.0, 0.39, rate=8_000), "shorter than 400 ms"),
        (sine(1_000.0, -80.0, 2.0, rate=8_000), "louder than -70 LUFS"),
        (np.zeros((16_000, 1), dtype=np.float32), "louder than -70 LUFS"),
    ],
)
def test_what_cannot_be_gated_has_no_loudness_and_a_reason(audio, reason):
    figures = measured(audio, rate=8_000).figures
    assert figures["input_loudness_lufs"] is None
    assert reason in figures["null_reasons"]["input_loudness_lufs"]


def test_a_rate_too_low_for_the_k_weighting_has_levels_and_no_loudness():
    figures = measured(sine(500.0, -20.0, 2.0, rate=4_000), rate=4_000).figures
    assert figures["input_laeq_dbfs"] is not None
    assert figures["input_loudness_lufs"] is None
    assert "sample rate" in figures["null_reasons"]["input_loudness_lufs"]


# ------------------------------------------------------------------ laws


def as_sos(weighting: WeightingFilter):
    rows = [[1.0, -2.0, 1.0, 1.0, *one] for one in weighting.denominators]
    rows[-1][:3] = weighting.numerator
    return np.array(rows)


@pytest.mark.parametrize(("rate", "num_samples"), [(8_000, 20_011), (11_025, 30_000)])
def test_the_kernel_is_the_filter_sample_by_sample(rate, num_samples):
    """Oracle: second-order sections, all in float64."""
    rng = np.random.default_rng(1)
    audio = rng.normal(0.0, 0.1, (num_samples, 1)).astype(np.float32)
    output = (audio[::-1] / 3).copy()
    result = measured(audio, output, rate=rate)
    for side, samples in (("input", audio), ("output", output)):
        weighted = sosfilt(as_sos(a_weighting_filter(rate)), samples[:, 0].astype(np.float64))
        wanted = 10 * np.log10(np.mean(weighted**2))
        assert result.figures[f"{side}_laeq_dbfs"] == pytest.approx(wanted, abs=1e-9)
        loud = sosfilt(as_sos(k_weighting_filter(rate)), samples[:, 0].astype(np.float64))
        hop = 4 * round(0.025 * rate)
        hops = (loud[: num_samples // hop * hop].reshape(-1, hop) ** 2).mean(axis=1)
        blocks = np.convolve(hops, np.full(4, 0.25), mode="valid")
        assert result.figures[f"{side}_max_momentary_lufs"] == pytest.approx(
            10 * np.log10(blocks.max()) - 0.691, abs=1e-9
        )


@pytest.mark.parametrize("cuts", [(1, 2, 3, 17_000), (8_000, 16_000), (25_000,)])
def test_any_split_gives_the_same_levels_bit_for_bit(cuts):
    rng = np.random.default_rng(5)
    audio = rng.normal(0.0, 0.1, (40_003, 2)).astype(np.float32)
    whole, parts = (
        measured(audio, audio * 0.5, rate=8_000),
        measured(audio, audio * 0.5, rate=8_000, cuts=cuts),
    )
    assert whole.level_spans == parts.level_spans
    assert whole.figures == parts.figures


def test_silence_after_a_sound_dies_away_without_denormals():
    audio = np.zeros((8_000 * 130, 1), dtype=np.float32)
    audio[:8_000] = sine(1_000.0, -1.0, 1.0, rate=8_000)
    first, second, third = measured(audio, rate=8_000).level_spans
    assert first.input_laeq_dbfs is not None
    assert (second.input_levels, third.input_laeq_dbfs) == ((), None)
