from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.findings import Kind
from anc_core.emergency.ridges import FRAMES_PER_S
from anc_core.emergency.sweeps import CONTOUR_FRAMES, contour_findings, contour_of

TIME_S = np.arange(CONTOUR_FRAMES) / FRAMES_PER_S


def kinds(contour) -> dict[Kind, float]:
    found = contour_findings(np.asarray(contour, np.float32), 0)
    return {finding.kind: finding.score for finding in found}


def triangle(period_s: float) -> np.ndarray:
    """One octave up and down around 1 kHz."""
    return 9.5 + np.abs(1 - 2 * (TIME_S / period_s % 1))


def test_slow_wail_agrees_with_its_near_past_only():
    assert kinds(triangle(6.0))[Kind.SWEEP] > 0.9


@pytest.mark.parametrize("period_s", [0.25, 0.32, 0.6])
def test_yelp_agrees_again_after_a_cycle(period_s):
    (finding,) = [
        f
        for f in contour_findings(triangle(period_s).astype(np.float32), 640)
        if f.kind is Kind.FAST_SWEEP
    ]
    assert finding.score > 0.9
    # A lag is a whole number of frames of 1/64 s, or of a multiple of the cycle.
    cycles = finding.cycle_s / period_s
    assert abs(cycles - round(cycles)) < 0.1
    assert (finding.start, finding.stop) == (640, 640 + CONTOUR_FRAMES)


def test_upward_sweeps_are_told_from_downward_ones():
    up = 9.0 + TIME_S / 3.0
    (rising,) = contour_findings(up.astype(np.float32), 0)
    (falling,) = contour_findings(up[::-1].astype(np.float32), 0)
    assert rising.upward > 0.95
    assert falling.upward < 0.05


@pytest.mark.parametrize(
    "contour",
    [
        np.full(CONTOUR_FRAMES, 10.0),
        np.full(CONTOUR_FRAMES, -99.0),
        np.where(TIME_S < 1.5, -99.0, 9.92),
        np.random.default_rng(5).uniform(8.7, 11.1, CONTOUR_FRAMES),
        np.repeat(np.random.default_rng(6).uniform(8.7, 11.1, 12), 16),
    ],
    ids=["held tone", "nothing", "beginning of a tone", "noise", "melody of held notes"],
)
def test_what_does_not_sweep_is_not_found(contour):
    assert all(score < 0.5 for score in kinds(contour).values())


def test_contour_takes_the_most_prominent_peak_in_the_band():
    pitch = np.log2(np.array([[3500.0, 1000.0, 500.0], [np.nan] * 3], np.float32))
    contour = contour_of(pitch)
    assert contour[0] == pytest.approx(np.log2(1000.0))
    assert contour[1] < 0
