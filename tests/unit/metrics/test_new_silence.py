import numpy as np

from anc_core.metrics.new_silence import NewSilenceDetector


def longest(silent, active, *, pieces=1, power_in=1e-2, noise=1e-6):
    detector = NewSilenceDetector(1)
    for part in np.array_split(np.arange(len(silent)), pieces):
        quiet = np.array(silent, dtype=bool)[part]
        detector.update(
            np.full((len(part), 1), power_in),
            np.where(quiet, 0.0, power_in)[:, np.newaxis],
            np.array(active, dtype=bool)[part],
            np.array([noise]),
        )
    return detector.longest_frames


def test_active_frames_within_one_silence_are_counted_without_pauses():
    silent = [0, 1, 1, 1, 1, 1, 0, 1, 1, 0]
    active = [1, 1, 0, 0, 1, 1, 1, 1, 1, 1]
    assert longest(silent, active) == 3


def test_the_pieces_do_not_matter():
    rng = np.random.default_rng(0)
    silent, active = rng.random(200) < 0.9, rng.random(200) < 0.5
    expected = longest(silent, active)
    assert expected > 5
    assert {longest(silent, active, pieces=n) for n in (2, 3, 7, 200)} == {expected}


def test_quiet_sound_and_noise_are_not_missed():
    ones = [1] * 10
    assert longest(ones, ones, power_in=0.9e-6, noise=0.0) == 0
    assert longest(ones, ones, noise=1e-2 / 3.9) == 0
    assert longest(ones, ones, noise=1e-2 / 4.1) == 10
