"""Intervals: textbook values, and what clusters do to them."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.classifier_training.intervals import design_effect, wilson


@pytest.mark.parametrize(
    ("right", "count", "ends"),
    [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (81, 263, (0.2553, 0.3662))],
)
def test_wilson_is_that_of_the_tables(right, count, ends):
    # Newcombe (1998), Table I, method 3.
    assert wilson(right / count, count) == pytest.approx(ends, abs=1e-4)


def test_independent_clips_have_no_effect_and_clones_count_once():
    rng = np.random.default_rng(1)
    alone = rng.random(4000) < 0.8
    assert design_effect(alone, np.arange(4000)) == pytest.approx(1.0, abs=1e-3)
    cloned = np.repeat(alone[:400], 10)
    assert design_effect(cloned, np.repeat(np.arange(400), 10)) == pytest.approx(10.0, rel=0.01)


def test_where_all_are_right_the_recordings_count():
    assert design_effect(np.ones(40, bool), np.repeat(np.arange(8), 5)) == 5.0
    assert design_effect(np.array([True, False]), np.zeros(2, np.int64)) == 2.0
