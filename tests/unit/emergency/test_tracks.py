from __future__ import annotations

import numpy as np

from anc_core.emergency.ridges import Ridges, find_ridges
from anc_core.emergency.tracks import MAX_GAP, TrackLabeller, crowd_of


def ridges_of(pitch) -> Ridges:
    pitch = np.asarray(pitch, np.float32)
    level = np.where(np.isnan(pitch), np.nan, -20.0).astype(np.float32)
    return Ridges(pitch=pitch, level_db=level, prominence_db=level + 40)


def test_sweep_is_one_track_that_moves_and_stays_smooth():
    sweep = np.linspace(9.3, 10.5, 128)[:, np.newaxis]
    tracks = TrackLabeller().label(ridges_of(sweep))
    assert np.all(tracks.number == 1)
    # All but the 8 frames before the moving average is full.
    assert tracks.smooth_frames[-1, 0] == 128 - 8
    assert tracks.moving[-1, 0] == 1.0
    assert tracks.rise[-1, 0] > 1.0


def test_held_tone_is_steady_and_does_not_move():
    tracks = TrackLabeller().label(ridges_of(np.full((64, 1), 9.92)))
    assert tracks.steady_frames[-1, 0] == 64
    assert tracks.moving[-1, 0] == 0.0


def test_jitter_is_not_smooth():
    rng = np.random.default_rng(3)
    pitch = 10 + rng.uniform(-0.04, 0.04, (128, 1))
    assert TrackLabeller().label(ridges_of(pitch)).smooth_frames[-1, 0] < 48


def test_short_gap_is_bridged_and_a_long_one_is_not():
    pitch = np.full((60, 1), 10.0)
    pitch[20 : 20 + MAX_GAP] = np.nan
    pitch[40 : 40 + MAX_GAP + 1] = np.nan
    number = TrackLabeller().label(ridges_of(pitch)).number[:, 0]
    assert number[19] == number[30] == 1
    assert number[59] == 2
    assert number[21] == 0


def test_crossing_sweeps_keep_their_numbers():
    time = np.arange(65)[:, np.newaxis] / 64
    tracks = TrackLabeller().label(ridges_of(np.hstack([10 + 0.5 * time, 10.52 - 0.5 * time])))
    np.testing.assert_array_equal(tracks.number[[0, -1]], [[1, 2], [1, 2]])


def test_labels_do_not_depend_on_blocks():
    noise = np.random.default_rng(4).normal(0, 0.1, 64_000).astype(np.float32)
    ridges = find_ridges(noise)
    whole = TrackLabeller().label(ridges)
    parts = TrackLabeller()
    for part in (slice(0, 1), slice(1, 70), slice(70, None)):
        got = parts.label(
            Ridges(ridges.pitch[part], ridges.level_db[part], ridges.prominence_db[part])
        )
        np.testing.assert_array_equal(got.number, whole.number[part])
        np.testing.assert_array_equal(got.roughness, whole.roughness[part])


def test_crowd_counts_near_and_loud_neighbours_only():
    hertz = np.array([[1000.0, 1300.0, 1350.0, 3000.0, np.nan]])
    level = np.array([[-20.0, -25.0, -50.0, -20.0, np.nan]], np.float32)
    ridges = Ridges(np.log2(hertz).astype(np.float32), level, level + 60)
    np.testing.assert_array_equal(crowd_of(ridges), [[1, 1, 2, 0, 0]])
