import numpy as np
import pytest

from anc_core.metrics import anc_measure
from anc_core.metrics.anc_measure import AncGrid, frame_energies, measure_signal, running_sums

RATE = 8_000


def noise(num_samples, channels=1, seed=0):
    return np.random.default_rng(seed).normal(size=(num_samples, channels))


@pytest.mark.parametrize("num_samples", [1, 199, 200, 201, 5_050])
def test_frames_of_25_ms_hold_their_energy(num_samples):
    samples = noise(num_samples, 2)
    expected = [np.sum(samples[i : i + 200] ** 2) for i in range(0, num_samples, 200)]
    np.testing.assert_allclose(frame_energies(samples, RATE), expected)


def test_the_length_of_the_pieces_changes_nothing(monkeypatch):
    samples, grid = noise(30_000, 2), AncGrid(RATE, 30_000, 20_000)
    whole = measure_signal(samples, grid)
    monkeypatch.setattr(anc_measure, "_PIECE", 4_100)
    pieces = measure_signal(samples, grid)
    np.testing.assert_array_equal(pieces.frame_energies, whole.frame_energies)
    np.testing.assert_allclose(pieces.spectrum, whole.spectrum, rtol=1e-12)
    np.testing.assert_allclose(pieces.steady_spectrum, whole.steady_spectrum, rtol=1e-12)


def test_the_spectrum_adds_up_to_the_mean_square():
    samples = noise(80_000)
    measured = measure_signal(samples, AncGrid(RATE, 80_000, 60_000))
    # The first and last half second weigh less: 0.5 of 10 s of a level that is even to 2 %.
    assert measured.spectrum.sum() == pytest.approx(np.var(samples), rel=5e-3)
    assert measured.steady_spectrum.sum() == pytest.approx(np.var(samples[60_000:]), rel=3e-2)


def test_a_tone_stands_in_its_bin_with_its_power():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(40_000) / RATE)[:, np.newaxis]
    grid = AncGrid(RATE, 40_000, 30_000)
    spectrum = measure_signal(tone, grid).spectrum
    assert grid.n_fft == 4_000
    # Hann: two thirds in the middle, a sixth on each side.
    np.testing.assert_allclose(spectrum[499:502], [1 / 12, 1 / 3, 1 / 12], rtol=1e-9)
    assert grid.band_powers(spectrum)[grid.bands.labels.index("1000")] == pytest.approx(0.5)


def test_the_steady_spectrum_knows_nothing_of_what_came_before():
    samples = noise(40_000)
    grid = AncGrid(RATE, 40_000, 20_000)
    expected = measure_signal(samples, grid).steady_spectrum
    samples[:20_000] *= 1e3
    offset = samples.mean()
    found = measure_signal(samples, grid).steady_spectrum
    # The offset of the whole is taken off: it stands in the first two bins.
    np.testing.assert_allclose(found[2:], expected[2:], rtol=1e-6)
    assert abs(offset) < 20


def test_running_sums_exist_where_all_neighbours_do():
    np.testing.assert_array_equal(running_sums(np.arange(6.0), 5), [10.0, 15.0])
    assert len(running_sums(np.arange(4.0), 5)) == 0
