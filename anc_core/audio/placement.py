"""Put a reference beside its primary: at its rate, by its clock, in its place.

A canceller's filter is causal: it foresees the primary from what the reference heard before. So a
reference that comes late has to be moved, one that comes a little early need not be. But where it
comes late by less than the sound takes across a device, it is the wanted voice that was heard
there, a little later and fainter: moved ahead, the reference would foretell the voice, and the
canceller would take it away. Such a reference stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from anc_core.arrays import Chunk
from anc_core.audio.resample import StreamResampler
from anc_core.dsp.delay_search import Alignment

_SAME_DEVICE_S = 0.02
"""A reference that is late by less hears another source than the noise: 7 m of air."""

_COVERED = 0.25
"""Share of the filter within which the noise may begin without harm."""

_LEAD_S = 0.002
"""Delay that a moved reference keeps: its strongest echo need not be its first."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How a reference is moved.

    Attributes
    ----------
    shift : int
        Samples of the primary's rate by which it is delayed; negative: its beginning is cut off.
    drift_ppm : float
        How much too fast its clock is.
    """

    shift: int = 0
    drift_ppm: float = 0.0


def placement_for(alignment: Alignment, sample_rate: float, num_taps: int) -> Placement:
    """Return what a canceller with filters of ``num_taps`` needs.

    Parameters
    ----------
    alignment : Alignment
        What a search found.
    sample_rate : float
        Hz, of the primary.
    num_taps : int
    """
    if not alignment.is_found:
        return Placement()
    # The delay grows by `drift_ppm` where the reference's clock is too slow by it.
    drift_ppm = -alignment.drift_ppm
    covered_s = _COVERED * num_taps / sample_rate
    if -_SAME_DEVICE_S <= alignment.delay_s <= covered_s:
        return Placement(0, drift_ppm)
    lead_s = min(_LEAD_S, covered_s)
    return Placement(round((alignment.delay_s - lead_s) * sample_rate), drift_ppm)


def placed(
    chunks: Iterable[Chunk],
    placement: Placement,
    *,
    source_rate: int,
    target_rate: int,
    num_channels: int,
) -> Iterator[Chunk]:
    """Yield a reference as its primary's canceller wants it.

    Parameters
    ----------
    chunks : iterable of Chunk
        The reference, (n, num_channels) each.
    placement : Placement
    source_rate, target_rate : int
        Hz, of the reference and of the primary.
    num_channels : int
        Columns of each chunk.
    """
    resampler = StreamResampler(
        source_rate, target_rate, num_channels, drift_ppm=placement.drift_ppm
    )
    if placement.shift > 0:
        yield np.zeros((placement.shift, num_channels), np.float32)
    to_drop = max(0, -placement.shift)
    for chunk in _resampled(chunks, resampler):
        dropped = min(to_drop, len(chunk))
        to_drop -= dropped
        yield chunk[dropped:]


def _resampled(chunks: Iterable[Chunk], resampler: StreamResampler) -> Iterator[Chunk]:
    for chunk in chunks:
        yield resampler.process(chunk)
    yield resampler.flush()
