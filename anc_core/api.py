"""One call for one array: the processors without the stream."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import as_columns, check_sample_rate
from anc_core.dsp.finite import tame
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.processors import CancelResult, ReferenceCanceller, Suppressor, aligned
from anc_core.records import Detection
from anc_core.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.classifier.stream import NoiseClassifier
    from anc_core.presets import ProtectionParameters

_log = logging.getLogger(__name__)


def suppress(
    audio: NDArray[Any],
    sample_rate: float,
    *,
    method: str = "auto",
    strength: float = 1.0,
    max_attenuation_db: float | None = None,
    link_channels: bool = False,
) -> NDArray[np.float32]:
    """Take the noise out of ``audio``.

    Parameters
    ----------
    audio : floating point, shape (n,) or (n, num_channels)
        Full scale +-1. Non-finite samples count as 0.
    sample_rate : float
        Hz, 1 000 to 768 000.
    method : {"auto", "neural", "spectral"}
        ``auto`` takes the neural engine where its weights load and the sample rate is 8 kHz or
        more, and the spectral one elsewhere.
    strength : float, default 1.0
        0 to 1: scales the gain in dB; 0 = the input bit for bit.
    max_attenuation_db : float, optional
        0 to 80: nothing is lowered by more. By default 18 for the spectral engine, 40 for the
        neural one.
    link_channels : bool, default False
        All channels get the same gain in each time-frequency cell: a stereo image stays where it
        is. Channels that hear different things are better off each by itself.

    Returns
    -------
    float32, shape of ``audio``
        As long as the input and not delayed.

    Raises
    ------
    InputError
        If the shape, the type or a parameter is not as above.
    ModelBundleError
        If ``method`` is ``"neural"`` and its weights are missing, changed or of another version.
    """
    columns = as_columns(audio)
    engine = Suppressor(
        sample_rate,
        columns.shape[1],
        method=method,
        strength=strength,
        max_attenuation_db=max_attenuation_db,
        link_channels=link_channels,
    )
    empty = np.zeros((0, columns.shape[1]), np.float32)
    return np.concatenate([empty, *aligned([columns], engine)]).reshape(np.shape(audio))


def cancel(
    primary: NDArray[Any],
    reference: NDArray[Any],
    sample_rate: float,
    *,
    algorithm: str = "kalman",
    num_taps: int | None = None,
    step_size: float | None = None,
    reference_rate: float | None = None,
    align: bool = True,
    max_delay_s: float = 1.0,
) -> CancelResult:
    """Cancel in ``primary`` the noise that ``reference`` picked up; a wanted voice is kept.

    Parameters
    ----------
    primary : floating point, shape (n,) or (n, num_channels)
        Full scale +-1. Non-finite samples count as 0, in both signals.
    reference : floating point, shape (m,) or (m, num_reference_channels)
        The noise, with as little of the voice as can be. Of any length: silent after its end.
    sample_rate : float
        Hz, 1 000 to 768 000; of ``primary``.
    algorithm : str
        One of :data:`anc_core.dsp.adaptive_filter.ALGORITHMS`.
    num_taps, step_size
        See :class:`~anc_core.processors.ReferenceCanceller`.
    reference_rate : float, optional
        Hz, of ``reference``, if it is another.
    align : bool, default True
        Find the delay of the reference and the drift of its clock, and correct them.
    max_delay_s : float, default 1.0
        Largest delay looked for, either way; at most 1.25 s.

    Returns
    -------
    CancelResult
        ``error_signal`` and ``anti_noise`` have the shape of ``primary``.

    Raises
    ------
    InputError
        If a shape, a type or a parameter is not as above.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    >>> heard = np.convolve(noise, [0.0, 0.5, -0.3])[: len(noise)].astype(np.float32)
    >>> cancel(heard, noise, 8_000).cancellation_db > 30
    True
    """
    from anc_core.audio.placement import Placement, placed, placement_for
    from anc_core.dsp.delay_search import find_delay
    from anc_core.processors.cancel import PRIMING_S

    noisy, heard = tame(as_columns(primary)), tame(as_columns(reference))
    rate = check_sample_rate(sample_rate)
    own_rate = rate if reference_rate is None else check_sample_rate(reference_rate)
    canceller = ReferenceCanceller(
        rate,
        noisy.shape[1],
        heard.shape[1],
        algorithm=algorithm,
        num_taps=num_taps,
        step_size=step_size,
    )

    def beside(placement: Placement) -> NDArray[np.float32]:
        chunks = placed(
            [heard],
            placement,
            source_rate=own_rate,
            target_rate=rate,
            num_channels=heard.shape[1],
        )
        column = np.concatenate([np.zeros((0, heard.shape[1]), np.float32), *chunks])
        missing = max(0, len(noisy) - len(column))
        return np.pad(column, ((0, missing), (0, 0)))[: len(noisy)]

    alignment = None
    noise = beside(Placement())
    if align:
        alignment = find_delay(noisy, noise, rate, max_delay_s=max_delay_s)
        noise = beside(placement_for(alignment, rate, canceller.num_taps))
    first = round(PRIMING_S * rate)
    canceller.learn_from(noisy[:first], noise[:first])
    output = np.concatenate([canceller.process(noisy, noise), canceller.flush()])
    shape = np.shape(primary)
    return CancelResult.of(
        noisy.reshape(shape),
        output[canceller.latency :].reshape(shape),
        alignment=alignment,
        events=canceller.drain_events(),
    )


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
    from anc_core.classifier.events import NoiseEvents, events_in_order, windows_in_order
    from anc_core.emergency.detect import detect as detect_alarms

    alarms = detect_alarms(audio, sample_rate, parameters=parameters)
    try:
        classifier = _installed_classifier(Settings())
        windows = [] if classifier is None else classifier.predict(audio, sample_rate)
    except ModelBundleError as error:
        _log.warning("the noise classifier is not available: %s", error)
        return alarms
    return Detection(
        windows=windows_in_order(alarms.windows, windows),
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
    from anc_core.classifier.model import load_noise_model
    from anc_core.classifier.models import named_bundle
    from anc_core.classifier.stream import NoiseClassifier

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
    from anc_core.classifier.model import load_noise_model
    from anc_core.classifier.models import find_classifier
    from anc_core.classifier.stream import NoiseClassifier

    bundle = find_classifier(
        settings.models_dir, model=settings.ml_model_path, scaler=settings.ml_scaler_path
    )
    return None if bundle is None else NoiseClassifier(load_noise_model(bundle))
