"""Questions about models, codecs, and whether alarms are heard and left alone right now.

The golden clips are synthesised, so there is no file that could be missing or changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.maintenance.health.questions import (
    IMPORTING,
    Answer,
    HealthStatus,
    Question,
)
from anc_core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_ALARM_LOSS_DB = 1.0
"""Law 5 of the design: inside a protected event."""
MIN_NOISE_LOSS_DB = 6.0
"""The weaker engine takes 18 dB from white noise, the neural one 40."""

_RATE_HZ = 16_000
_ALARMS = (("t3_3100", "smoke_alarm"), ("t4", "co_alarm"), ("wail", "siren"))
_ALARM_S, _NOISE_S = 8.5, 3.0
_NEEDED_FORMATS = ("WAV", "FLAC", "OGG", "MP3")


def hearing_questions(settings: Settings) -> list[Question]:
    """Return the questions about what is heard and what is done about it."""
    return [
        Question(
            name="noise classifier",
            ask=lambda: _classifier(settings),
            limit_s=8.0,
        ),
        Question(name="suppressor", ask=lambda: _suppressor(settings), limit_s=8.0),
        Question(
            name="golden clips",
            ask=lambda: golden_clips(settings),
            limit_s=8.0,  # kernels may have to be compiled first, once for each version
            if_unknown=HealthStatus.CRITICAL,
            if_late=HealthStatus.DEGRADED,
        ),
        Question(name="codecs", ask=_codecs),
    ]


def _classifier(settings: Settings) -> Answer:
    with IMPORTING:
        from anc_core.classifier.models import find_classifier
        from anc_core.classifier.validation import validate_bundle

    bundle = find_classifier(
        settings.models_dir, model=settings.ml_model_path, scaler=settings.ml_scaler_path
    )
    if bundle is None:
        return Answer.ok("none is in use: noises other than alarms are not named")
    result = validate_bundle(lambda: bundle)
    faults = [f"{check.name}: {check.message}" for check in result.checks if not check.ok]
    if faults:
        return Answer.degraded("; ".join(faults), value=bundle.model_id)
    return Answer.ok("digest, golden answers and probabilities are right", value=bundle.model_id)


def _suppressor(settings: Settings) -> Answer:
    with IMPORTING:
        from anc_core.denoiser.inference import load_gain_model
        from anc_core.denoiser.models import find_bundle

    bundle = find_bundle(settings.models_dir)
    load_gain_model(bundle)  # compares the digest
    return Answer.ok("its weights are unchanged and load", value=bundle.model_id)


def golden_clips(settings: Settings) -> Answer:
    """Clean T3, T4 and a siren, which must pass, and white noise, which must not."""
    faults = []
    losses = []
    for kind, name in _ALARMS:
        heard, loss_db = _clean_alarm(settings, kind)
        losses.append(loss_db)
        if name not in heard:
            faults.append(f"{kind}: not detected (heard: {', '.join(heard) or 'nothing'})")
        if abs(loss_db) > MAX_ALARM_LOSS_DB:
            faults.append(f"{kind}: attenuated by {loss_db:.1f} dB")
    noise_db = _clean_noise(settings)
    value = f"alarms {max(losses, key=abs):.1f} dB, white noise {noise_db:.1f} dB"
    threshold = f"at most {MAX_ALARM_LOSS_DB:g} dB, at least {MIN_NOISE_LOSS_DB:g} dB"
    if faults:
        return Answer.critical("; ".join(faults), value=value, threshold=threshold)
    if noise_db < MIN_NOISE_LOSS_DB:
        message = f"white noise: attenuated by {noise_db:.1f} dB only"
        return Answer.degraded(message, value=value, threshold=threshold)
    message = "T3, T4 and siren are detected and pass, white noise is taken away"
    return Answer.ok(message, value=value, threshold=threshold)


def _clean_alarm(settings: Settings, kind: str) -> tuple[list[str], float]:
    with IMPORTING:
        from anc_core.audio.synth import alarm, noise

    clip = alarm(kind, _ALARM_S, _RATE_HZ)
    clip = clip + noise("white", _ALARM_S, _RATE_HZ, seed=1, level_dbfs=-50.0)
    output, heard, protected = _cleaned(settings, clip)
    if not protected:
        return heard, 0.0
    before = sum(_power(clip[start:stop]) for start, stop in protected)
    after = sum(_power(output[start:stop]) for start, stop in protected)
    return heard, _ratio_db(before, after)


def _clean_noise(settings: Settings) -> float:
    from anc_core.audio.synth import noise

    clip = noise("white", _NOISE_S, _RATE_HZ, seed=1)
    output, _, _ = _cleaned(settings, clip)
    rest = slice(_RATE_HZ, None)  # the first second is that in which the noise is learnt
    return _ratio_db(_power(clip[rest]), _power(output[rest]))


def _cleaned(
    settings: Settings, clip: NDArray[np.float32]
) -> tuple[NDArray[np.float32], list[str], list[tuple[int, int]]]:
    """Run ``clip`` through what every recording goes through."""
    with IMPORTING:
        import numpy as np

        from anc_core.emergency.detector import AlarmDetector
        from anc_core.pipeline.engine import build_suppressor
        from anc_core.presets import get_preset
        from anc_core.processors import EmergencyGuard, aligned

    detector = AlarmDetector(_RATE_HZ, 1)
    inner = build_suppressor(get_preset("default"), _RATE_HZ, 1, settings.models_dir)
    guard = EmergencyGuard(inner, detector, sample_rate=_RATE_HZ)
    column = np.asarray(clip, np.float32)[:, None]
    output = np.concatenate(list(aligned([column], guard)))[:, 0]
    heard = [event.noise_type for event in detector.events if event.is_emergency]
    return output, heard, guard.protected


def _power(samples: NDArray[np.float32]) -> float:
    import numpy as np

    return float(np.sum(np.square(samples, dtype=np.float64)))


def _ratio_db(before: float, after: float) -> float:
    import math

    floor = 1e-20  # digital silence out: 200 dB say it as well as infinity
    return 10.0 * math.log10(max(before, floor) / max(after, floor))


def _codecs() -> Answer:
    import importlib.util

    with IMPORTING:
        import soundfile

    missing = [name for name in _NEEDED_FORMATS if name not in soundfile.available_formats()]
    value = f"libsndfile {soundfile.__libsndfile_version__}"
    if missing:
        return Answer.degraded(f"libsndfile cannot read {', '.join(missing)}", value=value)
    if importlib.util.find_spec("av") is None:
        return Answer.ok("PyAV is not installed (extra: codecs): no M4A, MP4, AAC", value=value)
    return Answer.ok("libsndfile and PyAV read all formats", value=value)
