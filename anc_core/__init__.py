"""The pure core: noise out, alarms untouched, everything measured; it knows nothing of Prefect.

>>> import numpy as np
>>> from anc_core import suppress
>>> suppress(np.zeros(16_000, np.float32), 16_000).shape
(16000,)

Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.lazy import lazy_names

if TYPE_CHECKING:
    from anc_core.api import cancel, cancel_tones, suppress
    from anc_core.causality import causality_curve
    from anc_core.dsp.filter_bank_design import build_filter_bank
    from anc_core.pipeline import process_recording
    from anc_core.recognition import detect, load_classifier
    from anc_core.settings import Settings
    from anc_core.simulation import simulate_anc
    from anc_core.version import __version__

_HOME_OF = {
    "Settings": "settings",
    "__version__": "version",
    "build_filter_bank": "dsp.filter_bank_design",
    "cancel": "api",
    "cancel_tones": "api",
    "causality_curve": "causality",
    "detect": "recognition",
    "load_classifier": "recognition",
    "process_recording": "pipeline",
    "simulate_anc": "simulation",
    "suppress": "api",
}

__all__ = [
    "Settings",
    "__version__",
    "build_filter_bank",
    "cancel",
    "cancel_tones",
    "causality_curve",
    "detect",
    "load_classifier",
    "process_recording",
    "simulate_anc",
    "suppress",
]

__getattr__ = lazy_names(__name__, _HOME_OF)
