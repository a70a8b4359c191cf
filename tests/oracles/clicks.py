"""What anc_core/dsp/clicks.py decides, as it is told in its first lines."""

from __future__ import annotations

import numpy as np


def find_clicks(wide, voice, first, context, num_frames):
    """Return for ``num_frames`` frames from ``first`` on whether each is a lone click."""
    last = len(wide) - 1
    found = []
    for t in range(first, first + num_frames):
        before = min(wide[max(t - step, 0)] for step in range(4))
        after = min(wide[min(t + step, last)] for step in range(4))
        stands_out = wide[t] >= 10**1.2 and wide[t] >= 10 * max(before, after)
        near = slice(max(t - context, 0), t + context + 1)
        sounding = np.maximum(wide[near], voice[near]) > 10**0.35
        runs = np.convolve(sounding, np.ones(4), "valid") if len(sounding) >= 4 else np.zeros(1)
        found.append(stands_out and not (runs == 4).any())
    return np.array(found, bool)
