"""Which trained suppressor is in use, and what happens where there is none."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path

from anc_core.bundles.bundle import Bundle, open_bundle
from anc_core.bundles.registry import active_bundle, shipped_models
from anc_core.denoiser.inference import KIND, MODEL_FILE, GainModel, load_gain_model
from anc_core.errors import ModelBundleError

_log = logging.getLogger(__name__)


def find_bundle(place: Path | None = None) -> Bundle:
    """Return the bundle of the suppressor in use.

    Parameters
    ----------
    place : Path, optional
        A bundle, or a folder of models that is looked at before the one that ships.

    Raises
    ------
    ModelBundleError
        If there is none, or it is damaged.
    """
    if place is not None and (place / "manifest.json").is_file():
        return open_bundle(place, kind=KIND)
    folders: Sequence[Path] = [shipped_models()] if place is None else [place, shipped_models()]
    return active_bundle(KIND, folders)


def find_model(place: Path | None = None) -> GainModel | None:
    """Return the network in use, or None where it can't be loaded; the log says why.

    Without weights the classical engine does the work: noise is removed less well, never wrongly.
    """
    try:
        return load_gain_model(find_bundle(place))
    except ModelBundleError as error:
        _log.warning("the neural engine is not available: %s", error)
        return None


@functools.lru_cache(maxsize=16)
def usable_model_id(place: Path | None = None) -> str | None:
    """Return what a session will remember of the model in use, None where there is none.

    The weights are checked against their digest but not loaded: a plan of a thousand recordings
    asks for this. The answer of a process does not change: its sessions must agree with each other.
    """
    try:
        bundle = find_bundle(place)
        bundle.read(MODEL_FILE)
    except ModelBundleError:
        return None
    return bundle.model_id
