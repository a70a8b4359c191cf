"""Temperature and calibration error, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.classifier_training.calibration import (
    calibration_error,
    fit_temperature,
    tempered,
)


def _answers(num=20_000, sharpness=1.0, seed=1):
    """Return probabilities, and labels drawn from the same logits times ``sharpness``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (num, 4))

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    true = softmax(logits * sharpness)
    labels = (rng.random((num, 1)) > true.cumsum(axis=1)).sum(axis=1)
    return softmax(logits), np.minimum(labels, 3)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_of_the_data_is_found(temperature):
    probabilities, labels = _answers(sharpness=1 / temperature)
    found = fit_temperature(probabilities, labels, np.ones(len(labels)))
    assert found == pytest.approx(temperature, rel=0.05)
    assert calibration_error(tempered(probabilities, found), labels) < 0.015
    if temperature != 1.0:
        assert calibration_error(probabilities, labels) > 0.08


def test_weights_count():
    sharp, dull = _answers(sharpness=2.0), _answers(sharpness=0.5, seed=2)
    probabilities, labels = np.concatenate([sharp[0], dull[0]]), np.concatenate([sharp[1], dull[1]])
    weights = np.repeat([1.0, 0.0], len(sharp[1]))
    assert fit_temperature(probabilities, labels, weights) == pytest.approx(0.5, rel=0.05)


def test_the_error_is_that_of_the_plain_loop():
    probabilities, labels = _answers(num=500)
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == labels
    total = 0.0
    for low in np.arange(15) / 15:
        inside = [i for i in range(500) if low < confidence[i] <= low + 1 / 15 + 1e-12]
        if inside:
            gap = np.mean(is_right[inside]) - np.mean(confidence[inside])
            total += len(inside) / 500 * abs(gap)
    assert calibration_error(probabilities, labels) == pytest.approx(total, abs=1e-12)


def test_tempering_keeps_the_order_and_the_sum():
    probabilities, _ = _answers(num=50)
    for temperature in (0.05, 1.0, 20.0):
        made = tempered(probabilities, temperature)
        assert made.sum(axis=1) == pytest.approx(1.0)
        assert np.array_equal(made.argmax(axis=1), probabilities.argmax(axis=1))
