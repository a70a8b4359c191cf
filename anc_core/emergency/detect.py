"""The whole array at once: what :func:`anc_core.detect` calls."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from anc_core.arrays import as_columns, check_sample_rate
from anc_core.emergency.detector import AlarmDetector
from anc_core.presets import ProtectionParameters
from anc_core.records import Detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)


def detect(
    audio: NDArray[Any], sample_rate: float, *, parameters: ProtectionParameters | None = None
) -> Detection:
    """Return the alarms heard in ``audio``.

    Parameters
    ----------
    audio : ndarray of float, shape (num_samples,) or (num_samples, num_channels)
        Full scale +-1; NaN and infinities count as 0. Any length, 0 included.
    sample_rate : float
        Hz; below 4 kHz nothing is detected.
    parameters : ProtectionParameters, optional
        Threshold and guard of the protection.

    Returns
    -------
    Detection
        Windows, events and protected intervals in seconds.

    Raises
    ------
    InputError
        If the shape, the sample type or the rate breaks a rule.
    """
    columns = as_columns(audio)
    rate = check_sample_rate(sample_rate)
    detector = AlarmDetector(rate, columns.shape[1], parameters=parameters)
    if detector.fault is not None:
        _log.warning("everything is protected, no alarm can be told: %s", detector.fault)
    for start in range(0, len(columns), 10 * rate):
        detector.process(columns[start : start + 10 * rate])
    detector.flush()
    stretches = detector.protected(0, len(columns))
    return Detection(
        windows=detector.windows,
        events=detector.events,
        protected=tuple((start / rate, stop / rate) for start, stop in stretches),
    )
