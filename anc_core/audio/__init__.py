"""The file edge: recordings in, recordings out, always as float32 chunks.

Reading, :func:`open_reader`; writing, :func:`open_writer`, complete or not at all; which format an
output gets, :func:`output_format`; chunk sizes, :func:`chunk_size_for`; other sample rates,
:class:`StreamResampler`. The synthesiser of test signals is :mod:`anc_core.audio.synth`.

Names are loaded on first use (PEP 562): importing this package imports no libsndfile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.lazy import lazy_names

if TYPE_CHECKING:
    from anc_core.audio.chunks import chunk_size_for, rechunk
    from anc_core.audio.formats import (
        AudioFormat,
        expected_suffix,
        length_tolerance,
        output_format,
        output_suffix,
    )
    from anc_core.audio.reader import AudioReader, open_reader
    from anc_core.audio.resample import StreamResampler
    from anc_core.audio.tags import Tags
    from anc_core.audio.writer import AudioWriter, open_writer

_HOMES = {
    "chunks": ("chunk_size_for", "rechunk"),
    "formats": (
        "AudioFormat",
        "expected_suffix",
        "length_tolerance",
        "output_format",
        "output_suffix",
    ),
    "reader": ("AudioReader", "open_reader"),
    "resample": ("StreamResampler",),
    "tags": ("Tags",),
    "writer": ("AudioWriter", "open_writer"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AudioFormat",
    "AudioReader",
    "AudioWriter",
    "StreamResampler",
    "Tags",
    "chunk_size_for",
    "expected_suffix",
    "length_tolerance",
    "open_reader",
    "open_writer",
    "output_format",
    "output_suffix",
    "rechunk",
]

__getattr__ = lazy_names(__name__, _HOME_OF)
