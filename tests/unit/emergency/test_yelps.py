"""Yelps that no track follows: paths laid through the fold of their cycles."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency import AlarmDetector
from anc_core.emergency.choice import Thresholds
from anc_core.emergency.ridges import (
    ANALYSIS_RATE_HZ,
    FAST_FRAME_LENGTH,
    bin_frequencies,
    ridges_and_power,
)
from anc_core.emergency.yelps import YelpTracer, find_yelp
from tests.unit.emergency.alarm_sounds import hi_lo, pink_noise, sounder, wail, yelp

RATE = ANALYSIS_RATE_HZ
THRESHOLDS = Thresholds(protect=-0.9, hold=-1.9, count=3.0)


def power_of(samples: np.ndarray) -> np.ndarray:
    return ridges_and_power(samples.astype(np.float32), FAST_FRAME_LENGTH)[1]


def in_noise(dry: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    noise = pink_noise(len(dry), np.random.default_rng(seed))
    return 0.05 * (dry / np.sqrt(np.mean(dry**2)) * 10 ** (snr_db / 20) + noise)


@pytest.mark.parametrize("seed", range(4))
def test_a_yelp_far_below_its_noise_is_found_with_its_pitch_and_its_cycle(seed):
    found = find_yelp(power_of(in_noise(yelp(3.0, RATE), -8.0, seed)))
    assert found is not None
    # 190 cycles a minute; a step of the search is an eighth of a frame, of pitch 0.1 octaves.
    assert 64 / found.cycle_frames == pytest.approx(190 / 60, rel=0.02)
    assert found.low_hz == pytest.approx(650.0, rel=0.16)
    assert found.high_hz == pytest.approx(1450.0, rel=0.16)


@pytest.mark.parametrize(
    "sound",
    [
        lambda: 0 * sounder(3.0, RATE),
        lambda: sounder(3.0, RATE),
        lambda: hi_lo(3.0, RATE, each_s=0.15),
        lambda: wail(3.0, RATE, period_s=2.5),
        # Loud and silent three times a second, at all pitches at once.
        lambda: (
            pink_noise(3 * RATE, np.random.default_rng(1))
            * (np.arange(3 * RATE) / RATE % 0.33 < 0.12)
        ),
    ],
    ids=["silence", "held tone", "warble of two notes", "slow wail", "hammer"],
)
def test_what_is_no_yelp_is_none(sound):
    assert find_yelp(power_of(sound())) is None
    assert (
        find_yelp(power_of(sound() + 0.02 * pink_noise(3 * RATE, np.random.default_rng(2)))) is None
    )


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_none(seed):
    assert find_yelp(power_of(pink_noise(3 * RATE, np.random.default_rng(seed)))) is None


def test_a_stretch_too_short_to_repeat_says_nothing():
    assert find_yelp(power_of(yelp(1.7, RATE))) is None


def test_the_finding_begins_and_ends_with_the_yelp():
    sound = np.zeros(10 * RATE)
    sound[3 * RATE : 7 * RATE] = yelp(4.0, RATE)
    power = power_of(in_noise(sound, 0.0, 5))
    tracer = YelpTracer(THRESHOLDS)
    tracer.take(power)
    found = tracer.trace([0.0] * (len(power) // 32))
    assert found
    # To a cycle (0.32 s) and what a frame reaches.
    assert min(f.start for f in found) / 64 == pytest.approx(3.0, abs=0.4)
    assert max(f.stop for f in found) / 64 == pytest.approx(7.0, abs=0.4)
    assert all(f.is_standard and f.counts_alone and f.holds_level for f in found)


def test_nothing_is_looked_at_where_the_head_hears_nothing():
    power = power_of(yelp(6.0, RATE))
    tracer = YelpTracer(THRESHOLDS)
    tracer.take(power)
    assert tracer.trace([-1.91] * 12) == []


def test_where_the_head_doubts_the_path_must_be_clearer():
    power = power_of(in_noise(yelp(3.0, RATE), -14.0, 1))
    found = find_yelp(power)
    assert found is not None
    for score, num in ((-0.9, 1), (-1.9, 0)):
        tracer = YelpTracer(THRESHOLDS)
        tracer.take(power)
        assert len(tracer.trace([-9.0] * 4 + [score])) == num, (score, found)


def test_how_the_scores_come_does_not_matter_and_the_past_is_forgotten():
    power = power_of(in_noise(yelp(12.0, RATE), 0.0, 3))
    num_cells = len(power) // 32
    whole = YelpTracer(THRESHOLDS)
    whole.take(power)
    at_once = whole.trace([0.0] * num_cells)
    step_by_step = YelpTracer(THRESHOLDS)
    found = []
    for second in range(num_cells // 2):
        step_by_step.take(power[64 * second : 64 * (second + 1)])
        # Scores come 9 cells late; here as many as a block brings.
        found += step_by_step.trace([0.0] * (2 if second >= 4 else 0))
    step_by_step.take(power[64 * (num_cells // 2) :])
    found += step_by_step.trace([0.0] * (num_cells - 2 * (num_cells // 2 - 4)))
    assert found == at_once
    assert len(at_once) >= 8
    assert sum(map(len, step_by_step._power)) <= 5 * 64


def test_a_yelp_in_louder_noise_is_counted_as_a_siren():
    sound = np.concatenate([np.zeros(3 * RATE), yelp(9.0, RATE), np.zeros(3 * RATE)])
    loud = np.sqrt(np.mean(sound[3 * RATE : 12 * RATE] ** 2))
    noise = pink_noise(len(sound), np.random.default_rng(4))
    detector = AlarmDetector(RATE)
    detector.process((0.05 * (sound / loud * 10 ** (-7 / 20) + noise)).astype(np.float32)[:, None])
    detector.flush()
    (event,) = [e for e in detector.events if e.is_emergency]
    assert event.noise_type == "siren"
    assert "fast sweep" in event.evidence
    assert event.start_s == pytest.approx(3.0, abs=1.0)


def test_frequencies_of_the_bins_are_where_a_tone_peaks():
    tone = np.sin(2 * np.pi * 1_000.0 * np.arange(RATE) / RATE)
    power = power_of(tone).mean(axis=0)
    assert bin_frequencies(FAST_FRAME_LENGTH)[int(np.argmax(power))] == 1_000.0
