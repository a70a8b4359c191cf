"""Trials: nobody is asked about a recording it was trained on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from anc_core.classifier_training import held_out
from anc_core.classifier_training.steps import open_trials


@pytest.fixture
def spied(fresh, monkeypatch):
    """Return trials whose estimators remember what they were fitted on and are asked about."""
    trials = open_trials(fresh)
    seen = []

    class Spy:
        def __init__(self, labels):
            self.classes = np.unique(labels)

        def probabilities(self, scaled):
            seen[-1].asked.append(scaled)
            return np.full((len(scaled), len(self.classes)), 1 / len(self.classes))

    def fit_member(name, vectors, labels, is_crop, **_):
        seen.append(SimpleNamespace(labels=labels, num=len(vectors), is_crop=is_crop, asked=[]))
        return Spy(labels)

    monkeypatch.setattr(held_out, "fit_member", fit_member)
    return trials, seen


def test_each_fold_is_fitted_without_its_clips(spied):
    trials, seen = spied
    trials.answers("extra_trees")
    num_folds = trials.folds.max() + 1
    assert len(seen) == num_folds
    for fold, one in enumerate(seen):
        assert one.num == 6 * (trials.folds != fold).sum()
        assert one.is_crop.reshape(-1, 6).tolist() == [[False] * 3 + [True] * 3] * (one.num // 6)
        assert len(one.asked[0]) == (trials.folds == fold).sum()
    # The scaler, too, knows only the training side: another one for every fold.
    scalers = [trials.training_side(trials.folds != fold)[0].mean for fold in range(num_folds)]
    assert all(not np.array_equal(scalers[0], other) for other in scalers[1:])


def test_every_category_is_left_out_once(spied):
    trials, seen = spied
    trials.terms("extra_trees")
    left_out = seen[trials.folds.max() + 1 :]
    missing = [set(range(3)) - set(one.labels) for one in left_out]
    assert sorted(map(sorted, missing)) == [[0], [1], [2]]
    for number, one in enumerate(left_out):
        known, unknown = one.asked
        assert len(unknown) == 4  # all clips of the category
        assert len(known) == sum(
            (trials.folds == number % (trials.folds.max() + 1)) & (trials.labels != number)
        )


def test_what_was_found_is_not_sought_again(fresh, monkeypatch):
    trials = open_trials(fresh)
    first = trials.answers("lda")
    monkeypatch.setattr(held_out, "fit_member", None)  # would fail if it were called
    again = open_trials(fresh).answers("lda")
    assert np.array_equal(first.tests, again.tests)
    assert np.array_equal(first.windows, again.windows)
    with pytest.raises(TypeError):
        open_trials(fresh).answers("random_forest")


def test_another_seed_or_data_are_another_training(fresh):
    kept = open_trials(fresh).kept
    assert open_trials(fresh.model_copy(update={"workers": 2})).kept == kept
    assert open_trials(fresh.model_copy(update={"num_trees": 11})).kept != kept
    fewer = fresh.data.model_copy(update={"clips": fresh.data.clips[1:]})
    assert open_trials(fresh.model_copy(update={"data": fewer})).kept != kept


def test_a_vote_is_the_mean_of_its_members(fresh):
    trials = open_trials(fresh)
    given = [trials.answers(name).tests for name in ("random_forest", "lda")]
    expected = (given[0] + given[1] + trials._member("plain_lda")["tests"]) / 3
    assert np.allclose(trials.answers("vote").tests, expected, atol=1e-12)


def test_clips_and_their_windows_weigh_alike(fresh):
    trials = open_trials(fresh)
    num = len(trials.labels)
    assert trials.weights[:num].sum() == num
    assert trials.weights[num:].sum() == pytest.approx(num)
