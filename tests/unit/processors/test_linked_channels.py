"""Linked channels: the image stays, one engine or the other."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio.synth import noise, voice
from anc_core.processors import Suppressor
from tests.strategies import run_aligned

RATE = 16_000
ENGINES = pytest.mark.parametrize("method", ["neural", "spectral"])


def scene(seconds=8.0):
    """A voice to the left; noise of two microphones, 6 dB louder on the right."""
    speech = voice(seconds, RATE, seed=5, level_dbfs=-26.0)
    left, right = (noise("fan", seconds, RATE, seed=seed) for seed in (6, 7))
    left, right = (x * np.std(speech) / np.std(x) for x in (left, right))
    clean = np.stack([speech, 0.5 * speech], axis=1)
    return clean, (clean + np.stack([0.3 * left, 0.6 * right], axis=1)).astype(np.float32)


def image_error_db(clean, output, length=800):
    """Return how far the voice's level difference is off, mean over its loud windows of 50 ms."""
    windows = [slice(start, start + length) for start in range(0, len(clean) - length, length)]
    loudest = max(np.sum(clean[w] ** 2) for w in windows)
    errors = []
    for w in windows:
        energies = np.sum(clean[w] ** 2, axis=0)
        gains = np.sum(clean[w] * output[w], axis=0) / energies
        if np.sum(energies) > 0.05 * loudest:
            errors.append(abs(20 * np.log10(gains[0] / gains[1])))
    return np.mean(errors)


def depth_db(before, after):
    return 10 * np.log10(np.sum(before.astype(float) ** 2) / np.sum(after.astype(float) ** 2))


@ENGINES
def test_the_voice_stays_where_it_is(method):
    clean, noisy = scene()
    free = run_aligned(Suppressor(RATE, 2, method=method), [noisy])
    linked = run_aligned(Suppressor(RATE, 2, method=method, link_channels=True), [noisy])
    at_best = image_error_db(clean, noisy)  # the noise itself blurs it
    assert image_error_db(clean, linked) < at_best + 0.1
    assert image_error_db(clean, free) > image_error_db(clean, linked) + 0.2


@ENGINES
def test_the_noise_of_both_sides_sinks_as_it_would_alone(method):
    _, noisy = scene()
    hiss = noisy - scene()[0].astype(np.float32)
    free = run_aligned(Suppressor(RATE, 2, method=method), [hiss])
    linked = run_aligned(Suppressor(RATE, 2, method=method, link_channels=True), [hiss])
    for side in (0, 1):
        alone_db = depth_db(hiss[:, side], free[:, side])
        assert depth_db(hiss[:, side], linked[:, side]) == pytest.approx(alone_db, abs=2.5)


@ENGINES
def test_equal_channels_are_treated_as_one(method):
    _, noisy = scene(4.0)
    both = np.stack([noisy[:, 1], 0.25 * noisy[:, 1]], axis=1)  # panned, the same noise
    linked = run_aligned(Suppressor(RATE, 2, method=method, link_channels=True), [both])
    np.testing.assert_allclose(linked[:, 1], 0.25 * linked[:, 0], atol=2e-6)


@ENGINES
def test_a_silent_channel_changes_nothing_and_stays_silent(method):
    _, noisy = scene(4.0)
    both = np.stack([noisy[:, 0], 0.0 * noisy[:, 0]], axis=1)
    linked = run_aligned(Suppressor(RATE, 2, method=method, link_channels=True), [both])
    alone = run_aligned(Suppressor(RATE, method=method), [noisy[:, :1]])
    np.testing.assert_allclose(linked[:, :1], alone, atol=1e-5)
    assert not linked[:, 1].any()


@ENGINES
def test_one_channel_alone_has_nothing_to_be_linked_with(method):
    _, noisy = scene(3.0)
    outputs = [
        run_aligned(Suppressor(RATE, method=method, link_channels=link), [noisy[:, :1]])
        for link in (True, False)
    ]
    np.testing.assert_array_equal(*outputs)
