"""Which frames hold a click that no voice surrounds: keys, switches, drops, crackle.

A click and a plosive look alike in a frame. What tells them apart is the company: a plosive belongs
to a syllable, so its neighbourhood holds voiced sound, strong between 100 Hz and 1 kHz and longer
than a click. So a frame counts as a click where

- it is louder than the noise, and louder than what surrounds it on *both* sides within 60 ms or so;
- nowhere within some 0.25 s is there sound that lasts longer than a click, be it in the voice's
  band or in all.

A click inside a word is left alone, on purpose.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float32]

VOICE_BAND_HZ = (100.0, 1000.0)
CONTEXT_S = 0.25
"""How far from a click a voice would have to be: longer than the closure before a plosive, and the
lag of a syllable after it, but shorter than a pause between words."""

_REACH = 3
"""Frames on either side by which a click must have come and gone, at half-overlapping frames of
some 40 ms."""
_RISE = np.float32(10**1.0)
"""10 dB above both sides."""
_AUDIBLE = np.float32(10**1.2)
"""12 dB above the noise, as a mean over the band."""
_VOICED = np.float32(10**0.35)
"""3.5 dB above the noise, of all bins or of the voice's band, for longer than a click: somebody may
be speaking."""
_VOICED_FRAMES = 4
"""A click of 10 ms reaches three frames at most."""

_0 = np.float32(0.0)


@jit("void(float32[:, ::1], float32[:, ::1], int64, int64, float32[::1])")
def band_ratio(
    psd: FloatArray, noise: FloatArray, first_bin: int, end_bin: int, ratio: FloatArray
) -> None:
    """Write the mean of psd / noise over the bins ``first_bin`` to ``end_bin`` into ``ratio``.

    A mean of ratios: noise that is strong in a few bins does not hide a click in the others.
    ``psd`` and ``noise`` have shape (num_frames, num_bins), ``ratio`` (num_frames,).
    """
    for frame in range(psd.shape[0]):
        total = _0
        for k in range(first_bin, end_bin):
            total += min(psd[frame, k] / noise[frame, k], np.float32(1e9))
        ratio[frame] = total / np.float32(max(end_bin - first_bin, 1))


@jit("void(float32[::1], float32[::1], int64, int64, boolean[::1])")
def find_clicks(
    wide: FloatArray, voice: FloatArray, first: int, context: int, is_click: NDArray[np.bool_]
) -> None:
    """Tell for each frame from ``first`` on whether it is an isolated click.

    Parameters
    ----------
    wide, voice : float32, shape (num_known_frames,)
        Sound over noise, power ratio, of all bins and of the voice's band.
    first : int
        Frames of the past at the beginning of ``wide`` and ``voice``.
    context : int
        Frames on either side in which there must be no voice.
    is_click : bool, shape (num_frames,)
        Receives the answer for the frames ``first`` to ``first + num_frames``.
    """
    num_known = wide.shape[0]
    for number in range(is_click.shape[0]):
        frame = first + number
        is_click[number] = False
        if wide[frame] < _AUDIBLE:
            continue
        # Frames beyond the ends are unknown: the nearest known one stands for them.
        before = wide[frame]
        after = wide[frame]
        for step in range(1, _REACH + 1):
            before = min(before, wide[max(frame - step, 0)])
            after = min(after, wide[min(frame + step, num_known - 1)])
        if wide[frame] < _RISE * max(before, after):
            continue
        run = 0
        found = False
        for other in range(max(frame - context, 0), min(frame + context + 1, num_known)):
            run = run + 1 if max(wide[other], voice[other]) > _VOICED else 0
            found = found or run >= _VOICED_FRAMES
        is_click[number] = not found
