"""Read a pickled scikit-learn classifier and write it as an ONNX graph and plain arrays.

A program of its own, started by :func:`anc_core.jobs.model_import.import_model` after the user
vouched for the files: reading a pickle executes what is in it, and no process of this platform that
does other work ever does so.

The last line on standard output is JSON: facts for the card, or ``refused`` with the reason.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.classifier.model import GOLDEN_FILE, MODEL_FILE, NOVELTY_FILE, SCALER_FILE
from anc_core.classifier.novelty import NUM_TERMS
from anc_core.errors import ErrorCode
from anc_core.features import NUM_FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER_NOVEL = 2.0
"""Threshold for the novelty of an imported model, which is 1 for every sound: it has no measure."""

_OPSET = 17
_WIDE = 2.0**20
"""The scaler of a bundle limits its figures to +-10, that of scikit-learn does not. Ours divides by
so much more and the graph multiplies by it; a power of 2 rounds nothing."""
_NUM_GOLDEN = 32
_MAX_CHANGE = 0.02
"""Of a probability by the conversion: a forest compares in float32 what it learned in float64."""


class RefusedError(Exception):
    """The model cannot be used here; the message says why."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.MODEL_HASH) -> None:
        super().__init__(message)
        self.code = code


def convert(model: Any, scaler: Any, folder: Path) -> dict[str, Any]:  # noqa: ANN401
    """Write the files of a bundle, without its card, and return facts for it.

    Parameters
    ----------
    model : scikit-learn classifier
        With ``predict_proba``.
    scaler : StandardScaler or None
        Applied before it.
    folder : Path
        Gets the files.

    Raises
    ------
    RefusedError
        If it was trained on another number of features or is no such model.
    """
    _check(model, "predict_proba", NUM_FEATURES)
    mean, scale = np.zeros(NUM_FEATURES), np.ones(NUM_FEATURES)
    if scaler is not None:
        _check(scaler, "transform", NUM_FEATURES)
        mean, scale = (_figures(scaler, name, mean) for name in ("mean_", "scale_"))
    content = _graph(model)
    (folder / MODEL_FILE).write_bytes(content)
    _save(folder / SCALER_FILE, mean=_float32(mean), scale=_float32(scale * _WIDE))
    k = len(model.classes_)
    _save(
        folder / NOVELTY_FILE,
        projection=np.zeros((NUM_FEATURES, 1), np.float32),
        means=np.zeros((k, 1), np.float32),
        centre=np.zeros(1, np.float32),
        location=np.zeros(NUM_TERMS, np.float32),
        spread=np.full(NUM_TERMS, 1e30, np.float32),
    )
    vectors = np.random.default_rng(1).normal(mean, scale, (_NUM_GOLDEN, NUM_FEATURES))
    golden = _float32(vectors)
    scaled = _float32((golden - _float32(mean)) / _float32(scale * _WIDE))
    given = _run(content, scaled)
    expected = model.predict_proba((golden - mean) / scale)
    change = float(np.abs(given - expected).max())
    if not change <= _MAX_CHANGE:
        msg = f"as an ONNX graph it answers otherwise: a probability changes by {change:.2g}"
        raise RefusedError(msg)
    _save(
        folder / GOLDEN_FILE,
        features=golden,
        labels=given.argmax(axis=1).astype(np.int64),
        probabilities=given,
    )
    return {
        "classes": [str(name) for name in model.classes_],
        "model": type(model).__name__,
        "libraries": {name: version(name) for name in ("scikit-learn", "numpy", "skl2onnx")},
    }


def main(model: str, scaler: str, folder: str) -> None:
    """Load the files, convert them, print what came of it."""
    answer = _answer(model, scaler, Path(folder))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")  # whatever the pickle printed before


def _answer(model: str, scaler: str, folder: Path) -> dict[str, Any]:
    import joblib
    from sklearn.exceptions import InconsistentVersionWarning

    warnings.simplefilter("error", InconsistentVersionWarning)
    try:
        loaded = joblib.load(model), None if scaler == "-" else joblib.load(scaler)
        return convert(*loaded, folder)
    except RefusedError as error:
        return {"refused": str(error), "code": error.code.value}
    except InconsistentVersionWarning as error:
        reason = f"{error}. Save it again with the scikit-learn that is installed here"
        return {"refused": reason, "code": ErrorCode.MODEL_HASH.value}
    except Exception as error:  # noqa: BLE001 - a foreign file may raise anything
        reason = f"{type(error).__name__}: {error}"
        return {"refused": reason, "code": ErrorCode.MODEL_HASH.value}


def _check(estimator: object, method: str, num_features: int) -> None:
    if not callable(getattr(estimator, method, None)):
        msg = f"a {type(estimator).__name__} has no {method}"
        raise RefusedError(msg)
    found = getattr(estimator, "n_features_in_", None)
    if found != num_features:
        msg = f"it was trained on {found} features, this version has {num_features}: train it again"
        raise RefusedError(msg, ErrorCode.FEATURE_SCHEMA)


def _figures(scaler: object, name: str, otherwise: NDArray[Any]) -> NDArray[Any]:
    if not hasattr(scaler, name):
        msg = f"a {type(scaler).__name__} has no {name}; only a StandardScaler can be taken over"
        raise RefusedError(msg)
    values = getattr(scaler, name)
    return otherwise if values is None else np.asarray(values, np.float64)


def _graph(model: Any) -> bytes:  # noqa: ANN401 - scikit-learn has no types
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    widening = StandardScaler(with_mean=False)
    widening.scale_ = np.full(NUM_FEATURES, 1.0 / _WIDE)
    widening.var_ = widening.scale_**2
    widening.n_features_in_ = NUM_FEATURES
    whole = make_pipeline(widening, model)
    graph = convert_sklearn(
        whole,
        "noise_classifier",
        [("features", FloatTensorType([None, NUM_FEATURES]))],
        options={id(whole): {"zipmap": False}},
        target_opset={"": _OPSET, "ai.onnx.ml": 3},
    )
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def _run(content: bytes, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,) = session.run(["probabilities"], {"features": scaled})
    return _float32(given)


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
