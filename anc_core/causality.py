"""What delay costs: the attenuation that is still in reach when the anti-noise comes later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import as_columns
from anc_core.dsp.finite import tame
from anc_core.dsp.paths import as_matrix, check_same_mics
from anc_core.dsp.wiener import CausalityMargin, causality_margin, lead_samples
from anc_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_MAX_DEFAULT_TAPS = 2_048
_NUM_STEPS = 40
_LEADS_SHOWN = 3
"""The default curve goes on well beyond its knee, which lies near one lead."""
_LEAST_LEAD = 16


def causality_curve(
    noise: NDArray[Any],
    sample_rate: float,
    primary_path: ArrayLike,
    secondary_path: ArrayLike,
    *,
    num_taps: int | None = None,
    extra_delays: Sequence[int] | None = None,
) -> CausalityMargin:
    """Return the attenuation of the best causal filter against extra delay of the anti-noise.

    Parameters
    ----------
    noise : floating point, shape (n,) or (n, J)
        What the J reference microphones pick up; non-finite samples count as 0.
    sample_rate : float
        Hz, 1 000 to 768 000; of noise and paths.
    primary_path : array_like, shape (path_taps,) or (M, J, path_taps)
    secondary_path : array_like, shape (path_taps,) or (M, K, path_taps)
    num_taps : int, optional
        Of each control filter; by default as many as the primary path has, 2048 at most.
        ``num_taps * K * J`` up to 32768 for one filter, 8192 for several.
    extra_delays : sequence of int, optional
        Samples >= 0 that are added to the secondary path: converters, buffers, distance. By
        default about 40 delays, up to three times the lead that the anti-noise has.

    Returns
    -------
    CausalityMargin
        ``attenuation_db`` for ``delays_samples`` (``delays_s``); ``margin_samples()``, the delay
        that costs 3 dB; ``knee_samples``, where the curve falls most steeply; ``lead_samples``,
        peak(primary) - peak(secondary).

    Raises
    ------
    InputError
        If a shape, a type or a parameter breaks its rule, or the paths do not belong together.

    Notes
    -----
    The correlations of the noise are computed once for all delays, each delay is one system of
    equations (see :func:`anc_core.dsp.wiener.causality_margin`).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=20_000)
    >>> curve = causality_curve(noise, 8_000, [0, 0, 0, 0, 1.0], [0, 1.0], extra_delays=[2, 3, 4])
    >>> curve.lead_samples, curve.knee_samples
    (3, 3.5)
    """
    columns = as_columns(noise)
    if not len(columns):
        raise InputError("noise is empty; give at least one sample")
    primary = as_matrix(primary_path, "primary_path")
    secondary = as_matrix(secondary_path, "secondary_path")
    check_same_mics(primary, secondary)
    if extra_delays is None:
        extra_delays = _default_delays(lead_samples(primary, secondary))
    return causality_margin(
        np.ascontiguousarray(tame(columns).T),
        int(sample_rate),
        primary,
        secondary,
        num_taps or min(primary.shape[2], _MAX_DEFAULT_TAPS),
        extra_delays,
    )


def _default_delays(lead: int) -> range:
    last = _LEADS_SHOWN * max(lead, _LEAST_LEAD)
    return range(0, last + 1, -(-last // _NUM_STEPS))
