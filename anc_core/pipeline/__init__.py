"""The pipeline: one recording from file to file, with everything measured on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anc_core.pipeline.recording import process_recording

__all__ = ["process_recording"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is that of the name asked for
    """Import the pipeline when it is first used: its sub-modules serve without it."""
    if name != "process_recording":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from anc_core.pipeline.recording import process_recording

    return process_recording
