"""The model of all clips, as the files that the classifier reads at work."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.classifier.model import GOLDEN_FILE, MODEL_FILE, NOVELTY_FILE, SCALER_FILE
from anc_core.classifier_training.estimators import MEMBERS
from anc_core.classifier_training.evaluation import novelty_scale
from anc_core.classifier_training.export import to_onnx
from anc_core.classifier_training.held_out import Trials
from anc_core.classifier_training.novelty import fit_space
from anc_core.classifier_training.records import ModelName
from anc_core.errors import InputError
from anc_core.files import atomic_path, write_text_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DIFFERENCE = 1e-4
"""Between a probability of scikit-learn and that of the graph."""
_NUM_GOLDEN = 3
"""Clips of each category that travel with the model, as vectors: its answers are known."""
_DONE = "fitted.json"


def fit_final(model: ModelName, trials: Trials) -> float:
    """Fit ``model`` on all clips, write its files and return its accuracy on those clips.

    What was done before is not done again; the files lie in :func:`final_folder`.

    Raises
    ------
    InputError
        If the exported graph and the estimators disagree.
    """
    folder = final_folder(model, trials)
    done = folder / _DONE
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomic(done, json.dumps({"train_accuracy": _fit(model, trials, folder)}))
    return float(json.loads(done.read_text())["train_accuracy"])


def final_folder(model: ModelName, trials: Trials) -> Path:
    """Return where the files of the final model lie."""
    return trials.kept / f"final-{model}"


def answers_of(content: bytes, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what an ONNX graph says of ``scaled`` (n, NUM_FEATURES), shape (n, num_classes)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # skl2onnx leaves constants unused, which is worth no warning
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (given,) = session.run(["probabilities"], {"features": scaled})
    return np.asarray(given, np.float64)


def _fit(model: ModelName, trials: Trials, folder: Path) -> float:
    everything = np.ones(len(trials.labels), bool)
    scaler, vectors, labels, is_crop = trials.training_side(everything)
    members = [
        trials.fit(name, (vectors, labels, is_crop), trials.num_trees) for name in MEMBERS[model]
    ]
    clips = trials.features.tests[0]
    golden = _golden(trials.labels)
    content = to_onnx(members)
    scaled = scaler(clips)
    expected = np.mean([member.probabilities(scaled) for member in members], axis=0)
    difference = float(np.abs(answers_of(content, scaled[golden]) - expected[golden]).max())
    if not difference <= MAX_DIFFERENCE:
        msg = (
            f"the exported graph of {model} differs from its members by {difference:.2g}, more "
            f"than {MAX_DIFFERENCE:g}: scikit-learn and skl2onnx do not fit each other"
        )
        raise InputError(msg)
    space = fit_space(vectors, labels)
    scale = novelty_scale(trials.terms(model), trials.weights)
    with atomic_path(folder / MODEL_FILE) as part:
        part.write_bytes(content)
    _save(folder / SCALER_FILE, mean=scaler.mean, scale=scaler.scale)
    _save(
        folder / NOVELTY_FILE,
        projection=space.projection,
        means=space.means,
        centre=space.centre,
        location=scale.location,
        spread=scale.spread,
    )
    _save(folder / GOLDEN_FILE, features=clips[golden], labels=trials.labels[golden])
    return float((expected.argmax(axis=1) == trials.labels).mean())


def _golden(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first clips of every category, sorted."""
    first = [np.flatnonzero(labels == k)[:_NUM_GOLDEN] for k in range(int(labels.max()) + 1)]
    return np.sort(np.concatenate(first))


def _save(path: Path, **arrays: Any) -> None:  # noqa: ANN401 - arrays of any type
    content = io.BytesIO()
    np.savez(content, **arrays)
    with atomic_path(path) as part:
        part.write_bytes(content.getvalue())
