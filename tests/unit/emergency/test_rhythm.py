from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from anc_core.emergency.findings import Kind
from anc_core.emergency.rhythm import CONTEXT_FRAMES, Heard, rhythm_findings
from anc_core.emergency.rhythm_kernels import follow_carriers

RATE = 64


def heard(pulses, *, is_complete: bool = False) -> Heard:
    """Return a context in which ``pulses`` (start_s, stop_s, hertz) sound at -20 dBFS."""
    pitch = np.full((CONTEXT_FRAMES, 2), np.nan, np.float32)
    steady = np.zeros((CONTEXT_FRAMES, 2), np.int64)
    for start_s, stop_s, hertz in pulses:
        frames = slice(round(start_s * RATE), round(stop_s * RATE))
        pitch[frames, 0] = np.log2(hertz)
        steady[frames, 0] = np.arange(1, len(pitch[frames]) + 1)
    level = np.where(np.isnan(pitch), np.nan, -20.0).astype(np.float32)
    return Heard(pitch, level, pitch, level, steady, 100, is_complete)


def with_levels(context: Heard, level_db: np.ndarray) -> Heard:
    """Return the context with another level wherever a peak is; the fast frames alike."""
    level = np.where(np.isnan(context.pitch), np.nan, level_db[:, np.newaxis]).astype(np.float32)
    return replace(context, level_db=level, fast_level_db=level)


def three(at_s: float, hertz: float = 3105.0, stretch: float = 1.0):
    return [(at_s + i * stretch, at_s + (i + 0.5) * stretch, hertz) for i in range(3)]


def four(at_s: float, hertz: float = 3200.0):
    return [(at_s + 0.2 * i, at_s + 0.2 * i + 0.1, hertz) for i in range(4)]


def kinds(context: Heard) -> dict[Kind, float]:
    return {finding.kind: finding.score for finding in rhythm_findings(context)}


@pytest.mark.parametrize("hertz", [520.0, 970.0, 3105.0, 4000.0])
@pytest.mark.parametrize("stretch", [0.9, 1.0, 1.1])
def test_t3_is_known_by_its_rhythm_at_any_pitch_within_ten_percent(hertz, stretch):
    pulses = [p for k in range(2) for p in three(1 + 4 * k * stretch, hertz, stretch)]
    (finding,) = rhythm_findings(heard(pulses))
    assert finding.kind is Kind.TEMPORAL_THREE
    assert finding.score == 0.95
    assert finding.on_s == pytest.approx(0.5 * stretch, abs=1.5 / RATE)
    assert finding.cycle_s == pytest.approx(4 * stretch, abs=1.5 / RATE)
    assert finding.low_hz == pytest.approx(hertz, rel=1e-3)
    assert finding.start == 100 + RATE
    assert len(finding.onsets) == 2


def test_t3_is_known_though_reflections_cancel_the_tone_for_a_moment():
    halves = [
        part
        for k in range(2)
        for start_s, stop_s, hertz in three(1 + 4 * k)
        for part in [(start_s, start_s + 0.05, hertz), (start_s + 0.14, stop_s, hertz)]
    ]
    (finding,) = [f for f in rhythm_findings(heard(halves)) if f.kind is Kind.TEMPORAL_THREE]
    assert finding.score == 0.95
    assert finding.on_s == pytest.approx(0.5, abs=1.5 / RATE)


def test_t3_is_known_though_reflections_cancel_all_but_its_onset_and_its_end():
    context = heard(three(1) + three(5))
    since_s = np.arange(CONTEXT_FRAMES) / RATE % 1.0
    hollow = np.where((since_s > 0.1) & (since_s < 0.4), -33.0, -20.0)
    assert kinds(with_levels(context, hollow))[Kind.TEMPORAL_THREE] == 0.95


def test_t3_whose_pauses_the_room_fills_must_repeat():
    def long(at_s: float):
        return [(start_s, start_s + 0.85, hertz) for start_s, _, hertz in three(at_s)]

    assert kinds(heard(long(1) + long(5)))[Kind.TEMPORAL_THREE] == 0.95
    assert Kind.TEMPORAL_THREE not in kinds(heard(long(4)))


def test_fall_within_the_pulses_is_measured():
    context = heard(three(2) + three(6))
    since_s = np.arange(CONTEXT_FRAMES) / RATE % 1.0
    (held,) = rhythm_findings(context)
    (struck,) = rhythm_findings(with_levels(context, -20.0 - 12.0 * since_s))
    assert held.fall_db_s == pytest.approx(0.0, abs=1e-3)
    assert struck.fall_db_s == pytest.approx(12.0, abs=1e-3)


def test_t4_is_heard_where_a_room_fills_its_pauses_and_noise_the_rest():
    """Pauses 4 dB below the beeps, and at the same pitch noise 12 dB below the rest of the time."""
    beeps = four(2) + four(7.7)
    context = heard([(0.0, 12.0, 3200.0)])
    level_db = np.full(CONTEXT_FRAMES, -32.0)
    for start_s, *_ in [beeps[0], beeps[4]]:
        level_db[round(start_s * RATE) : round((start_s + 0.7) * RATE)] = -24.0
    for start_s, stop_s, _ in beeps:
        level_db[round(start_s * RATE) : round(stop_s * RATE)] = -20.0
    assert kinds(with_levels(context, level_db))[Kind.TEMPORAL_FOUR] == 0.95


def test_single_t3_group_scores_less_than_a_repeated_one():
    assert kinds(heard(three(4))) == {Kind.TEMPORAL_THREE: 0.75}


def test_t3_waits_for_its_silence_unless_the_recording_ends():
    pulses = three(CONTEXT_FRAMES / RATE - 2.6)
    assert not kinds(heard(pulses))
    assert Kind.TEMPORAL_THREE in kinds(heard(pulses, is_complete=True))


def test_t4_is_four_quick_beeps():
    assert kinds(heard(four(2) + four(7.7))) == {Kind.TEMPORAL_FOUR: 0.95}
    assert kinds(heard(four(2))) == {Kind.TEMPORAL_FOUR: 0.75}


@pytest.mark.parametrize("num", [1, 2])
def test_one_or_two_beeps_are_no_rhythm(num):
    assert not kinds(heard(four(5)[:num]))


def test_beeper_of_a_lorry_is_regular_pulses():
    pulses = [(i, i + 0.5, 1250.0) for i in range(10)]
    assert set(kinds(heard(pulses))) == {Kind.PULSES}


def test_irregular_beeps_are_no_alarm():
    rng = np.random.default_rng(7)
    starts = np.cumsum(rng.uniform(0.4, 1.8, 8))
    pulses = [(s, s + rng.uniform(0.1, 0.35), 1250.0) for s in starts]
    assert all(score < 0.5 for score in kinds(heard(pulses)).values())


def test_pulses_of_changing_pitch_are_no_t3():
    pulses = [(a, b, 3105.0 * (1 + 0.012 * i)) for i, (a, b, _) in enumerate(three(4))]
    assert Kind.TEMPORAL_THREE not in kinds(heard(pulses))


@pytest.mark.parametrize(("low", "high"), [(440.0, 585.0), (450.0, 600.0), (1350.0, 1800.0)])
@pytest.mark.parametrize("each_s", [0.25, 0.5, 1.0])
def test_hi_lo_is_two_notes_in_turn(low, high, each_s):
    notes = [(i * each_s, (i + 1) * each_s, [low, high][i % 2]) for i in range(int(12 / each_s))]
    found = [f for f in rhythm_findings(heard(notes)) if f.kind is Kind.TWO_TONE]
    assert found[0].score >= 0.9
    assert (found[0].low_hz, found[0].high_hz) == pytest.approx((low, high), rel=1e-3)
    assert found[0].cycle_s == pytest.approx(2 * each_s, abs=2.5 / RATE)


def test_melody_is_not_hi_lo():
    rng = np.random.default_rng(8)
    scale = [523.0, 587.0, 659.0, 698.0, 784.0]
    edges = np.cumsum(rng.choice([0.2, 0.4, 0.6], 24))
    notes = [(a, b, scale[rng.integers(5)]) for a, b in pairwise(edges)]
    assert Kind.TWO_TONE not in kinds(heard([n for n in notes if n[1] < 12]))


def test_the_envelope_of_a_carrier_is_its_loudest_peak_and_of_equals_the_higher():
    pitch = np.array([[10.0, 10.01, 9.0], [10.02, 10.01, np.nan], [9.96, 10.04, 11.0]], np.float32)
    level_db = np.array(
        [[-30.0, -20.0, -5.0], [-9.0, -9.0, np.nan], [-1.0, -1.0, -1.0]], np.float32
    )
    envelope, found = np.full((2, 3), -200.0, np.float32), np.zeros((2, 3))
    follow_carriers(pitch, level_db, np.array([10.0, 9.0]), envelope, found)
    assert envelope.tolist() == [[-20.0, -9.0, -200.0], [-5.0, -200.0, -200.0]]
    np.testing.assert_allclose(found, [[10.01, 10.02, 0.0], [9.0, 0.0, 0.0]], atol=1e-6)
