import numpy as np
import pytest

from anc_core.dsp.third_octave import BandSums, power_spectrum_scale, third_octave_bands


def test_the_bands_around_1_khz_have_their_nominal_names():
    labels = third_octave_bands(48_000).labels
    assert labels[0] == "20"
    assert labels[-1] == "20000"
    start = labels.index("800")
    assert labels[start : start + 5] == ("800", "1000", "1250", "1600", "2000")
    assert "31.5" in labels
    assert "6300" in labels


def test_high_rates_have_names_without_exponents():
    assert third_octave_bands(768_000).labels[-1] == "315000"


def test_ten_bands_are_a_decade():
    centres = third_octave_bands(48_000).centres_hz
    np.testing.assert_allclose(centres[10:], 10 * centres[:-10], rtol=1e-12)


def test_a_band_is_centred_between_its_edges():
    bands = third_octave_bands(16_000)
    middle = np.sqrt(bands.edges_hz[:-1] * bands.edges_hz[1:])
    np.testing.assert_allclose(middle, bands.centres_hz, rtol=1e-12)
    # IEC 61260-1, 5.5: the edges of a third octave are G**(1/3) = 10**(1/10) apart.
    np.testing.assert_allclose(bands.edges_hz[1:] / bands.edges_hz[:-1], 10**0.1, rtol=1e-12)


@pytest.mark.parametrize("sample_rate", [1_000, 7_999, 8_000, 11_025, 44_100, 384_000])
def test_the_last_band_is_the_last_below_nyquist(sample_rate):
    edges = third_octave_bands(sample_rate).edges_hz
    assert edges[-1] <= sample_rate / 2 < edges[-1] * 10**0.1


def test_no_band_where_none_fits():
    bands = third_octave_bands(1_000, lowest_hz=2_000)
    assert bands.labels == ()
    sums = BandSums(bands.edges_hz, sample_rate=1_000, n_fft=100)
    assert sums(np.ones((2, 51))).shape == (2, 0)


@pytest.mark.parametrize(("length", "n_fft"), [(400, 400), (400, 512), (125, 125), (101, 135)])
def test_scaled_bins_add_up_to_the_mean_square(length, n_fft):
    rng = np.random.default_rng(1)
    window = np.hanning(length)
    signal = rng.normal(size=length)
    powers = np.abs(np.fft.rfft(signal * window, n_fft)) ** 2 * power_spectrum_scale(window, n_fft)
    expected = np.sum((signal * window) ** 2) / np.sum(window**2)  # Parseval
    assert powers.sum() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_fft", [400, 125])
def test_bands_that_cover_everything_keep_the_power(n_fft):
    powers = np.random.default_rng(2).random(n_fft // 2 + 1)
    edges = [0.0, 77.7, 1_000.0, 1_001.0, 8_000.0]
    bands = BandSums(edges, sample_rate=16_000, n_fft=n_fft)(powers[np.newaxis])
    assert bands.sum() == pytest.approx(powers.sum(), rel=1e-12)


def test_a_bin_is_shared_in_proportion():
    # Bins 40 Hz wide: 100 Hz is the border of bins 2 and 3, 110 Hz takes a quarter of bin 3.
    sums = BandSums([60.0, 100.0, 110.0], sample_rate=16_000, n_fft=400)
    powers = np.arange(201.0)[np.newaxis]
    np.testing.assert_allclose(sums(powers), [[2.0, 0.75]], rtol=1e-12)


def test_a_tone_falls_into_its_band():
    bands = third_octave_bands(16_000)
    tone = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    window = np.hanning(16_000)
    powers = np.abs(np.fft.rfft(tone * window)) ** 2 * power_spectrum_scale(window, 16_000)
    levels = BandSums(bands.edges_hz, sample_rate=16_000, n_fft=16_000)(powers[np.newaxis])[0]
    # Side lobes of the Hann window 100 Hz (the band's edge) away are below -100 dB.
    assert levels[bands.labels.index("1000")] == pytest.approx(0.5, rel=1e-9)
