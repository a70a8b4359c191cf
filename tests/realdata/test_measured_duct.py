"""The controllers on a measured duct: the 13 rows of trouble, and the bound on recorded noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.signal import lfilter

from anc_core.dsp.fxlms_controller import FxlmsController, FxlmsParameters
from tests.unit.dsp import test_fxlms_controller as rows

pytestmark = pytest.mark.realdata


@pytest.fixture
def duct(realdata):
    primary = loadmat(realdata / "anc_paths/GFANC-Kalman__Pz1.mat")["Pz1"][:, 0]
    secondary = loadmat(realdata / "anc_paths/GFANC-Kalman__Sz.mat")["S"][:256, 0]
    return primary, secondary


@pytest.mark.parametrize("is_modified", [True, False], ids=["modified", "plain"])
@pytest.mark.parametrize("row", rows.ROWS)
def test_guarded_controller_neither_diverges_nor_does_lasting_harm(duct, row, is_modified):
    primary, secondary = duct
    reference, disturbance, estimate, change = rows.disturbed(row, primary, secondary)
    built = rows.controller(512, secondary, estimate, is_modified=is_modified)
    centre = float(np.median(disturbance)) if row == "DC" else 0.0
    peak, nr_db = rows.peak_and_attenuation(
        built, reference, disturbance, change=change, centre=centre
    )
    assert peak <= 2.7
    assert nr_db >= -2.0


def test_default_is_close_to_the_best_causal_filter(duct):
    primary, secondary = duct
    reference = np.random.default_rng(0).normal(size=14 * rows.RATE)
    disturbance = lfilter(primary, 1, reference)
    built = FxlmsController(rows.RATE, secondary, FxlmsParameters(num_taps=512))
    attenuation_db = rows.attenuation_db(disturbance, rows.run(built, reference, disturbance), 4)
    # The bound for white noise and 512 taps is 12.5 dB.
    assert attenuation_db > 12.0
