"""A reference beside its primary: moved where a causal filter can't reach, left where it can."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from anc_core.audio.placement import Placement, placed, placement_for
from anc_core.dsp.delay_search import Alignment

RATE = 16_000
NUM_TAPS = 1_600
"""0.1 s: the first quarter, 25 ms, is covered."""


def found(delay_s: float, drift_ppm: float = 0.0) -> Alignment:
    return Alignment(delay_s, drift_ppm, clarity=30.0, is_found=True)


def noise(num_samples: int, num_channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(4)
    return rng.normal(0, 0.1, (num_samples, num_channels)).astype(np.float32)


def put(audio: np.ndarray, placement: Placement, sizes: list[int], **rates: int) -> np.ndarray:
    """Return ``audio`` placed, in chunks of ``sizes``, again and again."""
    edges, turn = [0], 0
    while edges[-1] < len(audio):
        edges.append(min(edges[-1] + sizes[turn % len(sizes)], len(audio)))
        turn += 1
    chunks = [audio[a:b] for a, b in itertools.pairwise(edges)]
    rates = {"source_rate": RATE, "target_rate": RATE} | rates
    out = list(placed(chunks, placement, num_channels=audio.shape[1], **rates))
    assert all(one.dtype == np.float32 and one.shape[1] == audio.shape[1] for one in out)
    return np.concatenate(out)


# ------------------------------------------------------------------------- placement_for


def test_what_was_not_found_stays():
    assert placement_for(Alignment(0.3, 40.0, 5.0, is_found=False), RATE, NUM_TAPS) == Placement()
    assert placement_for(Alignment(), RATE, NUM_TAPS) == Placement()


@pytest.mark.parametrize("delay_s", [-0.02, -0.011, -1e-4])
def test_a_reference_late_by_less_than_a_device_is_not_moved_for_it_heard_the_voice(delay_s):
    assert placement_for(found(delay_s), RATE, NUM_TAPS) == Placement()


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.02, 0.025])
def test_what_the_filter_covers_stays(delay_s):
    assert placement_for(found(delay_s), RATE, NUM_TAPS) == Placement()


@pytest.mark.parametrize("delay_s", [-0.0201, -0.1, -1.0])
def test_a_late_reference_loses_its_beginning_and_then_leads_by_two_milliseconds(delay_s):
    placement = placement_for(found(delay_s), RATE, NUM_TAPS)
    assert placement.shift < 0
    assert placement.shift == round((delay_s - 0.002) * RATE)


@pytest.mark.parametrize("delay_s", [0.0251, 0.3, 1.0])
def test_an_early_reference_is_delayed_and_then_leads_by_two_milliseconds(delay_s):
    placement = placement_for(found(delay_s), RATE, NUM_TAPS)
    assert placement.shift > 0
    assert placement.shift == round((delay_s - 0.002) * RATE)


def test_a_short_filter_is_given_no_more_lead_than_it_covers():
    # 8 taps at 16 kHz: a quarter is 2 samples, where 2 ms were 32.
    assert placement_for(found(0.1), RATE, 8).shift == 1_600 - 2
    assert placement_for(found(-0.1), RATE, 8).shift == -1_600 - 2


def test_what_is_covered_grows_with_the_filter_and_not_with_the_rate():
    assert placement_for(found(0.2), RATE, 4 * 3_200) == Placement()
    assert placement_for(found(0.2), 2 * RATE, 4 * 3_200).shift == round(0.198 * 2 * RATE)


@pytest.mark.parametrize("delay_s", [-0.5, -0.01, 0.01, 0.5])
def test_the_clock_is_corrected_wherever_the_reference_lies(delay_s):
    # A delay that grows by 30 us each second: the reference's clock is too slow by 30 ppm.
    assert placement_for(found(delay_s, 30.0), RATE, NUM_TAPS).drift_ppm == -30.0


# -------------------------------------------------------------------------------- placed


@pytest.mark.parametrize("num_channels", [1, 3])
def test_a_shift_of_nothing_leaves_every_bit(num_channels):
    audio = noise(5_000, num_channels)
    assert np.array_equal(put(audio, Placement(), [700]), audio)


@pytest.mark.parametrize("shift", [1, 160, 9_000])
def test_a_delay_puts_silence_before_it(shift):
    audio = noise(5_000, 2)
    out = put(audio, Placement(shift), [700])
    assert len(out) == 5_000 + shift
    assert not out[:shift].any()
    assert np.array_equal(out[shift:], audio)


@pytest.mark.parametrize("shift", [-1, -700, -701, -4_999])
def test_a_cut_takes_from_the_beginning(shift):
    audio = noise(5_000, 2)
    assert np.array_equal(put(audio, Placement(shift), [700]), audio[-shift:])


@pytest.mark.parametrize("shift", [-5_000, -5_001, -80_000])
def test_a_cut_of_more_than_there_is_leaves_nothing(shift):
    assert put(noise(5_000, 2), Placement(shift), [700]).shape == (0, 2)


@pytest.mark.parametrize("shift", [0, 300, -300])
@pytest.mark.parametrize("source_rate", [RATE, 44_100, 8_000])
@pytest.mark.parametrize("drift_ppm", [0.0, -60.0])
def test_any_chunks_give_the_same_samples(shift, source_rate, drift_ppm):
    audio, how = noise(9_000, 2), Placement(shift, drift_ppm)
    whole = put(audio, how, [9_000], source_rate=source_rate)
    for sizes in ([1, 999, 64], [160], [299, 301]):
        assert np.array_equal(put(audio, how, sizes, source_rate=source_rate), whole)


@pytest.mark.parametrize("source_rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("shift", [0, 100, -100])
def test_the_shift_counts_samples_of_the_primary_at_any_rate(source_rate, shift):
    audio = noise(2 * source_rate)
    plain = put(audio, Placement(), [1_000], source_rate=source_rate)
    out = put(audio, Placement(shift), [1_000], source_rate=source_rate)
    assert len(plain) == 2 * RATE
    assert len(out) == 2 * RATE + shift
    assert np.array_equal(out[max(0, shift) :], plain[max(0, -shift) :])


@pytest.mark.parametrize("drift_ppm", [200.0, -200.0])
def test_a_fast_clock_has_taken_too_many_samples(drift_ppm):
    out = put(noise(10 * RATE), Placement(0, drift_ppm), [4_000])
    assert len(out) == round(10 * RATE / (1 + 1e-6 * drift_ppm))


@pytest.mark.parametrize("drift_ppm", [80.0, -80.0])
@pytest.mark.parametrize("shift", [4_000, -4_000])
def test_a_corrected_clock_keeps_time_to_the_end(drift_ppm, shift):
    # A click each second, by a clock that counts 16 000 (1 + drift) samples a second; smooth, so
    # that resampling keeps its shape.
    true_s = np.arange(1, 20)
    clock = np.arange(20 * RATE) / (RATE * (1 + 1e-6 * drift_ppm))
    clicks = np.exp(-0.5 * ((clock[:, np.newaxis] - true_s) * 2_000) ** 2).sum(axis=1)
    audio = clicks.astype(np.float32)[:, np.newaxis]
    out = put(audio, Placement(shift, drift_ppm), [5_000])[:, 0]
    for second in true_s:
        middle = round(second * RATE) + shift
        if middle < 100 or middle > len(out) - 100:
            continue
        near = out[middle - 80 : middle + 81].astype(np.float64)
        centre = np.sum(near * np.arange(-80, 81)) / np.sum(near)
        # Without correction the last click is 19 s x 80 ppm x 16 kHz = 24 samples off.
        assert abs(centre) < 0.05


@pytest.mark.parametrize("shift", [0, 50, -50])
def test_an_empty_reference_is_silence_of_the_shift(shift):
    empty = noise(0, 2)
    for chunks in ([], [empty]):
        out = list(
            placed(chunks, Placement(shift), source_rate=8_000, target_rate=RATE, num_channels=2)
        )
        assert sum(map(len, out)) == max(0, shift)
        assert all(one.shape[1] == 2 and not one.any() for one in out)


def test_the_chunks_are_not_modified_and_what_is_given_is_ones_own():
    audio = noise(1_000)
    before = audio.copy()
    for chunk in placed(
        [audio], Placement(-10), source_rate=RATE, target_rate=RATE, num_channels=1
    ):
        chunk[:] = 7.0
    assert np.array_equal(audio, before)
