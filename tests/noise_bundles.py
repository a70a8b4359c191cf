"""A tiny classifier in a bundle: a linear model over the 799 features, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anc_core.audio.synth import noise
from anc_core.bundles.bundle import Bundle, seal
from anc_core.classifier.model import GOLDEN_FILE, KIND, NOVELTY_FILE, SCALER_FILE
from anc_core.features import FEATURE_SCHEMA, NUM_FEATURES, clip_features
from tests.onnx_models import linear_softmax

CLASSES = ("fan", "rain")
RATE = 16_000


def heard(kind: str, seed: int) -> np.ndarray:
    return clip_features(noise(kind, 1.0, RATE, seed=seed), RATE)


def make_bundle(
    folder: Path,
    *,
    version: str = "tiny",
    novelty_threshold: float = 1e30,
    arrays: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    **card: Any,
) -> Bundle:
    """Write a bundle that tells a fan from rain; ``card`` and ``arrays`` change what it says.

    Labels are those of the nearer of two means, in features scaled by their spread.
    """
    folder.mkdir(parents=True)
    vectors = np.stack([[heard(kind, seed) for seed in range(6)] for kind in CLASSES])
    mean = vectors.mean(axis=(0, 1))
    scale = vectors.std(axis=1).mean(axis=0) + np.float32(0.05) * np.abs(mean) + np.float32(0.1)
    scaled = np.clip((vectors - mean) / scale, -10, 10)
    centres = scaled.mean(axis=1)
    weights = (centres / np.linalg.norm(centres[0] - centres[1])).T.astype(np.float32)
    offset = np.zeros(len(CLASSES), np.float32)
    content = {
        SCALER_FILE: {"mean": mean, "scale": scale},
        NOVELTY_FILE: {
            "projection": np.eye(NUM_FEATURES, 40, dtype=np.float32),
            "means": centres[:, :40].astype(np.float32),
            "centre": centres[:, :40].mean(axis=0).astype(np.float32),
            "location": np.array([40.0, 0.0, 0.3], np.float32),
            "spread": np.array([40.0, 40.0, 0.3], np.float32),
        },
        GOLDEN_FILE: {
            "features": vectors[:, 0],
            "labels": np.arange(len(CLASSES)),
            "probabilities": _softmax(scaled[:, 0] @ weights + offset),
        },
    }
    for name, values in content.items():
        np.savez(folder / name, **(values | dict((arrays or {}).get(name, {}))))
    linear_softmax(folder / "model.onnx", weights, offset)
    return seal(
        folder,
        {
            "kind": KIND,
            "version": version,
            "model": "lda",
            "classes": list(CLASSES),
            "feature_schema": FEATURE_SCHEMA,
            "temperature": 1.0,
            "novelty_threshold": novelty_threshold,
            "scores": {"accuracy": 0.9, "macro_f1": 0.8},
            "data": {"digest": "0" * 64, "num_clips": 12, "licences": ["synthetic"]},
        }
        | card,
    )


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
