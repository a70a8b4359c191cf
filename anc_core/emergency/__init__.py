"""Emergency sounds: recognised by rhythm and sweep, never cancelled.

``AlarmDetector`` listens to a stream, ``detect`` to a whole array. The path of a decision:
``ridges`` (tonal peaks of every frame) -> ``tracks`` (peaks linked) -> ``sweeps`` and ``rhythm``
(rules, each a list of findings with a score) -> ``decisions`` (half-second cells, hysteresis,
windows) -> ``events`` (merged and described).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anc_core.emergency.base import EmergencyDetector

if TYPE_CHECKING:
    from anc_core.emergency.detect import detect
    from anc_core.emergency.detector import AlarmDetector

__all__ = ["AlarmDetector", "EmergencyDetector", "detect"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562: the type is that of the named thing
    # The rules bring compiled kernels with them: only who detects pays for loading them.
    if name == "AlarmDetector":
        from anc_core.emergency.detector import AlarmDetector

        return AlarmDetector
    if name == "detect":
        from anc_core.emergency.detect import detect

        return detect
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
