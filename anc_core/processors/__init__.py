"""Stages of the stream; each keeps the laws of ``processors.base``.

Imported on first use: the engines load compiled kernels, which ``anc --help`` should not pay for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.lazy import lazy_names

# At once, and cheap: it shares its name with its module, which would take its place later.
from anc_core.processors.aligned import aligned

if TYPE_CHECKING:
    from anc_core.processors.base import Processor
    from anc_core.processors.cancel import CancelResult, ReferenceCanceller
    from anc_core.processors.chain import Chain
    from anc_core.processors.harmless import ContentSummary, HarmlessMix
    from anc_core.processors.neural import NeuralSuppressor
    from anc_core.processors.protect import EmergencyGuard, FixedIntervals
    from anc_core.processors.simulate import AcousticSimulator, AncSimulation
    from anc_core.processors.spectral import SpectralSuppressor
    from anc_core.processors.suppress import Suppressor

__all__ = [
    "AcousticSimulator",
    "AncSimulation",
    "CancelResult",
    "Chain",
    "ContentSummary",
    "EmergencyGuard",
    "FixedIntervals",
    "HarmlessMix",
    "NeuralSuppressor",
    "Processor",
    "ReferenceCanceller",
    "SpectralSuppressor",
    "Suppressor",
    "aligned",
]

_MODULES = {
    "AcousticSimulator": "simulate",
    "AncSimulation": "simulate",
    "CancelResult": "cancel",
    "Chain": "chain",
    "ContentSummary": "harmless",
    "EmergencyGuard": "protect",
    "FixedIntervals": "protect",
    "HarmlessMix": "harmless",
    "NeuralSuppressor": "neural",
    "Processor": "base",
    "ReferenceCanceller": "cancel",
    "SpectralSuppressor": "spectral",
    "Suppressor": "suppress",
}

__getattr__ = lazy_names(__name__, _MODULES)
