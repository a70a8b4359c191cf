"""Selective fixed filters as a formula: no kernel, no state, no guards."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter


def selective(reference, disturbance, filters, effects, secondary, *, hop, band_powers):
    """Return error, command and the filter chosen after each hop, one channel each.

    Parameters
    ----------
    reference, disturbance : (n,)
    filters : (1 + num_filters, num_taps)
        The first is none.
    effects : (1 + num_filters, num_bands)
    secondary : (path_taps,)
    hop : int
        Segments have two hops; seven of them count.
    band_powers : callable
        Segment -> powers.
    """
    padded = np.concatenate([np.zeros(2 * hop), reference])
    outputs = np.array([lfilter(taps, 1, reference) for taps in filters])
    command = np.zeros(len(reference))
    heard, chosen, present = [], [], 0
    for start in range(0, len(reference), hop):
        stop = min(start + hop, len(reference))
        coming = chosen[-1] if chosen else 0
        fade = np.arange(stop - start) / hop
        command[start:stop] = (1 - fade) * outputs[present, start:stop]
        command[start:stop] += fade * outputs[coming, start:stop]
        present = coming
        if stop - start < hop:
            break
        heard.append(band_powers(padded[start + hop : start + 3 * hop]))
        last = np.array(heard[-7:])  # none of them silent
        totals = last.sum(axis=1)
        loud = np.median(totals)
        left = effects @ sum(
            p * min(1, loud / total) for p, total in zip(last, totals, strict=True)
        )
        best = int(np.argmin(left))
        chosen.append(best if left[best] < 10**-0.05 * left[coming] else coming)
    error = disturbance + lfilter(secondary, 1, command)
    return error, command, chosen
