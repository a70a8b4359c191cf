"""The pipeline: one recording from file to file, with everything measured on the way."""

from anc_core.pipeline.recording import process_recording

__all__ = ["process_recording"]
