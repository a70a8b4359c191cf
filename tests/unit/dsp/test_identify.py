from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.exponential_sweep import exponential_sweep
from anc_core.dsp.identify import identify_by_noise, identify_by_sweep, identify_each
from anc_core.dsp.misalignment import misalignment_db
from anc_core.errors import InputError

RATE = 8_000


def a_path(num_taps=120, *, delay=15, seed=1):
    rng = np.random.default_rng(seed)
    path = rng.standard_normal(num_taps) * np.exp(-np.arange(num_taps) / 20)
    path[:delay] = 0.0
    return path


def heard_through(path, signal):
    return np.convolve(signal, path)[: len(signal)]


def with_noise(signal, snr_db, seed=2):
    noise = np.random.default_rng(seed).standard_normal(len(signal))
    return signal + noise * np.sqrt(np.mean(signal**2)) * 10 ** (-snr_db / 20)


def white(duration_s=4.0, seed=3):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(duration_s * RATE))


# ----------------------------------------------------------------------------- sweep


def test_sweep_passes_each_octave_in_the_same_time():
    sweep = exponential_sweep(RATE, duration_s=2.0, start_hz=50.0, stop_hz=3_200.0, silence_s=0.1)
    assert len(sweep.signal) == 2.1 * RATE
    # 6 octaves in 2 s: in the middle of each third of a second the frequency, from the distance of
    # zero crossings, is that of the formula within one crossing in the window.
    for octave in range(1, 6):
        middle = round((octave + 0.5) / 6 * 2.0 * RATE)
        window = sweep.signal[middle - 400 : middle + 400]
        crossings = np.count_nonzero(np.diff(np.signbit(window)))
        # The mean frequency over ±w is that of the middle times sinh(w)/w, w = 0.05 s·3·ln 2 = 0.1.
        assert crossings / 0.1 / 2 == pytest.approx(50.0 * 2 ** (octave + 0.5), abs=11, rel=0.01)
    assert np.abs(sweep.signal).max() == pytest.approx(0.5, abs=1e-3)
    assert not sweep.signal[2 * RATE :].any()


@pytest.mark.parametrize("snr_db", [None, 40.0, 20.0])
def test_sweep_finds_the_path(snr_db):
    path = a_path()
    sweep = exponential_sweep(RATE, duration_s=4.0, silence_s=0.1)
    recorded = heard_through(path, sweep.signal)
    if snr_db is not None:
        recorded = with_noise(recorded, snr_db)
    found = identify_by_sweep(sweep, recorded, num_taps=120, true_path=path)
    # Without noise the ridge's bias (-80 dB) is left. With it: whitening weighs the noise by the
    # inverse of the sweep's 1/f density, whose mean over the band is (1 - f1/f2)·... = about
    # f2/(f2·ln(f2/f1)) = 7 dB worse than white noise's q·L/N (-24 dB): better than snr + 16 dB.
    limit = -79.0 if snr_db is None else -(snr_db + 16.0)
    assert found.misalignment_db < limit
    assert found.residual_db == pytest.approx(-80.0 if snr_db is None else -snr_db, abs=1.0)


def test_distortion_falls_out_of_the_sweep_and_is_told():
    path = a_path()
    # To a quarter of the sample rate, so that the second harmonic does not fold back.
    sweep = exponential_sweep(RATE, duration_s=4.0, stop_hz=RATE / 4, silence_s=0.1)
    driven = sweep.signal + 0.2 * sweep.signal**2
    found = identify_by_sweep(sweep, heard_through(path, driven), num_taps=120)
    frequency = np.linspace(50, 1_900, 200)
    turns = np.exp(-2j * np.pi * np.outer(frequency / RATE, np.arange(120)))
    error = np.abs(turns @ (found.taps - path)) / np.abs(turns @ path).max()
    # The distortion is -26 dB of the sweep (0.2·0.5/2). Most of what is left lies at the lowest
    # frequencies, which the sweep fades in.
    assert 20 * np.log10(np.sqrt(np.mean(error**2))) < -48.0
    # x²: amplitude a²/2·0.2 = 0.025 of 0.5. The second harmonic runs through the band twice as
    # fast, to twice the frequency: its share of energy depends on the path, so a wide margin.
    assert found.harmonics_db[2] == pytest.approx(-26.0, abs=6.0)
    assert all(found.harmonics_db[k] < -80.0 for k in (3, 4, 5))


def test_frequencies_that_were_not_swept_are_not_coherent():
    path = a_path()
    sweep = exponential_sweep(RATE, duration_s=4.0, start_hz=200.0, stop_hz=2_000.0)
    recorded = with_noise(heard_through(path, sweep.signal), 30.0)
    found = identify_by_sweep(sweep, recorded, num_taps=120)
    inside = (found.frequency_hz > 300) & (found.frequency_hz < 1_800)
    assert np.median(found.coherence[inside]) > 0.97
    assert np.median(found.coherence[found.frequency_hz > 2_500]) < 0.2


def test_sweep_too_short_for_the_path_is_refused_with_the_cure():
    sweep = exponential_sweep(RATE, duration_s=0.5)
    # ln 2 · 4000 / ln(4000/20) = 523 samples between path and distortion.
    with pytest.raises(InputError, match=r"523 samples.*1.9 times as long"):
        identify_by_sweep(sweep, np.ones(len(sweep.signal)), num_taps=1_000)


@pytest.mark.parametrize(
    "parameters",
    [
        {"sample_rate": 10},
        {"duration_s": 0.0},
        {"duration_s": np.nan},
        {"start_hz": 0.0},
        {"start_hz": 5_000.0},
        {"stop_hz": 4_001.0},
        {"amplitude": 1.5},
        {"amplitude": 0.0},
        {"silence_s": -1.0},
    ],
)
def test_parameters_of_the_sweep_are_checked(parameters):
    with pytest.raises(InputError):
        exponential_sweep(**({"sample_rate": RATE} | parameters))


# ----------------------------------------------------------------------------- noise


@pytest.mark.parametrize("snr_db", [None, 40.0, 10.0])
def test_noise_finds_the_path(snr_db):
    path, played = a_path(), white()
    recorded = heard_through(path, played)
    if snr_db is not None:
        recorded = with_noise(recorded, snr_db)
    found = identify_by_noise(played, recorded, sample_rate=RATE, num_taps=120, true_path=path)
    if snr_db is None:
        assert found.misalignment_db < -130.0
        return
    # q·L/N of theory; a chi-square of 120 degrees scatters by 0.6 dB.
    theory = -snr_db + 10 * np.log10(120 / len(played))
    assert found.misalignment_db == pytest.approx(theory, abs=2.0)
    assert found.residual_db == pytest.approx(-10 * np.log10(1 + 10 ** (snr_db / 10)), abs=0.3)


def test_least_squares_is_the_solution_of_the_normal_equations():
    rng = np.random.default_rng(4)
    # Coloured, so that the equations are no identity; a recording that no path explains.
    played = np.convolve(rng.standard_normal(600), [1.0, 0.9, 0.4])[:600]
    recorded = rng.standard_normal(600)
    found = identify_by_noise(played, recorded, sample_rate=RATE, num_taps=24)
    rows = np.lib.stride_tricks.sliding_window_view(played, 24)[:, ::-1]
    expected = np.linalg.lstsq(rows, recorded[23:], rcond=None)[0]
    # Ridge of 1e-7 and a condition number of about 100.
    np.testing.assert_allclose(found.taps, expected, atol=1e-4 * np.abs(expected).max())


def test_what_sounded_before_does_not_matter():
    path, played = a_path(), white()
    recorded = heard_through(path, played)
    found = identify_by_noise(
        played[5_000:], recorded[5_000:], sample_rate=RATE, num_taps=120, true_path=path
    )
    assert found.misalignment_db < -130.0


def test_adaptive_method_follows_a_path_that_changes():
    before, after, played = a_path(seed=1), a_path(seed=2), white()
    half = len(played) // 2
    recorded = np.concatenate(
        [heard_through(before, played)[:half], heard_through(after, played)[half:]]
    )
    adaptive, mean = (
        identify_by_noise(
            played, recorded, sample_rate=RATE, num_taps=120, method=method, true_path=after
        ).misalignment_db
        for method in ("adaptive", "least-squares")
    )
    # Least squares finds the mean of two unrelated paths, -6 dB + 3 dB from either. NLMS with the
    # last step of 0.1 converges with 0.19/L a sample: 16 000 samples are 25 time constants.
    assert mean == pytest.approx(-3.0, abs=1.5)
    assert adaptive < -60.0


def test_coherence_says_what_a_path_can_explain():
    path, played = a_path(), white(duration_s=10.0)
    # Noise in the upper half of the band only.
    hiss = np.convolve(np.random.default_rng(5).standard_normal(len(played)), [1, -1, 0.3])[
        : len(played)
    ]
    clean = heard_through(path, played)
    recorded = clean + hiss * np.sqrt(np.mean(clean**2))
    found = identify_by_noise(played, recorded, sample_rate=RATE, num_taps=120)
    assert found.frequency_hz[-1] == RATE / 2
    turns = np.exp(-2j * np.pi * np.outer(found.frequency_hz / RATE, np.arange(120)))
    wanted = np.abs(turns @ path) ** 2 / 12  # a uniform distribution of width 1
    disturbance = np.abs(turns[:, :3] @ [1, -1, 0.3]) ** 2 * np.mean(clean**2)
    expected = wanted / (wanted + disturbance)
    # Some 80 averages: bias 1/80, scatter below 0.1 in each bin.
    assert np.mean(found.coherence - expected) == pytest.approx(0.0, abs=0.02)
    assert np.sqrt(np.mean((found.coherence - expected) ** 2)) < 0.1


@pytest.mark.parametrize(
    ("played", "recorded", "message"),
    [
        (np.ones(100), np.ones(1_000), "excitation has 100 samples; at least 240"),
        (np.ones(1_000), np.ones(100), "recorded has 100 samples"),
        (np.ones(1_000), np.zeros(1_000), "recorded is silent"),
        (np.zeros(1_000), np.ones(1_000), "excitation is silent"),
        (np.ones((1_000, 2)), np.ones(1_000), "one-dimensional"),
        (np.ones(1_000), np.ones(1_000, complex), "real"),
        (np.ones(1_000), np.r_[np.ones(999), np.nan], "nan at sample 999"),
    ],
)
def test_signals_are_checked(played, recorded, message):
    with pytest.raises(InputError, match=message):
        identify_by_noise(played, recorded, sample_rate=RATE, num_taps=120)


def test_methods_are_named():
    with pytest.raises(InputError, match="least-squares, adaptive"):
        identify_by_noise(white(), white(), sample_rate=RATE, num_taps=9, method="magic")
    with pytest.raises(InputError, match="sweep or noise"):
        identify_each(lambda x: x, sample_rate=RATE, num_sources=1, num_taps=9, method="magic")


# ----------------------------------------------------------------------------- several channels


@pytest.mark.parametrize("method", ["sweep", "noise"])
def test_each_pair_is_measured_by_itself(method):
    true = np.array([[a_path(60, seed=3 * m + k) for k in range(3)] for m in range(2)])
    true[1, 2] = 0.0  # this source is not heard there

    def play(signals):
        return np.stack(
            [sum(heard_through(true[m, k], signals[:, k]) for k in range(3)) for m in range(2)], 1
        )

    found = identify_each(
        play,
        sample_rate=RATE,
        num_sources=3,
        num_taps=60,
        method=method,
        duration_s=1.0,
        true_path=np.where(true, true, 1e-9),
    )
    assert found.taps.shape == (2, 3, 60)
    assert misalignment_db(found.taps, true) < -75.0
    assert not found.taps[1, 2].any()
    assert found.pairs[1][2].residual_db is None
    assert found.pairs[0][1].misalignment_db < -75.0


def test_answers_of_the_player_are_checked():
    for answer, message in (
        (lambda x: x[:, 0], "play returned shape"),
        (lambda x: x[:5], "has 5 samples"),
        (lambda x: 0.0 * x, "microphone 0 is silent"),
    ):
        with pytest.raises(InputError, match=message):
            identify_each(answer, sample_rate=RATE, num_sources=1, num_taps=9, duration_s=0.2)
