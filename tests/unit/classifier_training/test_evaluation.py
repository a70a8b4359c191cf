"""The figures of a model, and that they can be bad."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.classifier_training.evaluation import (
    evaluate,
    macro_f1,
    novelty_scale,
    novelty_threshold,
)
from anc_core.classifier_training.extraction import TESTS
from anc_core.classifier_training.held_out import HeldOut, HeldOutTerms, Trials
from anc_core.classifier_training.steps import evaluate_model, fit_model, open_trials


def test_three_noises_are_told_apart_and_every_figure_says_so(spec):
    fitted = fit_model(spec, "vote")
    found = evaluate_model(spec, fitted)
    assert found.model == "vote"
    assert found.accuracy == found.macro_f1 == found.train_accuracy == 1.0
    assert found.window_accuracy == 1.0
    assert found.gain_agreement == 1.0
    assert found.noise_accuracy["20"] >= 0.9
    assert found.calibration_error < 0.1
    assert found.unknown.rejected > 0.5
    assert found.confusion == ((4, 0, 0), (0, 4, 0), (0, 0, 4))
    assert [scores.num_recordings for scores in found.classes] == [4, 4, 4]
    # Twelve clips of twelve recordings: Wilson's interval of 12 of 12.
    assert found.accuracy_interval == pytest.approx((0.7575, 1.0), abs=1e-3)


class _Answered(Trials):
    """Trials whose answers are given."""

    def answers(self, model):
        return self.given

    def terms(self, model):
        return self.given_terms


def _answered(spec, taken_for):
    trials = open_trials(spec)
    made = _Answered(**{name: getattr(trials, name) for name in Trials.__dataclass_fields__})
    rng = np.random.default_rng(1)
    num, windows = len(trials.labels), len(trials.features.windows)
    sure = np.eye(3)[taken_for] * 0.97 + 0.01
    object.__setattr__(
        made, "given", HeldOut(np.stack([sure] * len(TESTS)), sure[trials.features.clip_of_window])
    )
    terms = HeldOutTerms(*(rng.normal(size=(n, 3)) for n in (num, windows, 30, 40)))
    object.__setattr__(made, "given_terms", terms)
    return made


def test_wrong_answers_are_counted_where_they_belong(spec):
    labels = open_trials(spec).labels
    taken_for = labels.copy()
    taken_for[labels == 2] = 0  # all typing is taken for a fan
    trials = _answered(spec, taken_for)
    found = evaluate("lda", spec.data.clips, trials, train_accuracy=1.0, candidates={"lda": 2 / 3})
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.confusion == ((4, 0, 0), (0, 4, 0), (4, 0, 0))
    fan, rain, typing = found.classes
    assert (fan.precision, fan.recall) == (0.5, 1.0)
    assert (rain.precision, rain.recall) == (1.0, 1.0)
    assert (typing.precision, typing.precision_interval, typing.recall) == (None, None, 0.0)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1.0 + 0.0) / 3)
    # Sure of what is wrong in a third of the cases, and told so by the other folds.
    assert found.temperature > 1.5
    # Unknown clips that are like known ones: a tenth of them is beyond what keeps nine in ten.
    assert found.unknown.rejected < 0.35
    assert found.unknown.auroc == pytest.approx(0.5, abs=0.2)


def test_gain_agreement_is_about_answers_and_not_about_being_right(spec):
    labels = open_trials(spec).labels
    trials = _answered(spec, (labels + 1) % 3)
    tests = trials.given.tests
    tests[TESTS.index("louder"), :3] = np.roll(tests[TESTS.index("louder"), :3], 1, axis=1)
    found = evaluate("lda", spec.data.clips, trials, train_accuracy=1.0, candidates={})
    assert found.accuracy == 0.0
    assert found.gain_agreement == pytest.approx(9 / 12)


def test_the_threshold_keeps_nine_in_ten():
    rng = np.random.default_rng(1)
    terms = HeldOutTerms(
        rng.normal(3, 2, (400, 3)), rng.normal(4, 2, (800, 3)), np.zeros((0, 3)), np.zeros((0, 3))
    )
    weights = np.concatenate([np.ones(400), np.full(800, 0.5)])
    scale = novelty_scale(terms, weights)
    novelty = scale.score(np.concatenate([terms.clips, terms.windows]))
    kept = weights[novelty <= novelty_threshold(terms, weights)].sum() / weights.sum()
    assert kept == pytest.approx(0.9, abs=2e-3)


def test_macro_f1_is_that_of_the_plain_loop():
    confusion = np.random.default_rng(1).integers(1, 9, (5, 5))
    scores = []
    for k in range(5):
        precision = confusion[k, k] / confusion[:, k].sum()
        recall = confusion[k, k] / confusion[k].sum()
        scores.append(2 * precision * recall / (precision + recall))
    assert macro_f1(confusion) == pytest.approx(np.mean(scores))
