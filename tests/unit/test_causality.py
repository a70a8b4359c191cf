from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from anc_core import causality_curve
from anc_core.dsp.wiener import wiener_bound_db
from anc_core.errors import InputError

RATE = 8_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)


def path(first, decay, seed):
    taps = np.random.default_rng(seed).normal(size=60) * np.exp(-np.arange(60) / decay)
    taps[0] = 3.0
    return np.concatenate([np.zeros(first), taps])


PRIMARY, SECONDARY = path(30, 15, 1), path(8, 4, 2)


def test_the_curve_is_what_filtering_with_a_later_path_shows():
    curve = causality_curve(NOISE, RATE, PRIMARY, SECONDARY, num_taps=64, extra_delays=[22, 0, 9])
    disturbance = lfilter(PRIMARY, 1, NOISE)
    for delay, level in zip(curve.delays_samples, curve.attenuation_db, strict=True):
        late = lfilter(np.concatenate([np.zeros(delay), SECONDARY]), 1, NOISE)
        # The noise goes in as float32, and the curve lets the paths ring out.
        assert level == pytest.approx(wiener_bound_db(late, disturbance, 64), abs=0.02)
    assert curve.delays_s == (0.0, 9 / RATE, 22 / RATE)


def test_by_default_the_curve_shows_its_knee_near_the_lead_of_the_paths():
    curve = causality_curve(NOISE, RATE, PRIMARY, SECONDARY)
    assert curve.lead_samples == 22
    assert curve.num_taps == len(PRIMARY)
    assert curve.delays_samples[0] == 0
    assert curve.delays_samples[-1] > 2 * 22
    assert len(curve.delays_samples) <= 41
    assert 22 <= curve.knee_samples <= 24
    assert 0 < curve.margin_samples() <= 24


def test_a_path_that_is_late_anyway_has_a_curve_too():
    curve = causality_curve(NOISE, RATE, SECONDARY, PRIMARY, num_taps=32)
    assert curve.lead_samples == -22
    assert len(curve.delays_samples) > 10


def test_channels_are_columns_and_broken_samples_count_as_nothing():
    noise = np.stack([NOISE, np.roll(NOISE, 500)], axis=1)
    primary = np.stack([PRIMARY, 0.5 * PRIMARY])[np.newaxis]
    broken = noise.copy()
    broken[100, 1] = np.nan
    repaired = noise.copy()
    repaired[100, 1] = 0.0
    one, other = (
        causality_curve(x, RATE, primary, SECONDARY, num_taps=48, extra_delays=[0, 40])
        for x in (broken, repaired)
    )
    assert one.attenuation_db == other.attenuation_db
    assert one.attenuation_db[0] > one.attenuation_db[1] > 0.0


@pytest.mark.parametrize(
    ("noise", "primary", "said"),
    [
        (NOISE[:0], PRIMARY, "noise is empty"),
        (NOISE, np.ones((2, 1, 8)), "2 error microphones"),
        (NOISE.astype(int), PRIMARY, "floating point"),
    ],
)
def test_what_does_not_fit_is_refused(noise, primary, said):
    with pytest.raises(InputError, match=said):
        causality_curve(noise, RATE, primary, SECONDARY)
