"""Which ridges last: by length, smoothness and loudness, or as equal pulses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from anc_core.emergency.figure_names import FRAMES_PER_S
from anc_core.emergency.lasting import LastingRidges
from anc_core.emergency.ridges import Ridges
from anc_core.emergency.tracks import TrackLabeller

NUM_FRAMES = 10 * FRAMES_PER_S


def lines(
    *pitches: np.ndarray, level_db: tuple[float, ...] = (), prominence_db: float = 20.0
) -> Ridges:
    """Return ridges of which each column is one of ``pitches``, NaN = no peak."""
    pitch = np.stack(pitches, axis=1).astype(np.float32)
    level = np.array(level_db or [-20.0] * len(pitches), np.float32)
    level = np.where(np.isnan(pitch), np.float32(np.nan), level)
    prominence = np.where(np.isnan(pitch), np.nan, prominence_db).astype(np.float32)
    return Ridges(pitch=pitch, level_db=level, prominence_db=prominence)


def between(start: int, stop: int, values: np.ndarray | float) -> np.ndarray:
    line = np.full(NUM_FRAMES, np.nan)
    line[start:stop] = values
    return line


def judged(
    ridges: Ridges,
    *,
    strictness: str = "default",
    cuts: list[int] | None = None,
    scores: list[float] | None = None,
):
    lasting = LastingRidges(1, strictness, is_scored=scores is not None)
    labeller = TrackLabeller()
    edges = [0, *(cuts or []), len(ridges.pitch)]
    for start, stop in pairwise(edges):
        part = slice(start, stop)
        block = Ridges(ridges.pitch[part], ridges.level_db[part], ridges.prominence_db[part])
        lasting.add(0, block, labeller.label(block))
        lasting.judge()
    lasting.judge(scores or [], is_last=True)
    return lasting.within(0.0, np.inf)


def frames_of(points) -> list[int]:
    return np.unique(np.rint((points.time_s - 0.016) * FRAMES_PER_S).astype(int)).tolist()


def test_a_smooth_sweep_is_kept_from_its_first_frame_to_its_last():
    points = judged(lines(between(200, 300, np.linspace(9.5, 10.5, 100))))
    assert frames_of(points) == list(range(200, 300))
    np.testing.assert_allclose(points.slope, FRAMES_PER_S / 99, rtol=1e-3)
    np.testing.assert_allclose(points.pitch, np.linspace(9.5, 10.5, 100), atol=1e-6)


@pytest.mark.parametrize(("prominence_db", "is_kept"), [(11.5, False), (12.5, True)])
def test_what_hardly_stands_out_is_not_kept(prominence_db, is_kept):
    ridges = lines(between(200, 300, 10.0), prominence_db=prominence_db)
    assert bool(frames_of(judged(ridges))) == is_kept
    assert frames_of(judged(ridges, strictness="strict")) == list(range(200, 300))


def test_what_is_missing_of_a_track_is_filled():
    line = between(200, 300, 10.0)
    line[[220, 240, 241]] = np.nan
    assert frames_of(judged(lines(line))) == list(range(200, 300))


def test_a_short_track_is_not_kept():
    assert frames_of(judged(lines(between(200, 212, 10.0)))) == []


# What is loud: it leaps, so it makes no track of its own.
LEAPING = 8.4 + 0.18 * (7 * np.arange(NUM_FRAMES) % 11)


def kept_beside_something_loud(line: np.ndarray, below_db: float, strictness: str = "default"):
    """Return the frames in which ``line`` is kept, that far below what leaps."""
    ridges = lines(LEAPING, line, level_db=(-20.0, -20.0 - below_db))
    return frames_of(judged(ridges, strictness=strictness))


def test_a_track_that_jitters_as_noise_does_is_not_kept_where_a_smooth_one_is():
    jitter = np.random.default_rng(1).uniform(-0.045, 0.045, 40)
    smooth = between(200, 240, 10.5)
    assert kept_beside_something_loud(smooth, 16.0) == list(range(200, 240))
    assert kept_beside_something_loud(smooth + between(200, 240, jitter), 16.0) == []


def test_a_track_far_below_what_is_loud_within_seconds_is_not_kept():
    tone = between(250, 300, 10.5)
    assert kept_beside_something_loud(tone, 5.0) == list(range(250, 300))
    assert kept_beside_something_loud(tone, 35.0) == []


def test_strict_keeps_what_default_does_not():
    tone = between(250, 282, 10.5)
    # Evidence: log2(32) - 0.19 x 22.5 = 0.73.
    assert kept_beside_something_loud(tone, 22.5) == []
    assert kept_beside_something_loud(tone, 22.5, "strict") == list(range(250, 282))


@pytest.mark.parametrize(
    ("score", "strictness", "is_kept"),
    [
        (3.0, "default", True),
        (-2.0, "default", True),  # 0.9 + 3 x 0.5 are asked for, a clear tone of a second has 6
        (-4.0, "default", False),  # 0.9 + 3 x 2.5
        (-4.0, "strict", True),
        (np.nan, "default", True),
    ],
)
def test_where_the_head_hears_no_alarm_ridges_must_be_clearer(score, strictness, is_kept):
    ridges = lines(between(200, 300, 10.0))
    found = frames_of(judged(ridges, strictness=strictness, scores=[score] * 20))
    assert found == (list(range(200, 300)) if is_kept else [])


def test_a_good_score_within_two_seconds_is_enough():
    # A cell is 32 frames: the tone is in cells 6 to 9, what the head likes is four cells on.
    scores = [-5.0] * 20
    scores[13] = 2.0
    found = frames_of(judged(lines(between(200, 310, 10.0)), scores=scores))
    assert found == list(range(288, 310))


@pytest.mark.parametrize(("num_pulses", "is_kept"), [(1, False), (2, False), (3, True), (4, True)])
def test_short_pulses_are_kept_if_there_are_three_of_them(num_pulses, is_kept):
    line = np.full(NUM_FRAMES, np.nan)
    expected = []
    for pulse in range(num_pulses):
        frames = range(200 + 40 * pulse, 208 + 40 * pulse)
        line[frames] = 11.6
        expected += frames
    assert frames_of(judged(lines(line))) == (expected if is_kept else [])


def test_pulses_of_other_lengths_or_pitches_are_no_train():
    line = np.full(NUM_FRAMES, np.nan)
    for pulse, (length, pitch) in enumerate([(5, 11.6), (10, 11.6), (15, 11.6), (5, 11.7)]):
        line[200 + 40 * pulse : 200 + 40 * pulse + length] = pitch
    assert frames_of(judged(lines(line))) == []


def test_nothing_depends_on_the_blocks():
    rng = np.random.default_rng(3)
    pitch = rng.uniform(9.0, 12.0, (6, NUM_FRAMES))
    pitch[0] = 10 + 0.4 * np.sin(np.arange(NUM_FRAMES) / 40)
    pitch[rng.uniform(size=pitch.shape) < 0.3] = np.nan
    ridges = lines(*pitch)
    whole = judged(ridges)
    assert len(whole.time_s)
    for cuts in ([1], [64, 128, 300], list(range(7, NUM_FRAMES, 7))):
        parts = judged(ridges, cuts=cuts)
        np.testing.assert_array_equal(parts.time_s, whole.time_s)
        np.testing.assert_array_equal(parts.pitch, whole.pitch)
        np.testing.assert_array_equal(parts.slope, whole.slope)


def test_points_are_final_before_the_time_that_is_decided_and_forgotten_after_they_were_asked_for():
    ridges = lines(between(0, NUM_FRAMES, 10.0))
    whole = judged(ridges)
    lasting, labeller = LastingRidges(1, "default", is_scored=False), TrackLabeller()
    assert lasting.decided_s <= 0.016
    for start in range(0, NUM_FRAMES, 64):
        part = slice(start, start + 64)
        block = Ridges(ridges.pitch[part], ridges.level_db[part], ridges.prominence_db[part])
        lasting.add(0, block, labeller.label(block))
        lasting.judge()
        known_s = (start + 64) / FRAMES_PER_S
        assert lasting.decided_s >= known_s - lasting.look_ahead_s
        until = whole.time_s < lasting.decided_s
        np.testing.assert_array_equal(
            lasting.within(0.0, lasting.decided_s).time_s, whole.time_s[until]
        )
    lasting.within(5.0, 5.1)
    assert lasting.within(0.0, 9.0).time_s[0] >= 4.0


def test_a_ridge_of_any_channel_counts():
    lasting = LastingRidges(2, "default", is_scored=False)
    for channel, line in enumerate((between(0, 0, 0.0), between(100, 200, 10.0))):
        ridges = lines(line)
        lasting.add(channel, ridges, TrackLabeller().label(ridges))
    lasting.judge(is_last=True)
    assert frames_of(lasting.within(0.0, np.inf)) == list(range(100, 200))
