from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.paths import PathFinder
from anc_core.emergency.ridges import NUM_PEAKS

NUM = 128


def peaks(*tracks: tuple[np.ndarray, float]) -> np.ndarray:
    """Return peaks of (log2 pitch per frame, NaN where absent; prominence in dB)."""
    found = np.full((3, NUM, NUM_PEAKS), np.nan, np.float32)
    for place, (pitch, prominence_db) in enumerate(tracks):
        found[0, :, place] = pitch
        found[1, :, place] = np.where(np.isnan(pitch), np.nan, -30.0)
        found[2, :, place] = np.where(np.isnan(pitch), np.nan, prominence_db)
    return found


def sweep() -> np.ndarray:
    return 10.0 + 0.3 * np.sin(np.arange(NUM) / 20.0)


def test_a_sweep_is_followed():
    path = PathFinder(NUM, 0.02).extend(peaks((sweep(), 20.0)))
    np.testing.assert_allclose(path[0], sweep(), rtol=1e-6)
    assert np.all(path[2] == 20.0)


def test_stronger_peaks_that_jump_about_do_not_divert_it():
    stray = np.random.default_rng(3).uniform(8.5, 12.0, NUM)
    path = PathFinder(NUM, 0.02).extend(peaks((stray, 22.0), (sweep(), 20.0)))
    assert np.mean(np.abs(path[0] - sweep()) < 1e-5) > 0.95


def test_it_goes_on_where_every_third_frame_is_missing():
    pitch = np.where(np.arange(NUM) % 3 == 2, np.nan, sweep())
    path = PathFinder(NUM, 0.02).extend(peaks((pitch, 25.0)))
    there = ~np.isnan(pitch)
    assert np.mean(path[0][there] > 0) > 0.95
    assert np.all(path[0][~there] == 0)


@pytest.mark.parametrize("prominence_db", [9.0])
def test_lone_faint_peaks_are_no_path(prominence_db):
    pitch = np.full(NUM, np.nan)
    pitch[::16] = 10.0
    assert not PathFinder(NUM, 0.02).extend(peaks((pitch, prominence_db))).any()


def test_the_split_does_not_matter():
    whole = peaks((sweep(), 20.0), (np.random.default_rng(3).uniform(8.5, 12.0, NUM), 18.0))
    finder = PathFinder(NUM, 0.02)
    for start in range(0, NUM, 32):
        path = finder.extend(np.ascontiguousarray(whole[:, start : start + 32]))
    np.testing.assert_array_equal(path, PathFinder(NUM, 0.02).extend(whole))
    finder.reset()
    np.testing.assert_array_equal(finder.extend(whole), path)
