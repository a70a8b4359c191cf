"""Folds never leak, whatever the recordings are like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anc_core.classifier_training.folds import assign_folds
from anc_core.errors import InputError

CLIPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9).map(str)), min_size=6, max_size=80
)


@given(clips=CLIPS, seed=st.integers(0, 100))
def test_no_recording_is_on_both_sides_and_no_training_lacks_a_category(clips, seed):
    categories, recordings = zip(*clips, strict=True)
    per_category = [
        len({r for c, r in clips if c == category}) for category in sorted(set(categories))
    ]
    assume(len(per_category) > 1 and min(per_category) > 1)
    try:
        folds = assign_folds(categories, recordings, num_folds=None, seed=seed)
    except InputError as error:
        assert "no way was found" in str(error)  # noqa: PT017
        assume(False)
    for fold in range(folds.max() + 1):
        inside = {r for r, f in zip(recordings, folds, strict=True) if f == fold}
        outside = {r for r, f in zip(recordings, folds, strict=True) if f != fold}
        assert inside
        assert not inside & outside
        trained = {c for c, f in zip(categories, folds, strict=True) if f != fold}
        assert trained == set(categories)
    assert np.array_equal(folds, assign_folds(categories, recordings, num_folds=None, seed=seed))


def test_own_recordings_of_every_category_always_find_folds():
    # Nothing shared, very uneven: 2 to 7 recordings of 1 to 40 clips.
    rng = np.random.default_rng(1)
    for _ in range(50):
        clips = [
            (category, f"{category}{recording}")
            for category in "abcd"
            for recording in range(rng.integers(2, 8))
            for _ in range(rng.integers(1, 40))
        ]
        folds = assign_folds(*zip(*clips, strict=True), num_folds=None, seed=0)
        assert folds.max() >= 1


def test_five_recordings_that_all_categories_share_are_the_folds():
    # As ESC-10 has it: the file name begins with its fold.
    clips = [(category, str(fold)) for category in "abcdefghij" for fold in range(5)] * 8
    categories, recordings = zip(*clips, strict=True)
    folds = assign_folds(categories, recordings, num_folds=None, seed=3)
    assert len(set(zip(recordings, folds, strict=True))) == len(set(folds)) == 5


def test_categories_are_spread_evenly():
    clips = [(c, f"{c}{r}") for c in "abc" for r in range(10) for _ in range(4)]
    categories, recordings = zip(*clips, strict=True)
    folds = assign_folds(categories, recordings, num_folds=5, seed=0)
    table = np.zeros((3, 5), int)
    np.add.at(table, (["abc".index(c) for c in categories], folds), 1)
    assert (table == 8).all()


@pytest.mark.parametrize("num_folds", [1, 4])
def test_more_folds_than_recordings_are_refused(num_folds):
    clips = [(c, f"{c}{r}") for c, count in (("a", 3), ("b", 9)) for r in range(count)]
    categories, recordings = zip(*clips, strict=True)
    with pytest.raises(InputError, match=rf"folds is {num_folds}.*2 to 3.*category 'a'"):
        assign_folds(categories, recordings, num_folds=num_folds, seed=0)
