"""Find out whether a classifier is whole and still gives the answers that it was saved with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from pydantic import Field

from anc_core.audio.synth import noise
from anc_core.bundles.bundle import Bundle
from anc_core.classifier.model import (
    FILES,
    GOLDEN_FILE,
    NoiseModel,
    check_card,
    read_arrays,
)
from anc_core.classifier.stream import NoiseClassifier
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.features import FEATURE_SCHEMA, NUM_FEATURES
from anc_core.records import Record
from anc_core.windows import UNKNOWN

CHECKS = (
    "files",
    "digest",
    "card",
    "feature schema",
    "load",
    "smoke prediction",
    "golden clips",
    "probabilities",
)
GOLDEN_TOLERANCE = 1e-4
"""Largest change of a golden probability: other processors round otherwise."""

_SMOKE_NOISES = ("white", "hum", "traffic")
_SMOKE_RATE_HZ = 16_000
_SMOKE_S = 2.0
_CARD_KEYS = ("model", "classes", "temperature", "novelty_threshold", "scores", "data")
_MAX_SUM_ERROR = 1e-6


class Check(Record):
    """One question that a model was asked."""

    name: str
    """One of :data:`CHECKS`."""
    ok: bool
    message: str
    error_code: ErrorCode | None = None
    """Why it was not passed; None also where it was not asked, as an earlier one failed."""


class ModelValidation(Record):
    """What is known of a classifier, and whether it may be used."""

    valid: bool
    """Every check was passed."""
    version: str | None = None
    categories: tuple[str, ...] = ()
    digest_ok: bool = False
    """Every file is the one that the manifest lists."""
    checks: tuple[Check, ...]
    model_id: str | None = None
    model_path: str | None = None
    card: dict[str, Any] = Field(default_factory=dict)
    """What was written of it when it was trained: data, licences, scores, versions."""


def validate_bundle(find: Callable[[], Bundle]) -> ModelValidation:
    """Check a bundle file by file and answer by answer; nothing is changed.

    Parameters
    ----------
    find : callable
        Returns the bundle, or raises the :class:`ModelBundleError` that is the first finding.

    Returns
    -------
    ModelValidation
        With every check; what can't be asked after an earlier failure is not passed.
    """
    asked = _Asked()
    try:
        bundle = find()
    except ModelBundleError as error:
        asked.fail("files", error)
        return ModelValidation(valid=False, checks=asked.all())
    is_there = asked.ask("files", lambda: _all_there(bundle))
    digest_ok = is_there and asked.ask("digest", lambda: _unchanged(bundle))
    asked.ask("card", lambda: _complete(bundle))
    fits = asked.ask("feature schema", lambda: _of_these_features(bundle))
    if digest_ok and fits:
        _ask_model(asked, bundle)
    return ModelValidation(
        valid=asked.all_passed,
        version=bundle.version,
        categories=check_card(bundle) if fits else (),
        digest_ok=digest_ok,
        checks=asked.all(),
        model_id=bundle.model_id,
        model_path=str(bundle.path),
        card=bundle.card,
    )


class _Asked:
    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    @property
    def all_passed(self) -> bool:
        return all(check.ok for check in self.all())

    def ask(self, name: str, question: Callable[[], str]) -> bool:
        try:
            self._checks[name] = Check(name=name, ok=True, message=question())
        except ModelBundleError as error:
            self.fail(name, error)
        return self._checks[name].ok

    def fail(self, name: str, error: ModelBundleError) -> None:
        self._checks[name] = Check(name=name, ok=False, message=str(error), error_code=error.code)

    def all(self) -> tuple[Check, ...]:
        not_asked = "not asked: an earlier check failed"
        return tuple(
            self._checks.get(name, Check(name=name, ok=False, message=not_asked)) for name in CHECKS
        )


def _ask_model(asked: _Asked, bundle: Bundle) -> None:
    models: list[NoiseModel] = []

    def load() -> str:
        models.append(NoiseModel(bundle))
        return f"{len(models[0].classes)} classes"

    if asked.ask("load", load):
        model = models[0]
        asked.ask("smoke prediction", lambda: _names_noises(model))
        asked.ask("golden clips", lambda: _repeats_itself(model, bundle))
        asked.ask("probabilities", lambda: _sums_to_one(model, bundle))


def _all_there(bundle: Bundle) -> str:
    wanted = {*FILES, GOLDEN_FILE, *bundle.files}
    missing = [n for n in sorted(wanted) if n not in bundle.files or not (bundle.path / n).exists()]
    if missing:
        _fail(ErrorCode.MODEL_MISSING, f"{bundle.path}: {', '.join(missing)} missing")
    return f"{len(wanted)} files"


def _unchanged(bundle: Bundle) -> str:
    for name in bundle.files:
        bundle.read(name)
    return f"SHA-256 {bundle.digest}"


def _complete(bundle: Bundle) -> str:
    missing = [key for key in _CARD_KEYS if key not in bundle.card]
    if missing:
        _fail(ErrorCode.MODEL_HASH, f"{bundle.model_id}: the card lacks {', '.join(missing)}")
    return f"{bundle.card['model']}, version {bundle.version}"


def _of_these_features(bundle: Bundle) -> str:
    check_card(bundle)
    return FEATURE_SCHEMA


def _names_noises(model: NoiseModel) -> str:
    classifier, words = NoiseClassifier(model), []
    known = {*model.classes, UNKNOWN}
    for kind in _SMOKE_NOISES:
        windows = classifier.predict(noise(kind, _SMOKE_S, _SMOKE_RATE_HZ, seed=1), _SMOKE_RATE_HZ)
        names = [window.noise_type for window in windows]
        if not names or not known.issuperset(names):
            _fail(ErrorCode.MODEL_HASH, f"{model.model_id}: calls synthetic {kind} {names}")
        words.append(f"{kind}: {max(names, key=names.count)}")
    return ", ".join(words)


def _repeats_itself(model: NoiseModel, bundle: Bundle) -> str:
    features, probabilities = _golden(bundle, model)
    change = float(np.abs(model.probabilities(features) - probabilities).max())
    if not change <= GOLDEN_TOLERANCE:  # nor NaN
        msg = f"{model.model_id}: a golden probability changed by {change:.2g}"
        _fail(ErrorCode.MODEL_HASH, msg)
    return f"{len(features)} clips, largest change {change:.1g}"


def _sums_to_one(model: NoiseModel, bundle: Bundle) -> str:
    features, _ = _golden(bundle, model)
    # Also far from all that was learned: there a graph shows what it is made of.
    probabilities = model.probabilities(np.concatenate([features, features * 1e3, -features]))
    error = float(np.abs(probabilities.sum(axis=1) - 1.0).max())
    if not error <= _MAX_SUM_ERROR or probabilities.min() < 0.0:
        _fail(ErrorCode.MODEL_HASH, f"{model.model_id}: probabilities do not sum to 1")
    return f"finite and sum to 1 for {len(probabilities)} vectors"


def _golden(bundle: Bundle, model: NoiseModel) -> tuple[np.ndarray, np.ndarray]:
    arrays = read_arrays(bundle, GOLDEN_FILE)
    features, probabilities = arrays.get("features"), arrays.get("probabilities")
    if (
        features is None
        or probabilities is None
        or features.ndim != 2
        or features.shape[1] != NUM_FEATURES
        or not len(features)
        or probabilities.shape != (len(features), len(model.classes))
    ):
        msg = f"{bundle.model_id}: {GOLDEN_FILE} must hold features and probabilities of clips"
        _fail(ErrorCode.MODEL_HASH, msg)
    return features.astype(np.float32), probabilities


def _fail(code: ErrorCode, message: str) -> NoReturn:
    raise ModelBundleError(code, message)
