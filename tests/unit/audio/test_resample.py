"""Resampling: the right length, the right place, the same for every split."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio import StreamResampler
from anc_core.errors import InputError


def resample(resampler: StreamResampler, audio: np.ndarray, sizes: list[int]) -> np.ndarray:
    chunks, start, turn = [], 0, 0
    while start < len(audio):
        stop = start + sizes[turn % len(sizes)]
        chunks.append(resampler.process(audio[start:stop]))
        start, turn = stop, turn + 1
    return np.concatenate([*chunks, resampler.flush()])


@pytest.mark.parametrize(
    ("source", "target"),
    [(48_000, 16_000), (44_100, 16_000), (7_999, 16_000), (16_000, 48_000), (384_000, 16_000)],
)
@pytest.mark.parametrize("num_samples", [0, 1, 5, 4_801])
def test_length_is_the_same_time_rounded_half_up_for_every_split(source, target, num_samples):
    audio = np.random.default_rng(3).standard_normal((num_samples, 2)).astype(np.float32)
    resampler = StreamResampler(source, target, 2)
    whole = resample(resampler, audio, [max(num_samples, 1)])
    assert len(whole) == resampler.num_resampled(num_samples)
    assert resampler.num_resampled(num_samples) == int(num_samples * target / source + 0.5)
    for sizes in ([1, 777, 0, 64], [160]):
        assert np.array_equal(resample(resampler, audio, sizes), whole)


def test_a_tone_stays_in_place_and_keeps_its_level():
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 1_000 * time, dtype=np.float64).astype(np.float32)[:, np.newaxis]
    low = resample(StreamResampler(48_000, 16_000, 1), tone, [4_096])
    expected = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    # HQ promises 16 bits or more within the pass band; 1e-4 is 13, away from the ends of the tone.
    assert np.abs(low[500:-500, 0] - expected[500:-500]).max() < 1e-4


def test_what_lies_above_the_new_nyquist_frequency_is_gone():
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 12_000 * time).astype(np.float32)[:, np.newaxis]
    low = resample(StreamResampler(48_000, 16_000, 1), tone, [4_096])
    assert np.abs(low[500:-500]).max() < 1e-4  # -80 dB; HQ rejects by about 120 dB


def test_equal_rates_pass_through_as_a_copy():
    audio = np.ones((7, 3), np.float32)
    resampler = StreamResampler(16_000, 16_000, 3)
    out = resampler.process(audio)
    assert np.array_equal(out, audio)
    assert out is not audio
    assert resampler.flush().shape == (0, 3)


def test_reset_makes_the_next_run_the_first():
    audio = np.random.default_rng(5).standard_normal((3_000, 1)).astype(np.float32)
    resampler = StreamResampler(44_100, 16_000, 1)
    first = resample(resampler, audio, [500])
    resampler.process(audio)
    resampler.reset()
    assert np.array_equal(resample(resampler, audio, [500]), first)


def test_parameters_are_checked():
    for bad in ((0, 16_000, 1, "HQ"), (16_000, 16_000, 0, "HQ"), (16_000, 8_000, 1, "best")):
        with pytest.raises(InputError):
            StreamResampler(*bad)
    with pytest.raises(InputError, match="shape"):
        StreamResampler(16_000, 8_000, 2).process(np.zeros((4, 1), np.float32))


# --------------------------------------------------------------------- clocks that differ

DRIFTS_PPM = [50.0, -50.0, 1_000.0, -1_000.0]


@pytest.mark.parametrize("drift_ppm", DRIFTS_PPM)
@pytest.mark.parametrize(("source", "target"), [(16_000, 16_000), (48_000, 16_000)])
def test_a_tone_of_a_fast_clock_is_raised_to_its_true_pitch(source, target, drift_ppm):
    # The clock took more samples of a 1 kHz tone than it says: it seems lower than it is.
    seeming = 1_000 / (1 + 1e-6 * drift_ppm)
    tone = np.sin(2 * np.pi * seeming * np.arange(20 * source) / source).astype(np.float32)
    resampler = StreamResampler(source, target, 1, drift_ppm=drift_ppm)
    out = resample(resampler, tone[:, np.newaxis], [4_096])[:, 0]
    expected = np.sin(2 * np.pi * 1_000 * np.arange(len(out)) / target)
    # In place to the end, where uncorrected 50 ppm of 20 s were a whole period. 1e-4 as above.
    assert np.abs(out[500:-500] - expected[500:-500]).max() < 1e-4


@pytest.mark.parametrize("drift_ppm", [*DRIFTS_PPM, 0.123, 33.3])
@pytest.mark.parametrize(("source", "target"), [(16_000, 16_000), (44_100, 16_000)])
@pytest.mark.parametrize("num_samples", [0, 1, 480, 100_000])
def test_drift_changes_the_length_by_as_much(source, target, drift_ppm, num_samples):
    audio = np.random.default_rng(6).standard_normal((num_samples, 1)).astype(np.float32)
    resampler = StreamResampler(source, target, 1, drift_ppm=drift_ppm)
    whole = resample(resampler, audio, [max(num_samples, 1)])
    assert len(whole) == resampler.num_resampled(num_samples)
    exact = num_samples * target / source / (1 + 1e-6 * drift_ppm)
    assert abs(len(whole) - exact) <= 0.5 + 1e-6
    for sizes in ([1, 777, 0, 64], [1_600]):
        assert np.array_equal(resample(resampler, audio, sizes), whole)


def test_no_drift_leaves_every_bit():
    audio = np.random.default_rng(7).standard_normal((5_000, 2)).astype(np.float32)
    same = StreamResampler(16_000, 16_000, 2, drift_ppm=0.0)
    assert np.array_equal(resample(same, audio, [333]), audio)
    plain = StreamResampler(48_000, 16_000, 2)
    none = StreamResampler(48_000, 16_000, 2, drift_ppm=-0.0)
    assert np.array_equal(resample(plain, audio, [333]), resample(none, audio, [333]))


@pytest.mark.parametrize("drift_ppm", [1_000.1, -1_001, np.nan, np.inf])
def test_a_clock_that_is_off_by_more_than_a_thousandth_is_refused(drift_ppm):
    with pytest.raises(InputError, match=r"drift_ppm is .* from -1000 to 1000"):
        StreamResampler(16_000, 16_000, 1, drift_ppm=drift_ppm)
