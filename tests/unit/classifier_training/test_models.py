"""Estimators, the graph they become, and the space of novelty."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from anc_core.classifier.novelty import NoveltyScale, entropy
from anc_core.classifier_training.estimators import MEMBERS, _seen, fit_member
from anc_core.classifier_training.export import to_onnx
from anc_core.classifier_training.final import MAX_DIFFERENCE, answers_of
from anc_core.classifier_training.novelty import fit_scale, fit_space
from anc_core.classifier_training.scaling import fit_scaler
from anc_core.features import NUM_FEATURES


def _sounds(num_classes, seed=1, num=12):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_classes), num)
    centres = np.random.default_rng(0).normal(0, 1.0, (num_classes, NUM_FEATURES))
    vectors = centres[labels] + rng.normal(0, 1.0, (len(labels), NUM_FEATURES))
    return vectors.astype(np.float32), labels


def _fitted(model, num_classes=3, workers=1):
    vectors, labels = _sounds(num_classes)
    is_crop = np.arange(len(labels)) % 4 == 3
    return [
        fit_member(name, vectors, labels, is_crop, num_trees=12, seed=1, workers=workers)
        for name in MEMBERS[model]
    ]


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("model", MEMBERS)
def test_the_graph_says_what_the_estimators_say(model, num_classes):
    members = _fitted(model, num_classes)
    asked, labels = _sounds(num_classes, seed=2)
    expected = np.mean([member.probabilities(asked) for member in members], axis=0)
    given = answers_of(to_onnx(members), asked)
    assert given.shape == (len(asked), num_classes)
    assert np.abs(given - expected).max() < MAX_DIFFERENCE
    assert (given.argmax(axis=1) == labels).mean() > 0.8


@pytest.mark.parametrize("model", MEMBERS)
def test_the_same_seed_gives_the_same_graph_with_any_number_of_workers(model):
    assert to_onnx(_fitted(model)) == to_onnx(_fitted(model, workers=2))


def test_a_linear_model_does_not_hear_crops():
    vectors, labels = _sounds(3)
    is_crop = np.arange(len(labels)) % 4 == 3
    changed = vectors.copy()
    changed[is_crop] += 7.0
    asked, _ = _sounds(3, seed=2)

    def answers(name, heard):
        fitted = fit_member(name, heard, labels, is_crop, num_trees=12, seed=1, workers=1)
        return fitted.probabilities(asked)

    for name in ("plain_lda", "squared_lda"):
        assert np.array_equal(answers(name, vectors), answers(name, changed))
    assert not np.array_equal(answers("extra_trees", vectors), answers("extra_trees", changed))


def test_to_the_squared_member_far_out_is_far_out():
    asked, _ = _sounds(3, seed=2)
    far, farther = asked.copy(), asked.copy()
    far[:, 7], farther[:, 7] = 6.0, 10.0
    plain, squared = (
        [_seen(member.name, some) @ member.estimator.coef_.T for some in (far, farther)]
        for member in _fitted("vote")[1:]
    )
    assert np.allclose(*squared, atol=1e-3)
    assert np.abs(plain[0] - plain[1]).max() > 0.02


def test_within_classes_the_space_has_unit_variance():
    vectors, labels = _sounds(3, num=40)
    vectors[:, 5] *= 9.0  # the first direction
    space = fit_space(vectors, labels)
    assert space.projection.shape == (NUM_FEATURES, 64)
    within = np.concatenate([vectors[labels == k] - vectors[labels == k].mean(0) for k in range(3)])
    covariance, _ = ledoit_wolf(within, assume_centered=True)
    seen = space.projection.T @ covariance @ space.projection
    assert np.abs(seen - np.eye(64)).max() < 1e-3
    assert np.abs(space.projection[:, -1]).argmax() == 5


def test_distances_are_those_of_the_plain_loop():
    vectors, labels = _sounds(3)
    space = fit_space(vectors, labels)
    found = space.distances(vectors[:5])
    for vector, (nearest, relative) in zip(vectors[:5], found, strict=True):
        place = vector @ space.projection
        a = min(np.sum((place - mean) ** 2) for mean in space.means)
        assert nearest == pytest.approx(a, rel=1e-4)
        assert relative == pytest.approx(
            a - np.sum((place - space.centre) ** 2), abs=1e-3 * float(a)
        )


def test_novelty_grows_with_each_of_its_terms():
    scale = fit_scale(np.random.default_rng(1).normal(5, 2, (1000, 3)), np.ones(1000))
    assert np.allclose(scale.location, 5, atol=0.3)
    assert np.allclose(scale.spread, 2, atol=0.2)
    base = scale.score(np.full((1, 3), 5.0))[0]
    assert base == pytest.approx(1.0, abs=0.1)
    for term in range(3):
        raised = np.full((1, 3), 5.0)
        raised[0, term] += 2.0
        assert scale.score(raised)[0] == pytest.approx(base * np.exp(1 / 3), rel=0.1)
    assert np.isnan(scale.score(np.array([[np.nan, 0.0, 0.0]]))).all()
    huge = NoveltyScale(np.zeros(3, np.float32), np.full(3, 1e-6, np.float32))
    assert np.isfinite(huge.score(np.full((1, 3), 1e9))).all()


def test_entropy_is_none_for_the_certain_and_log_k_for_the_clueless():
    assert entropy(np.array([[1.0, 0.0, 0.0]])) == pytest.approx(0.0, abs=1e-5)
    assert entropy(np.full((1, 4), 0.25)) == pytest.approx(np.log(4), abs=1e-4)


def test_a_figure_that_never_changes_stays_quiet():
    vectors = np.zeros((10, NUM_FEATURES), np.float32)
    vectors[:, 0] = np.arange(10)
    scaler = fit_scaler(vectors)
    assert scaler(vectors)[:, 0].std() == pytest.approx(1.0)
    assert np.array_equal(scaler(vectors)[:, 1:], vectors[:, 1:])
    assert scaler(np.full((1, NUM_FEATURES), 1e9, np.float32)).max() == 10.0
