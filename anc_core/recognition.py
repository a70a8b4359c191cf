"""What is heard in one array: alarms by rules, other noises by the classifier that is in use."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anc_core.classifier.events import NoiseEvents, events_in_order
from anc_core.classifier.model import load_noise_model
from anc_core.classifier.models import find_classifier, named_bundle
from anc_core.classifier.stream import NoiseClassifier
from anc_core.emergency.detect import detect as detect_alarms
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.records import Detection, WindowTable
from anc_core.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.presets import ProtectionParameters

_log = logging.getLogger(__name__)


def detect(
    audio: NDArray[Any], sample_rate: float, *, parameters: ProtectionParameters | None = None
) -> Detection:
    """Return what is heard in ``audio``: alarms, and other noises where a classifier is installed.

    Parameters
    ----------
    audio : floating point, shape (n,) or (n, num_channels)
        Full scale +-1; NaN and infinities count as 0. Any length, 0 included.
    sample_rate : float
        Hz, 1 000 to 768 000; below 4 kHz no alarm is detected.
    parameters : ProtectionParameters, optional
        Threshold and guard of the protection.

    Returns
    -------
    Detection
        Windows, events and protected intervals in seconds. Protection is the alarm detector's
        alone. A classifier that is refused is left out; the log says why.

    Raises
    ------
    InputError
        If the shape, the sample type or the rate breaks a rule.
    """
    alarms = detect_alarms(audio, sample_rate, parameters=parameters)
    settings = Settings()
    try:
        classifier = _installed_classifier(settings) if settings.name_noises else None
        windows = [] if classifier is None else classifier.predict(audio, sample_rate)
    except ModelBundleError as error:
        _log.warning("the noise classifier is not available: %s", error)
        return alarms
    return Detection(
        windows=tuple(WindowTable([*alarms.windows, *windows]).in_order()),
        events=events_in_order(alarms.events, NoiseEvents.of(windows)),
        protected=alarms.protected,
    )


def load_classifier(path: Path | str | None = None) -> NoiseClassifier:
    """Load a trained classifier of noises; no file of it can execute code.

    Parameters
    ----------
    path : path, optional
        Folder of a bundle, the ``model.onnx`` inside one, or a pickled model that was imported with
        ``anc model import``. By default what ``ML_MODEL_PATH`` names, else the version in use in
        this installation, else the one that ships.

    Returns
    -------
    NoiseClassifier
        ``predict(audio, sample_rate)`` gives windows; ``classes`` are the names it knows.

    Raises
    ------
    ModelBundleError
        MODEL_MISSING if there is none; MODEL_HASH, FEATURE_SCHEMA or MODEL_UNTRUSTED if it is not
        what it should be.
    """
    settings = Settings()
    if path is not None:
        bundle = named_bundle(settings.models_dir, Path(path))
        return NoiseClassifier(load_noise_model(bundle))
    classifier = _installed_classifier(settings)
    if classifier is None:
        msg = "no noise classifier is in use here; train one with 'anc train'"
        raise ModelBundleError(ErrorCode.MODEL_MISSING, msg)
    return classifier


def _installed_classifier(settings: Settings) -> NoiseClassifier | None:
    bundle = find_classifier(
        settings.models_dir, model=settings.ml_model_path, scaler=settings.ml_scaler_path
    )
    return None if bundle is None else NoiseClassifier(load_noise_model(bundle))
