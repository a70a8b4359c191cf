"""Which classifier is in use here: the one that is named, the promoted one, the one that ships."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from anc_core.bundles.bundle import Bundle, open_bundle
from anc_core.bundles.registry import Registry, shipped_models
from anc_core.classifier.imports import imported_bundle
from anc_core.classifier.model import FILES, KIND, MODEL_FILE, SCALER_FILE, check_card
from anc_core.errors import ErrorCode, ModelBundleError


@dataclass(frozen=True, slots=True)
class Choice:
    """What a session will listen with.

    Attributes
    ----------
    bundle : Bundle or None
        Whole, and of this version's features; None where there is none.
    fault : str or None
        Why the one that is in use was refused.
    """

    bundle: Bundle | None = None
    fault: str | None = None

    @property
    def model_id(self) -> str | None:
        """What the session will remember, None without a classifier."""
        return None if self.bundle is None else self.bundle.model_id


def find_classifier(
    models: Path, *, model: Path | None = None, scaler: Path | None = None
) -> Bundle | None:
    """Return the bundle in use, None where no classifier is installed.

    Parameters
    ----------
    models : Path
        Folder of this installation's registry; that of the models that ship comes after it.
    model : Path, optional
        A bundle, or a file that stands for one, to be used instead of the promoted one.
    scaler : Path, optional
        That of ``model``.

    Raises
    ------
    ModelBundleError
        If the one in use is missing, damaged or not trusted: it is never replaced by another behind
        the user's back.
    """
    if model is not None:
        return named_bundle(models, model, scaler)
    for folder in (models, shipped_models()):
        bundle = Registry(folder).active(KIND)
        if bundle is not None:
            return bundle
    return None


def named_bundle(models: Path, model: Path, scaler: Path | None = None) -> Bundle:
    """Return the bundle that a path stands for.

    Parameters
    ----------
    models : Path
        Folder of this installation's registry.
    model : Path
        Folder of a bundle, the ``model.onnx`` inside one, or a pickled model that was imported.
    scaler : Path, optional
        The scaler of a pickled model; of a bundle it can only be its own.

    Raises
    ------
    ModelBundleError
        MODEL_MISSING, MODEL_HASH or MODEL_UNTRUSTED.
    """
    model = model.expanduser()
    scaler = None if scaler is None else scaler.expanduser()
    if model.is_file() and model.name != MODEL_FILE:
        return imported_bundle(models, model, scaler)
    bundle = open_bundle(model.parent if model.is_file() else model, kind=KIND)
    own = bundle.path / SCALER_FILE
    if scaler is not None and not (scaler.exists() and own.exists() and scaler.samefile(own)):
        msg = f"{scaler}: the scaler of {bundle.path} is its own {SCALER_FILE}; leave this one out"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    return bundle


def choose_classifier(
    models: Path, *, model: Path | None = None, scaler: Path | None = None
) -> Choice:
    """Return what a session will listen with; arguments as of :func:`find_classifier`.

    All files are checked against their digests, once a process, but the graph is not loaded: a plan
    of a thousand recordings asks for this. A promotion is seen by the next session.
    """
    try:
        bundle = find_classifier(models, model=model, scaler=scaler)
        if bundle is not None:
            check_card(bundle)
            _check_files(bundle.path, bundle.digest)
    except ModelBundleError as error:
        return Choice(fault=f"{error.code}: {error}")
    return Choice(bundle)


@functools.lru_cache(maxsize=4)
def _check_files(path: Path, digest: str) -> None:
    bundle = open_bundle(path, kind=KIND, digest=digest)
    for name in FILES:
        bundle.read(name)
