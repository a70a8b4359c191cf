from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from anc_core.dsp.sections import MAX_NUM_SECTIONS, fit_sections, sections_response
from anc_core.errors import InputError


def resonances(num_taps=600, *, delay=0, count=3, seed=1):
    """The impulse response of ``count`` resonators, cut off where it has faded by 60 dB or more."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_taps)
    parts = [
        rng.uniform(0.5, 1) * np.exp(-time / rng.uniform(20, 80)) * np.cos(w * time + p)
        for w, p in rng.uniform(0.2, 2.8, (count, 2))
    ]
    return np.concatenate([np.zeros(delay), sum(parts)])


def plain_cascade(fit, num_samples):
    """Delay, then section after section by the difference equation of the documentation."""
    y = np.zeros(num_samples)
    y[fit.delay_samples] = 1.0
    for b0, b1, b2, a1, a2 in fit.sections:
        x, y = y, np.zeros(num_samples)
        for n in range(num_samples):
            y[n] = b0 * x[n] + b1 * x[n - 1] * (n > 0) + b2 * x[n - 2] * (n > 1)
            y[n] -= a1 * y[n - 1] * (n > 0) + a2 * y[n - 2] * (n > 1)
    return y


@pytest.mark.parametrize("delay", [0, 37])
def test_what_is_made_of_resonators_is_found_again(delay):
    taps = resonances(delay=delay)
    fit = fit_sections(taps, num_sections=3)
    assert fit.sections.shape == (3, 5)
    assert fit.delay_samples == delay
    # Three resonators have six states; what is left is the cut at the end, e^(-600/80): -65 dB.
    assert fit.error_db < -60.0


def test_error_is_that_of_the_difference_equation():
    taps = np.random.default_rng(2).standard_normal(120) * np.exp(-np.arange(120) / 20)
    fit = fit_sections(taps, num_sections=5)
    response = plain_cascade(fit, 2_000)
    response[:120] -= taps
    by_hand = 10 * np.log10(np.sum(response**2) / np.sum(taps**2))
    # Beyond 2000 samples the sections have faded.
    assert fit.error_db == pytest.approx(by_hand, abs=1e-3)
    assert -30.0 < by_hand < -3.0


def test_error_keeps_to_the_bound_of_balanced_reduction():
    taps = np.random.default_rng(3).standard_normal(80) * np.exp(-np.arange(80) / 10)
    singular = np.sort(
        np.abs(
            np.linalg.eigvalsh(
                np.array(
                    [
                        [taps[i + j + 1] if i + j + 1 < 80 else 0.0 for j in range(79)]
                        for i in range(79)
                    ]
                )
            )
        )
    )[::-1]
    fit = fit_sections(taps, num_sections=6)
    lost = taps.copy()
    lost[: fit.delay_samples] = 0.0
    _, response = signal.freqz(sections_response(fit.sections, 4_000), worN=2_048)
    _, wanted = signal.freqz(lost[fit.delay_samples :], worN=2_048)
    # Enns 1984, Glover 1984: twice the sum of the singular values that were dropped, for the filter
    # without its delay. Those of the delayed one are larger, so it bounds both.
    assert np.abs(response - wanted).max() < 2 * singular[12:].sum()


def test_as_few_sections_as_reach_the_goal():
    fit = fit_sections(resonances(count=2))
    assert len(fit.sections) == 2
    assert fit.error_db < -40.0


@pytest.mark.parametrize(
    "taps",
    [
        np.zeros(9),
        np.eye(1, 50)[0],
        np.eye(1, 50, 49)[0],
        np.eye(1, 50, 20)[0] * 1e9,
        np.ones(60),
        np.array([-2.0]),
        np.array([1.0, -0.5]),
        np.array([1.0, -0.5, 3.0]),
        np.array([1.0, -0.5, 3.0, 0.25]),
        np.full(30, 1e-200),
        np.random.default_rng(4).standard_normal(150),
        signal.firwin(301, [0.2, 0.6], pass_zero=False),
        np.r_[1.0, np.zeros(2_000), 0.5],
        np.random.default_rng(5).standard_normal(2_500) * np.exp(-np.arange(2_500) / 300),
    ],
    ids=range(14),
)
@pytest.mark.parametrize("num_sections", [None, 1, 7])
def test_every_fit_is_stable_and_finite_and_hardly_worse_than_silence(taps, num_sections):
    fit = fit_sections(taps, num_sections=num_sections)
    assert np.isfinite(fit.sections).all()
    a1, a2 = fit.sections[:, 3], fit.sections[:, 4]
    assert ((np.abs(a2) < 1) & (np.abs(a1) < 1 + a2)).all()  # the stability triangle
    assert len(fit.sections) <= (num_sections or MAX_NUM_SECTIONS)
    # Hankel-optimal is not energy-optimal: where nothing fits it may cost a little energy.
    assert fit.error_db is None or fit.error_db < 1.0


@pytest.mark.parametrize("taps", [[3.0], [1.0, -0.5], [0.0, 0.0, 2.0], np.zeros(5)])
def test_what_one_section_can_hold_is_exact(taps):
    fit = fit_sections(taps)
    assert fit.error_db is None
    np.testing.assert_array_equal(sections_response(fit.sections, len(taps)), taps)


def test_short_filter_with_states_enough_is_exact():
    taps = np.random.default_rng(6).standard_normal(40)
    assert fit_sections(taps, num_sections=20).error_db < -100.0


def test_same_filter_gives_the_same_sections():
    taps = np.random.default_rng(7).standard_normal(1_500) * np.exp(-np.arange(1_500) / 200)
    first, second = (fit_sections(taps, num_sections=4).sections for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_parameters_are_checked():
    with pytest.raises(InputError, match="one pair at a time"):
        fit_sections(np.ones((1, 1, 4)))
    for bad in (0, 33, 1.5):
        with pytest.raises(InputError, match="num_sections is"):
            fit_sections([1.0], num_sections=bad)
