import math

import numpy as np
import pytest

from anc_core.dsp.levels import (
    POWER_FLOOR,
    SILENCE_DBFS,
    SILENCE_POWER,
    db_to_power,
    level_db,
    power_to_db,
    ratio_db,
)


def test_a_full_scale_sine_reads_minus_3_01_dbfs():
    sine = np.sin(2 * np.pi * np.arange(1000) / 100)  # whole periods: mean square exactly 1/2
    assert level_db(float(np.mean(sine**2))) == pytest.approx(-3.0103, abs=1e-4)


def test_a_full_scale_square_wave_reads_0_dbfs():
    assert level_db(1.0) == 0.0


@pytest.mark.parametrize("power", [0.0, 1e-30, -1.0, math.nan, math.inf])
def test_nothing_and_nonsense_have_no_level(power):
    assert level_db(power) is None
    assert ratio_db(power, 1.0) is None
    assert ratio_db(1.0, power) is None


def test_powers_below_the_floor_stay_finite():
    assert power_to_db([0.0, POWER_FLOOR]).tolist() == [-200.0, -200.0]


def test_db_and_power_are_inverse():
    levels = np.linspace(-190.0, 60.0, 101)
    np.testing.assert_allclose(power_to_db(db_to_power(levels)), levels, atol=1e-9)


def test_equal_powers_give_exactly_0_db():
    assert ratio_db(0.1 + 0.2, 0.1 + 0.2) == 0.0


def test_silence_is_the_same_number_in_both_units():
    assert level_db(SILENCE_POWER) == pytest.approx(SILENCE_DBFS)
