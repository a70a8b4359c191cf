"""What a worker loads before its first recording, while its parent still looks for recordings."""

from __future__ import annotations

import numpy as np

_RATE_HZ = 16_000


def get_ready() -> None:
    """Load code, kernels and weights: a second that the first recording need not wait for."""
    from anc_core import detect, suppress
    from anc_core.jobs import batch  # noqa: F401 - the rest of what a shard needs, but its store
    from anc_core.pipeline import recording  # noqa: F401

    noise = np.random.default_rng(0).normal(0.0, 0.01, _RATE_HZ)
    suppress(noise, _RATE_HZ)
    detect(noise, _RATE_HZ)
