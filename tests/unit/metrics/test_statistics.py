import numpy as np
import pytest

from anc_core.errors import InputError
from anc_core.metrics import Histogram, LevelStatistics, PowerStatistics, SpectralStatistics


def test_quantiles_of_a_histogram_are_those_of_the_values_to_a_bin():
    values = np.random.default_rng(0).normal(-40.0, 5.0, 10_000)
    histogram = Histogram(-150.0, 60.0, 0.1)
    histogram.update(values)
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        assert histogram.quantile(share) == pytest.approx(np.quantile(values, share), abs=0.1)


def test_a_quantile_outside_the_range_is_none():
    histogram = Histogram(0.0, 1.0, 0.1)
    assert histogram.quantile(0.5) is None
    histogram.update([-5.0, -5.0, 0.55, 7.0])
    assert histogram.quantile(0.1) is None
    assert histogram.quantile(0.7) == pytest.approx(0.55, abs=0.1)
    assert histogram.quantile(1.0) is None


def test_a_histogram_without_bins_is_refused():
    with pytest.raises(InputError, match="no bins"):
        Histogram(0.0, 0.0, 0.1)


def test_levels_of_nothing_are_none():
    levels = LevelStatistics(2).compute()
    assert (levels.rms_dbfs, levels.peak_dbfs, levels.dc_offset) == (None, None, (0.0, 0.0))


def test_the_mean_over_channels_is_one_of_powers():
    statistics = LevelStatistics(2)
    statistics.update(np.array([[1.0, 0.0]] * 4, dtype=np.float32))
    assert statistics.compute().rms_dbfs == pytest.approx(-3.0103, abs=1e-4)


def test_power_about_the_mean_is_the_variance():
    rng = np.random.default_rng(3)
    samples = (rng.normal(0.3, 0.01, (5_000, 2))).astype(np.float32)
    statistics = PowerStatistics(2)
    statistics.update(samples)
    variance = samples.astype(np.float64).var(axis=0)
    np.testing.assert_allclose(
        statistics.channel_power_about(statistics.mean()), variance, rtol=1e-9
    )
    assert statistics.power_about(statistics.mean()) == pytest.approx(variance.mean(), rel=1e-9)


@pytest.mark.parametrize("value", [0.5, 0.1, 1e-3])
def test_a_constant_has_no_power_beside_its_dc(value):
    statistics = PowerStatistics(1)
    statistics.update(np.full((100_000, 1), value, dtype=np.float32))
    assert statistics.power_about(statistics.mean()) == 0.0


def test_spectra_are_averaged():
    statistics = SpectralStatistics(2)
    assert statistics.compute().tolist() == [0.0, 0.0]
    statistics.update(np.array([[1.0, 2.0], [3.0, 6.0]]))
    assert statistics.compute().tolist() == [2.0, 4.0]
    with pytest.raises(InputError, match="shape"):
        statistics.update(np.ones((2, 3)))
