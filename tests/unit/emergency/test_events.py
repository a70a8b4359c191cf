from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.decisions import CELL_FRAMES, Decision
from anc_core.emergency.events import EventLog, describe
from anc_core.emergency.findings import GROUPS, MAX_EVENT_S, Finding, Kind


def finding(kind: Kind, start_s: float, stop_s: float, **kwargs) -> Finding:
    values = {"score": 0.9, "low_hz": 1000.0, "high_hz": 1000.0} | kwargs
    return Finding(kind=kind, start=int(start_s * 64), stop=int(stop_s * 64), **values)


def events(*findings: Finding, end_s: float = 40.0, windows=()):
    """Feed the findings and the decisions that they alone would lead to."""
    log = EventLog(0.5, 0.0)
    for one in findings:
        log.note(one)
    for cell in range(int(2 * end_s)):
        scores = np.zeros((1, len(GROUPS)))
        for one in findings:
            if one.start < (cell + 1) * CELL_FRAMES and one.stop > cell * CELL_FRAMES:
                (row,) = [i for i, group in enumerate(GROUPS) if one.kind in group.kinds]
                scores[0, row] = max(scores[0, row], one.score)
        log.add(Decision(cell, False, scores), end_s)
    log.flush(end_s)
    return log.events(windows)


def test_stretches_within_the_merge_gap_are_one_event():
    (event,) = events(finding(Kind.SWEEP, 2, 5), finding(Kind.SWEEP, 8, 10))
    assert (event.start_s, event.end_s) == (2.0, 10.0)
    assert event.is_emergency


def test_stretches_further_apart_are_two_events():
    assert len(events(finding(Kind.SWEEP, 2, 5), finding(Kind.SWEEP, 8.5, 10.5))) == 2


@pytest.mark.parametrize(("kind", "seconds"), [(Kind.SWEEP, 1.0), (Kind.TEMPORAL_THREE, 2.0)])
def test_too_short_is_no_event(kind, seconds):
    assert events(finding(kind, 2, 2 + seconds)) == ()


def test_weak_score_protects_but_does_not_count():
    assert events(finding(Kind.SWEEP, 2, 8, score=0.55)) == ()


def test_endless_alarm_is_cut():
    found = events(finding(Kind.SWEEP, 0, 700), end_s=700.0)
    assert [(e.start_s, e.end_s) for e in found] == [(0, MAX_EVENT_S), (MAX_EVENT_S, 700)]


@pytest.mark.parametrize(
    ("upward", "noise_type"),
    [(1.0, "evacuation_tone"), (0.0, "evacuation_tone"), (0.5, "siren")],
    ids=["whoop", "DIN", "wail"],
)
def test_one_way_sweeps_are_evacuation_tones(upward, noise_type):
    sweep = finding(Kind.SWEEP, 2, 12, low_hz=500.0, high_hz=1200.0, upward=upward)
    (event,) = events(sweep)
    assert event.noise_type == noise_type


def test_bare_tone_is_listed_but_no_emergency():
    (event,) = events(finding(Kind.STEADY, 2, 8, low_hz=1300.0))
    assert (event.noise_type, event.is_emergency) == ("alarm_tone", False)


def test_sounder_of_bs_5839_is_an_evacuation_tone():
    (event,) = events(finding(Kind.STEADY, 2, 8, low_hz=970.0))
    assert (event.noise_type, event.is_emergency) == ("evacuation_tone", True)


@pytest.mark.parametrize(("hertz", "is_emergency"), [(3100.0, True), (1250.0, False)])
def test_high_beeps_are_an_emergency_and_low_ones_a_lorry(hertz, is_emergency):
    onsets = tuple(range(128, 512, 48))
    (event,) = events(finding(Kind.PULSES, 2, 8, low_hz=hertz, onsets=onsets))
    assert event.is_emergency is is_emergency


def test_five_high_beeps_are_an_oven():
    onsets = tuple(range(128, 448, 64))
    (event,) = events(finding(Kind.PULSES, 2, 7, low_hz=3100.0, onsets=onsets))
    assert (event.noise_type, event.is_emergency) == ("alarm_tone", False)


def three(start_s: float, **kwargs) -> Finding:
    values = {"score": 0.75, "on_s": 0.5, "onsets": (int(start_s * 64),)} | kwargs
    return finding(Kind.TEMPORAL_THREE, start_s, start_s + 2.5, **values)


@pytest.mark.parametrize(
    ("second_s", "is_emergency"),
    [(6.0, True), (10.0, True), (7.5, False), (5.0, False)],
    ids=["next cycle", "one after it", "1.5 s late", "at once"],
)
def test_t3_counts_if_it_repeats_in_time(second_s, is_emergency):
    onsets = (128, int(second_s * 64))
    (event,) = events(finding(Kind.TEMPORAL_THREE, 2, 12.5, on_s=0.5, onsets=onsets))
    assert event.is_emergency is is_emergency


@pytest.mark.parametrize(
    ("end_s", "is_emergency"),
    [(5.0, False), (6.0, True), (9.0, True), (9.5, False)],
    ids=["silence not heard", "one cycle", "no second whole", "second missing"],
)
def test_single_t3_counts_only_if_the_recording_ends_before_a_second(end_s, is_emergency):
    (event,) = events(three(2.0), end_s=end_s)
    assert event.is_emergency is is_emergency


def test_single_t3_must_keep_to_the_standard():
    (event,) = events(three(2.0, on_s=0.38), end_s=6.0)
    assert not event.is_emergency


@pytest.mark.parametrize(("end_s", "is_emergency"), [(3.0, False), (5.5, True)])
def test_single_t4_counts_only_with_its_silence(end_s, is_emergency):
    (event,) = events(finding(Kind.TEMPORAL_FOUR, 2, 2.7, onsets=(128,)), end_s=end_s)
    assert event.is_emergency is is_emergency


@pytest.mark.parametrize("kind", [Kind.TEMPORAL_THREE, Kind.TWO_TONE])
@pytest.mark.parametrize(("fall_db_s", "is_emergency"), [(2.0, True), (25.0, False)])
def test_what_decays_was_struck_and_does_not_count(kind, fall_db_s, is_emergency):
    rhythm = finding(kind, 2, 9, onsets=(128, 384), fall_db_s=fall_db_s)
    (event,) = events(rhythm)
    assert event.is_emergency is is_emergency


@pytest.mark.parametrize(("high_hz", "is_emergency"), [(630.0, False), (1200.0, True)])
def test_sweep_between_two_bells_is_the_bells(high_hz, is_emergency):
    bells = finding(Kind.TWO_TONE, 2, 9, low_hz=500.0, high_hz=625.0, fall_db_s=25.0)
    sweep = finding(Kind.SWEEP, 2, 9, low_hz=498.0, high_hz=high_hz)
    (event,) = events(bells, sweep)
    assert event.is_emergency is is_emergency


def test_t3_that_a_room_wears_down_counts_with_the_third_group():
    rhythm = finding(Kind.TEMPORAL_THREE, 2, 13, onsets=(128, 384, 640), fall_db_s=25.0)
    (event,) = events(rhythm)
    assert event.is_emergency


def test_tone_within_a_siren_is_not_counted_twice():
    found = events(finding(Kind.SWEEP, 2, 12), finding(Kind.STEADY, 3, 8))
    assert [e.noise_type for e in found] == ["siren"]


def test_evidence_names_pulses_cycle_pitch_and_count():
    beeps = [
        finding(
            Kind.TEMPORAL_THREE,
            2,
            14,
            low_hz=3105.2,
            on_s=0.5,
            cycle_s=4.0,
            onsets=(128 + shift, 384, 640, 896),
        )
        # Heard twice, one frame apart: still four cycles.
        for shift in (0, 1)
    ]
    expected = "T3 rhythm: 3 pulses of 0.50 s every 4.0 s at 3105 Hz, 4 cycles"
    assert describe(beeps) == expected
    assert events(*beeps)[0].evidence == expected
