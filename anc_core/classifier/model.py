"""The trained classifier at work: feature vectors in, labels with a calibrated confidence out.

Context: the model is trained with scikit-learn, and its files may come from anywhere. Decision: at
work there is an ONNX graph and three tables of numbers, read without pickle and only after their
digests were checked. Consequence: no file of a model can execute code, and scikit-learn is not
needed to use one.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.bundles.bundle import Bundle, open_bundle
from anc_core.classifier.novelty import NUM_TERMS, NoveltyScale, NoveltySpace, entropy
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.features import FEATURE_SCHEMA, NUM_FEATURES
from anc_core.windows import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

KIND = "noise-classifier"
MODEL_FILE = "model.onnx"
SCALER_FILE = "scaler.npz"
NOVELTY_FILE = "novelty.npz"
GOLDEN_FILE = "golden.npz"
FILES = (MODEL_FILE, SCALER_FILE, NOVELTY_FILE)
"""What a classifier needs at work; ``golden.npz`` is there for the validation."""

MAX_DEVIATION = np.float32(10.0)
"""Scaled features end here: one figure far out of what was seen must not outvote all others."""
MIN_PROBABILITY = 1e-6


class NoiseModel:
    """A classifier of feature vectors, loaded from a bundle.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``noise-classifier``.

    Raises
    ------
    ModelBundleError
        MODEL_MISSING if a file is not there, FEATURE_SCHEMA if it was trained on other features,
        MODEL_HASH if a file was changed or does not hold what it should.

    Notes
    -----
    One thread, as :class:`anc_core.denoiser.inference.GainModel`.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._id = bundle.model_id
        self._classes = check_card(bundle)
        self._temperature = _positive(bundle, "temperature")
        self._threshold = _positive(bundle, "novelty_threshold")
        k = len(self._classes)
        scaler = read_arrays(bundle, SCALER_FILE)
        self._mean = _array(bundle, scaler, "mean", (NUM_FEATURES,))
        self._scale = _array(bundle, scaler, "scale", (NUM_FEATURES,))
        if not np.all(self._scale > 0.0):
            raise _broken(bundle, f"{SCALER_FILE}: a scale is not above 0")
        space = read_arrays(bundle, NOVELTY_FILE)
        projection = _array(bundle, space, "projection", (NUM_FEATURES, None))
        self._space = NoveltySpace(
            projection=projection,
            means=_array(bundle, space, "means", (k, projection.shape[1])),
            centre=_array(bundle, space, "centre", (projection.shape[1],)),
        )
        self._novelty_scale = NoveltyScale(
            location=_array(bundle, space, "location", (NUM_TERMS,)),
            spread=_array(bundle, space, "spread", (NUM_TERMS,)),
        )
        if not np.all(self._novelty_scale.spread > 0.0):
            raise _broken(bundle, f"{NOVELTY_FILE}: a spread is not above 0")
        self._session = self._open(bundle)
        if self._raw(np.zeros((1, NUM_FEATURES), np.float32)).shape != (1, k):
            raise _broken(bundle, f"{MODEL_FILE}: gives no probability for each of {k} classes")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the noises it knows."""
        return self._classes

    @property
    def model_id(self) -> str:
        """What sessions remember of it."""
        return self._id

    def probabilities(self, vectors: FloatArray) -> NDArray[np.float64]:
        """Return how probable each class is, given that it is one of them.

        Parameters
        ----------
        vectors : float32, shape (n, NUM_FEATURES)
            As :mod:`anc_core.features` gives them, not scaled.

        Returns
        -------
        float64, shape (n, num_classes)
            Rows sum to 1; a row is NaN where the model gives no finite answer.

        Notes
        -----
        p' = (p + 1e-6)^(1/T) / sum: temperature scaling, T fitted on held-out recordings.

        References
        ----------
        Guo et al., "On Calibration of Modern Neural Networks" (2017), Sec. 4.2.
        """
        return self._calibrated(self._answers(self._scaled(vectors)))

    def novelty(self, vectors: FloatArray) -> NDArray[np.float64]:
        """Return how unlike anything it knows each vector is; see :class:`NoveltyScale`.

        Parameters
        ----------
        vectors : float32, shape (n, NUM_FEATURES)

        Returns
        -------
        float64, shape (n,)
            Above 0, 1 for an average sound of a known class; NaN where the model has no answer.
        """
        scaled = self._scaled(vectors)
        return self._novelty(scaled, self._answers(scaled))

    @property
    def names(self) -> tuple[str, ...]:
        """What :meth:`label` may say: the classes, then ``unknown``."""
        return (*self._classes, UNKNOWN)

    def label(self, vectors: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return name and confidence for each vector.

        Parameters
        ----------
        vectors : float32, shape (n, NUM_FEATURES)

        Returns
        -------
        names : int64, shape (n,)
            Places in :attr:`names`.
        confidence : float64, shape (n,)
            Of the most probable class, its calibrated probability. Beyond the novelty threshold t
            the name is ``unknown``, at distance d with confidence d / (d + t): 0.5 at the
            threshold. What the model has no finite answer for is ``unknown`` with confidence 0.
        """
        scaled = self._scaled(vectors)
        answers = self._answers(scaled)
        probabilities, distance = self._calibrated(answers), self._novelty(scaled, answers)
        is_answer = np.isfinite(probabilities).all(axis=1) & np.isfinite(distance)
        is_known = is_answer & (distance <= self._threshold)
        far = np.where(is_answer, distance / (distance + self._threshold), 0.0)
        return (
            np.where(is_known, probabilities.argmax(axis=1), len(self._classes)),
            np.where(is_known, probabilities.max(axis=1), far),
        )

    def _scaled(self, vectors: FloatArray) -> FloatArray:
        scaled: FloatArray = np.clip(
            (vectors - self._mean) / self._scale, -MAX_DEVIATION, MAX_DEVIATION
        )
        return scaled

    def _novelty(self, scaled: FloatArray, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        terms = np.column_stack([self._space.distances(scaled), entropy(answers)])
        return self._novelty_scale.score(terms)

    def _calibrated(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = (answers + MIN_PROBABILITY) ** (1.0 / self._temperature)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def _answers(self, scaled: FloatArray) -> NDArray[np.float64]:
        """Return the graph's probabilities, not calibrated; NaN where one is not finite."""
        if not len(scaled):
            return np.empty((0, len(self._classes)))
        raw = self._raw(scaled).astype(np.float64)
        raw[~np.isfinite(raw).all(axis=1)] = np.nan
        return np.asarray(np.clip(raw, 0.0, 1.0))

    def _raw(self, scaled: FloatArray) -> FloatArray:
        try:
            (raw,) = self._session.run(["probabilities"], {"features": scaled})
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has no common class of its own
            msg = f"{self._id}: ONNX Runtime cannot run it: {error}"
            raise ModelBundleError(ErrorCode.MODEL_HASH, msg) from None
        return np.asarray(raw, np.float32)

    def _open(self, bundle: Bundle) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
        content = bundle.read(MODEL_FILE)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4  # what is wrong is raised, too
        try:
            return onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has no common class of its own
            msg = f"{self._id}: is no graph that ONNX Runtime accepts: {error}"
            raise ModelBundleError(ErrorCode.MODEL_HASH, msg) from None


def load_noise_model(bundle: Bundle) -> NoiseModel:
    """Return the model of a bundle, loaded once a process.

    Raises
    ------
    ModelBundleError
        As :class:`NoiseModel`.
    """
    return _load(bundle.path, bundle.digest)


@functools.lru_cache(maxsize=4)
def _load(path: Path, digest: str) -> NoiseModel:
    bundle = open_bundle(path, kind=KIND, digest=digest)
    return NoiseModel(bundle)


def check_card(bundle: Bundle) -> tuple[str, ...]:
    """Return the classes of a bundle whose features are those of this version.

    Raises
    ------
    ModelBundleError
        FEATURE_SCHEMA if they are others, MODEL_HASH if the card names no classes.
    """
    schema = bundle.card.get("feature_schema")
    if schema != FEATURE_SCHEMA:
        msg = (
            f"{bundle.model_id}: was trained on features {schema!r}; this version has "
            f"{FEATURE_SCHEMA!r}: train it again"
        )
        raise ModelBundleError(ErrorCode.FEATURE_SCHEMA, msg)
    classes = bundle.card.get("classes")
    named = isinstance(classes, list) and all(isinstance(c, str) and c for c in classes)
    if not named or not classes or len(set(classes)) != len(classes):
        raise _broken(bundle, f"the card's classes must be different names, not {classes!r}")
    return tuple(classes)


def read_arrays(bundle: Bundle, name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` of the bundle; one that needs pickle is refused.

    Raises
    ------
    ModelBundleError
        MODEL_MISSING or MODEL_HASH as :meth:`Bundle.read`; MODEL_HASH if it can't be understood.
    """
    content = io.BytesIO(bundle.read(name))
    try:
        with np.load(content, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except Exception as error:  # noqa: BLE001 - numpy raises what its parsers do, TokenError too
        raise _broken(bundle, f"{name}: holds no plain arrays ({error})") from None


def _array(
    bundle: Bundle,
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    shape: tuple[int | None, ...],
) -> FloatArray:
    found = arrays.get(name)
    if found is None:
        raise _broken(bundle, f"the array {name!r} is missing")
    fits = len(found.shape) == len(shape) and all(
        size in (None, actual) for size, actual in zip(shape, found.shape, strict=True)
    )
    if not fits or found.dtype.kind != "f" or not np.all(np.isfinite(found)):
        msg = f"{name} is {found.dtype} {found.shape}; it must be finite floats of shape {shape}"
        raise _broken(bundle, msg)
    return np.ascontiguousarray(found, np.float32)


def _positive(bundle: Bundle, key: str) -> float:
    value = bundle.card.get(key)
    if not isinstance(value, int | float) or not 0.0 < value < np.inf:
        raise _broken(bundle, f"the card's {key} is {value!r}; it must be above 0")
    return float(value)


def _broken(bundle: Bundle, what: str) -> ModelBundleError:
    return ModelBundleError(ErrorCode.MODEL_HASH, f"{bundle.model_id}: {what}")
