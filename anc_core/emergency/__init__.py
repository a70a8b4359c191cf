"""Emergency sounds: recognised by rhythm and sweep, never cancelled.

:class:`AlarmDetector` listens to a stream, :func:`anc_core.emergency.detect.detect` to a whole
array (not repeated here: a module and a function of one name would hide each other).

The path of a decision: ``ridges`` (tonal peaks of every frame) -> ``tracks`` (peaks linked) ->
``sweeps`` and ``rhythm`` (rules; each returns findings with a score) -> ``scorer`` (the learned
head) -> ``yelps`` (where the head hears something: paths too weak for tracks) -> ``decisions``
(half-second cells, hysteresis, windows) -> ``events`` (merged and described).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anc_core.emergency.base import EmergencyDetector

if TYPE_CHECKING:
    from anc_core.emergency.detector import AlarmDetector

__all__ = ["AlarmDetector", "EmergencyDetector"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562: the type is that of the named thing
    # The rules bring compiled kernels with them: only who detects pays for loading them.
    if name == "AlarmDetector":
        from anc_core.emergency.detector import AlarmDetector

        return AlarmDetector
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
