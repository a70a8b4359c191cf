import numpy as np
import pytest

from anc_core.errors import InputError
from anc_core.metrics import si_sdr_db


def test_orthogonal_noise_at_a_known_level_reads_its_ratio():
    time = np.arange(1_000) / 1_000
    target, noise = np.sin(2 * np.pi * 10 * time), np.cos(2 * np.pi * 10 * time)
    assert si_sdr_db(target + 0.1 * noise, target) == pytest.approx(20.0, abs=1e-9)


def test_the_gain_does_not_matter():
    rng = np.random.default_rng(0)
    target, estimate = rng.normal(size=(2, 500))
    estimate += target
    assert si_sdr_db(7 * estimate, target) == pytest.approx(si_sdr_db(estimate, target))


def test_silence_and_perfection_have_no_ratio():
    target = np.ones(10, dtype=np.float32)
    assert si_sdr_db(target, 0 * target) is None
    assert si_sdr_db(0 * target, target) is None
    assert si_sdr_db(target, target) is None


def test_unlike_shapes_are_refused():
    with pytest.raises(InputError, match="shape"):
        si_sdr_db(np.ones(3), np.ones(4))
