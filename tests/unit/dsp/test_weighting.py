import numpy as np
import pytest

from anc_core.dsp.weighting import a_weighting_power

# IEC 61672-1:2013, Table 3: nominal frequency (exact: base ten) and A-weighting in dB.
TABLE = [
    (10, -70.4),
    (16, -56.7),
    (20, -50.5),
    (31.5, -39.4),
    (63, -26.2),
    (100, -19.1),
    (125, -16.1),
    (250, -8.6),
    (500, -3.2),
    (1000, 0.0),
    (2000, 1.2),
    (2500, 1.3),
    (4000, 1.0),
    (8000, -1.1),
    (12500, -4.3),
    (16000, -6.6),
    (20000, -9.3),
]


@pytest.mark.parametrize(("nominal", "expected"), TABLE)
def test_matches_the_table_of_iec_61672(nominal, expected):
    exact = 1000 * 10 ** (round(10 * np.log10(nominal / 1000)) / 10)
    # The table is rounded to 0.1 dB.
    assert 10 * np.log10(a_weighting_power(exact)) == pytest.approx(expected, abs=0.0501)


def test_dc_weighs_nothing_and_1_khz_is_unity():
    assert a_weighting_power([0.0, 1000.0]).tolist() == [0.0, 1.0]


def test_keeps_the_shape():
    assert a_weighting_power(np.ones((2, 3))).shape == (2, 3)
