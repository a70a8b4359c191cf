"""The delay between two microphones: found where there is one, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from anc_core.dsp.delay_search import (
    MAX_WINDOWS,
    WINDOW_S,
    Alignment,
    DelaySearch,
    find_delay,
)
from anc_core.errors import InputError

RATE = 8_000


def noise(num_samples: int, seed: int, num_channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (num_samples, num_channels))


def late(signal: np.ndarray, num_samples: float) -> np.ndarray:
    """Return ``signal`` that much later, silence before or after it; any fraction of a sample."""
    room = int(abs(num_samples)) + 64
    padded = np.pad(signal, ((room, room), (0, 0)))
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(padded)) * num_samples)[:, np.newaxis]
    moved = np.fft.irfft(np.fft.rfft(padded, axis=0) * turn, len(padded), axis=0)
    return moved[room : room + len(signal)]


def voice(num_samples: int, rate: int, seed: int) -> np.ndarray:
    """Return syllables: noise below 2 kHz that comes and goes four times a second, RMS 0.2."""
    spectrum = np.fft.rfft(noise(num_samples, seed), axis=0)
    spectrum[np.fft.rfftfreq(num_samples, 1 / rate) > 2_000] = 0.0
    loudness = np.maximum(np.sin(8 * np.pi * np.arange(num_samples) / rate), 0)[:, np.newaxis]
    syllables = np.fft.irfft(spectrum, num_samples, axis=0) * loudness
    return syllables * (0.2 / np.sqrt(np.mean(syllables**2)))


def drifting(signal: np.ndarray, drift_ppm: float) -> np.ndarray:
    """Return ``signal`` as a clock that is ``drift_ppm`` too slow records it."""
    return soxr.resample(signal, RATE * (1 + 1e-6 * drift_ppm), RATE, quality="VHQ")


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("delay_s", [0.0, 0.00131, 0.2503, -0.2503, 0.97, -0.97])
def test_a_delay_of_either_sign_is_found_to_a_sample(rate, delay_s):
    reference = noise(6 * rate, 1)
    found = find_delay(late(reference, delay_s * rate), reference, rate)
    assert found.is_found
    assert abs(found.delay_s - delay_s) < 1 / rate
    assert found.drift_ppm == 0.0


def test_the_delay_is_found_between_the_samples():
    reference = noise(6 * RATE, 1)
    found = find_delay(late(reference, 400.5), reference, RATE)
    # A parabola through samples of sinc((n - 0.5)), whose two largest are equal: exact but for
    # the noise of the other excerpts' samples.
    assert abs(found.delay_s * RATE - 400.5) < 0.1


def test_a_negated_reference_has_the_same_delay():
    reference = noise(4 * RATE, 2)
    found = find_delay(-late(reference, 500), reference, RATE)
    assert found.is_found
    assert found.delay_s * RATE == pytest.approx(500, abs=0.1)


@pytest.mark.parametrize("delay_s", [0.31, -0.31])
def test_noise_that_is_only_partly_in_common_suffices(delay_s):
    common = noise(10 * RATE, 3)
    # As much again of its own in each: the coherence is 1/2 x 1/2.
    primary = late(common, delay_s * RATE) + noise(10 * RATE, 4)
    found = find_delay(primary, common + noise(10 * RATE, 5), RATE)
    assert found.is_found
    assert abs(found.delay_s - delay_s) < 1 / RATE


def test_a_voice_in_the_primary_alone_does_not_disturb():
    reference = noise(10 * RATE, 6)
    primary = late(reference, 1_234) + voice(10 * RATE, RATE, 7)  # 6 dB louder than the noise
    found = find_delay(primary, reference, RATE)
    assert found.is_found
    assert abs(found.delay_s * RATE - 1_234) < 1


def test_coloured_noise_through_a_filter_is_found_at_the_direct_sound():
    colour = np.exp(-np.arange(200) / 20)
    reference = np.convolve(noise(10 * RATE, 8)[:, 0], colour)[: 10 * RATE, np.newaxis]
    echoes = 0.5 * np.random.default_rng(9).normal(size=400) * np.exp(-np.arange(400) / 60)
    echoes[0] = 2.0
    heard = np.convolve(reference[:, 0], echoes)[: 10 * RATE, np.newaxis]
    found = find_delay(late(heard, 800), reference, RATE)
    assert found.is_found
    assert abs(found.delay_s * RATE - 800) < 1


def test_one_pair_of_channels_that_has_the_noise_in_common_is_enough():
    reference = noise(10 * RATE, 10)
    primary = np.hstack([noise(10 * RATE, 11), late(reference, -700), np.zeros((10 * RATE, 1))])
    references = np.hstack([np.zeros((10 * RATE, 1)), reference])
    found = find_delay(primary, references, RATE)
    assert found.is_found
    assert abs(found.delay_s * RATE + 700) < 1


@pytest.mark.parametrize("drift_ppm", [20.0, -20.0, 50.0, -100.0, 100.0])
@pytest.mark.parametrize("delay_s", [0.123, -0.4])
def test_clocks_that_differ_are_found_within_three_ppm(drift_ppm, delay_s):
    source = noise(60 * RATE, 12)
    reference = drifting(source, drift_ppm)
    primary = late(source, delay_s * RATE) + 0.5 * noise(len(source), 13)
    found = find_delay(primary, reference, RATE)
    assert found.is_found
    # The line runs through 24 excerpts over 57 s. Each is off by a sample (125 us) at most, so
    # that the ends tilt it by 125 / 57 = 2.2 ppm, and its value at 0 is off by no more.
    assert abs(found.drift_ppm - drift_ppm) < 3
    assert abs(found.delay_s - delay_s) < 1.5 / RATE


def test_one_clock_has_no_drift_even_where_it_is_looked_for():
    reference = noise(60 * RATE, 14)
    found = find_delay(late(reference, 300) + noise(60 * RATE, 15), reference, RATE)
    assert found.is_found
    assert found.drift_ppm == 0.0


def test_drift_is_not_looked_for_unless_asked():
    source = noise(60 * RATE, 16)
    found = find_delay(late(source, 300), drifting(source, 50.0), RATE, may_drift=False)
    assert found.drift_ppm == 0.0


def test_less_than_a_quarter_of_a_minute_tells_no_drift():
    source = noise(12 * RATE, 17)
    found = find_delay(late(source, 300), drifting(source, 100.0), RATE)
    assert found.is_found
    assert found.drift_ppm == 0.0
    # 100 ppm over 12 s move it by 1.2 ms.
    assert abs(found.delay_s - 300 / RATE) < 1.2e-3


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("duration_s", [1.3, 5.0, 30.0])
def test_unrelated_noises_have_no_delay(seed, duration_s):
    num = int(duration_s * RATE)
    found = find_delay(noise(num, 100 + seed), noise(num, 200 + seed, 2), RATE)
    assert found == Alignment(clarity=found.clarity)
    assert not found.is_found


@pytest.mark.parametrize("rest", [2, 3, 10, 100, 1_000, 3_000, 8_000])
@pytest.mark.parametrize("num_windows", [0, 1, 3])
def test_a_short_rest_is_not_taken_for_sound_in_common(rest, num_windows):
    num = int(num_windows * WINDOW_S * RATE) + rest
    for seed in range(5):
        assert not find_delay(noise(num, 300 + seed), noise(num, 400 + seed), RATE).is_found


@pytest.mark.parametrize("rest", [2, 30, 1_000])
def test_a_short_rest_does_not_outvote_the_whole(rest):
    num = int(2 * WINDOW_S * RATE) + rest
    common = noise(num, 18)
    primary = late(common, 2_000) + 1.5 * noise(num, 19)
    found = find_delay(primary, common + noise(num, 20), RATE)
    assert found.is_found
    assert abs(found.delay_s * RATE - 2_000) < 1


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e-3, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_and_direct_current_have_nothing_in_common_with_anything(value, dtype):
    constant = np.full((3 * RATE, 1), value, dtype)
    for other in (constant, 0.7 * constant, noise(3 * RATE, 21).astype(dtype)):
        for pair in ((constant, other), (other, constant)):
            assert not find_delay(*pair, RATE).is_found


def test_direct_current_does_not_hide_the_delay():
    reference = noise(4 * RATE, 22)
    found = find_delay(late(reference, 90) + 0.5, reference - 0.9, RATE)
    assert found.is_found
    assert found.delay_s * RATE == pytest.approx(90, abs=0.1)


@pytest.mark.parametrize("num_samples", [0, 1, 2])
@pytest.mark.parametrize("num_channels", [1, 3])
def test_almost_nothing_is_not_found(num_samples, num_channels):
    one = noise(num_samples, 23, num_channels)
    assert find_delay(one, one, RATE) == Alignment()


def test_without_excerpts_nothing_is_found():
    assert DelaySearch(RATE).find() == Alignment()


def test_what_one_signal_has_beyond_the_other_does_not_count():
    reference = noise(6 * RATE, 24)
    primary = late(reference, 600)
    longer = np.concatenate([reference, noise(5 * RATE, 25)])
    assert find_delay(primary, longer, RATE) == find_delay(primary, reference, RATE)


def test_delays_beyond_the_largest_are_not_found():
    reference = noise(10 * RATE, 26)
    primary = late(reference, 1_000)
    assert find_delay(primary, reference, RATE, max_delay_s=0.13).is_found
    assert not find_delay(primary, reference, RATE, max_delay_s=0.12).is_found


@pytest.mark.parametrize("delay", [1_000, -1_000])
def test_the_largest_delay_itself_is_found(delay):
    reference = noise(10 * RATE, 27)
    found = find_delay(late(reference, delay), reference, RATE, max_delay_s=1_000 / RATE)
    assert found.is_found
    assert found.delay_s == delay / RATE


def test_a_largest_delay_below_one_sample_looks_one_sample_far():
    search = DelaySearch(RATE, max_delay_s=1e-6)
    search.add(0, noise(RATE, 28), noise(RATE, 29))
    assert search.max_lag == 1
    assert abs(search.find().delay_s) <= 1 / RATE


@pytest.mark.parametrize("max_delay_s", [0.0, -1.0, 1.26, np.nan, np.inf])
def test_a_largest_delay_outside_its_range_is_refused_with_range(max_delay_s):
    with pytest.raises(InputError, match=rf"{max_delay_s}.*at most 1\.25 s"):
        DelaySearch(RATE, max_delay_s=max_delay_s)


@pytest.mark.parametrize("rate", [0, -8_000, np.nan])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(InputError, match="rate"):
        DelaySearch(rate)


def test_memory_is_bounded_and_what_is_kept_is_spread_over_the_recording():
    search = DelaySearch(1_000, max_delay_s=0.1, may_drift=True)
    excerpt = noise(search.window_length, 30)
    for number in range(1_000):
        wanted = search.wants(number)
        search.add(number, late(excerpt, 7) if wanted else excerpt, excerpt)
        kept = sorted(search._curves)
        assert len(kept) <= MAX_WINDOWS
        assert (number in kept) == search.wants(number)
    # Doubling from 49 on: every 32nd of 1000.
    assert kept == list(range(0, 1_000, 32))
    assert [n for n in range(1_000, 1_065) if search.wants(n)] == [1_024, 1_056]
    found = search.find()
    assert found.is_found
    assert found.delay_s * 1_000 == pytest.approx(7, abs=0.1)


def test_excerpts_that_are_not_wanted_change_nothing():
    search = DelaySearch(1_000, max_delay_s=0.1)
    excerpt = noise(search.window_length, 31)
    for number in range(MAX_WINDOWS + 1):
        search.add(number, excerpt, excerpt)
    before = search.find()
    assert not search.wants(51)
    search.add(51, late(excerpt, 30), excerpt)
    assert search.find() == before


@pytest.mark.parametrize("exponent", [-13, -6, 6, 10])
def test_the_level_does_not_matter(exponent):
    common = noise(6 * RATE, 32)
    primary, reference = late(common, 333) + noise(6 * RATE, 33), common
    expected = find_delay(primary, reference, RATE)
    # Powers of two, 1e-4 to 1e3, are exact in every step: so is the result.
    gain = 2.0**exponent
    assert find_delay(gain * primary, reference, RATE) == expected
    assert find_delay(primary, gain * reference, RATE) == expected


def test_the_signals_are_not_modified():
    primary, reference = noise(3 * RATE, 34), noise(3 * RATE, 35)
    before = primary.copy(), reference.copy()
    find_delay(primary, reference, RATE)
    assert np.array_equal(primary, before[0])
    assert np.array_equal(reference, before[1])
