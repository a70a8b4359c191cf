"""The pipeline: one recording from file to file, with everything measured on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.lazy import lazy_names

if TYPE_CHECKING:
    from anc_core.pipeline.recording import process_recording

__all__ = ["process_recording"]

__getattr__ = lazy_names(__name__, {"process_recording": "recording"})
