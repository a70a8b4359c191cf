"""The runs of a cell, held against plain code: which are chosen, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.cell_figures import cell_figures, frame_figures
from anc_core.emergency.figure_names import CELL_FIGURES, CELL_START, CONTEXT_FRAMES, NUM_ROWS

NUM_PEAKS = 6
NEAR = slice(CELL_START - 32, CELL_START + 64)
NUMBER, SMOOTH, STRENGTH = 3, 4, 10


def context(seed: int) -> np.ndarray:
    """Rows of peaks and tracks: whole frames and numbers, few tracks with several peaks each."""
    rng = np.random.default_rng(seed)
    frames = rng.uniform(0.1, 30.0, (CONTEXT_FRAMES, NUM_ROWS, NUM_PEAKS)).astype(np.float32)
    frames[:, :3] = rng.uniform(9.0, 12.0, (CONTEXT_FRAMES, 3, NUM_PEAKS))
    frames[:, NUMBER] = rng.integers(1, 9, (CONTEXT_FRAMES, NUM_PEAKS))
    return frames


def described(frames: np.ndarray, which: str) -> np.ndarray:
    contour = np.full((3, CONTEXT_FRAMES), np.nan, np.float32)
    found = cell_figures(contour, contour, frames, frame_figures(frames))
    return found[[name.startswith(f"{which}_") for name in CELL_FIGURES]][:10]


def expected(frames: np.ndarray, place: tuple[int, int] | None) -> np.ndarray:
    if place is None:
        return np.zeros(10)
    i, k = place
    (level, low, high, rise, rough, strength, crowd, moving) = (
        float(frames[i, row, k]) for row in (1, 6, 7, 8, 9, 10, 11, 12)
    )
    span = high - low
    return np.array(
        [
            *(np.log2(frames[i, SMOOTH, k] + 1.0), span, abs(rise) / (span + 0.01), rough),
            *(strength, crowd, moving, 0.5 * (low + high), frames[i, 1].max() - level),
            level - frames[i, 16, 0],
        ]
    )


def best(frames: np.ndarray, part: slice, passed_over: float = -1.0) -> tuple[int, int] | None:
    worth = frames[part, SMOOTH] * np.maximum(frames[part, STRENGTH] - 8.0, 0.0)
    worth = np.where(frames[part, NUMBER] == passed_over, 0.0, worth)
    i, k = np.unravel_index(worth.argmax(), worth.shape)
    return (int(i) + (part.start or 0), int(k)) if worth[i, k] > 0.0 else None


@pytest.mark.parametrize("seed", range(4))
def test_the_first_the_next_and_the_best_of_all_runs_are_described(seed):
    frames = context(seed)
    first = best(frames, NEAR)
    assert first is not None
    second = best(frames, NEAR, float(frames[first[0], NUMBER, first[1]]))
    longest = best(frames, slice(None))
    for which, place in (("run", first), ("second", second), ("long", longest)):
        np.testing.assert_allclose(
            described(frames, which), expected(frames, place), rtol=1e-5, atol=1e-5
        )
    assert len({first, second, longest}) > 1


def test_a_run_that_is_alone_has_no_second_and_a_cell_without_one_has_none():
    frames = context(1)
    frames[:, NUMBER] = 5.0
    assert described(frames, "run").any()
    assert not described(frames, "second").any()
    # Far from the cell there is one all the same.
    frames[NEAR, STRENGTH] = 8.0
    assert not described(frames, "run").any()
    assert described(frames, "long").any()
