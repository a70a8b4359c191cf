"""The weightings against their standards: IEC 61672 class 1, the coefficients of BS.1770."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.weighting import a_weighting_power
from anc_core.dsp.weighting_filters import a_weighting_filter, k_weighting_filter

# IEC 61672-1:2013, Table 3: nominal frequency, A-weighting, upper and lower limit of class 1, dB.
CLASS_1 = [
    (10, -70.4, 3.0, -np.inf), (12.5, -63.4, 2.5, -np.inf), (16, -56.7, 2.0, -4.0),
    (20, -50.5, 2.0, -2.0), (25, -44.7, 2.0, -1.5), (31.5, -39.4, 1.5, -1.5),
    (40, -34.6, 1.0, -1.0), (50, -30.2, 1.0, -1.0), (63, -26.2, 1.0, -1.0),
    (80, -22.5, 1.0, -1.0), (100, -19.1, 1.0, -1.0), (125, -16.1, 1.0, -1.0),
    (160, -13.4, 1.0, -1.0), (200, -10.9, 1.0, -1.0), (250, -8.6, 1.0, -1.0),
    (315, -6.6, 1.0, -1.0), (400, -4.8, 1.0, -1.0), (500, -3.2, 1.0, -1.0),
    (630, -1.9, 1.0, -1.0), (800, -0.8, 1.0, -1.0), (1000, 0.0, 0.7, -0.7),
    (1250, 0.6, 1.0, -1.0), (1600, 1.0, 1.0, -1.0), (2000, 1.2, 1.0, -1.0),
    (2500, 1.3, 1.0, -1.0), (3150, 1.2, 1.0, -1.0), (4000, 1.0, 1.0, -1.0),
    (5000, 0.5, 1.5, -1.5), (6300, -0.1, 1.5, -2.0), (8000, -1.1, 1.5, -2.5),
    (10000, -2.5, 2.0, -3.0), (12500, -4.3, 2.0, -5.0), (16000, -6.6, 2.5, -16.0),
    (20000, -9.3, 3.0, -np.inf),
]  # fmt: skip
RATES = [1_000, 7_999, 8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 384_000]


@pytest.mark.parametrize("rate", RATES)
def test_the_a_weighting_keeps_class_1_at_every_rate(rate):
    rows = [row for row in CLASS_1 if row[0] < 0.45 * rate]
    nominal, wanted, upper, lower = np.array(rows).T
    # The table is computed at the exact base-ten frequencies, 5.5.7 of the standard.
    exact = 1_000.0 * 10 ** (np.round(10 * np.log10(nominal / 1_000.0)) / 10)
    error = 10 * np.log10(a_weighting_filter(rate).power(exact, rate)) - wanted
    assert (error <= upper).all()
    assert (error >= lower).all()


@pytest.mark.parametrize("rate", RATES)
def test_the_a_weighting_is_the_standards_formula_to_a_third_of_a_decibel(rate):
    frequencies = np.geomspace(10.0, min(20_000.0, 0.45 * rate), 400)
    ratio = a_weighting_filter(rate).power(frequencies, rate) / a_weighting_power(frequencies)
    assert np.abs(10 * np.log10(ratio)).max() < 0.3  # measured: 0.274 at 48 kHz


def test_the_k_weighting_at_48_khz_has_the_coefficients_of_the_recommendation():
    found = k_weighting_filter(48_000)
    high_pass, shelf = found.denominators
    # BS.1770-4, Annex 1, Tables 1 and 2.
    np.testing.assert_allclose(shelf, [-1.69065929318241, 0.73248077421585], atol=1e-9)
    np.testing.assert_allclose(
        found.numerator, [1.53512485958697, -2.69169618940638, 1.19839281085285], atol=1e-9
    )
    np.testing.assert_allclose(high_pass, [-1.99004745483398, 0.99007225036621], atol=1e-9)


@pytest.mark.parametrize(
    ("rate", "tolerance_db"),  # measured: 0.32, 0.09, 0.002, 0.01, 0.01
    [(8_000, 0.33), (16_000, 0.1), (44_100, 0.02), (96_000, 0.02), (192_000, 0.02)],
)
def test_the_k_weighting_of_other_rates_is_that_of_48_khz(rate, tolerance_db):
    frequencies = np.geomspace(20.0, 0.45 * min(rate, 44_100), 100)
    ratio = k_weighting_filter(rate).power(frequencies, rate) / k_weighting_filter(48_000).power(
        frequencies, 48_000
    )
    # The bilinear transform bends high frequencies, where the shelf is nearly flat.
    assert np.abs(10 * np.log10(ratio)).max() < tolerance_db
