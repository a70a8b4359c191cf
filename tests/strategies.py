"""Hypothesis strategies: streams of samples, their splits, and processors of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from anc_core.arrays import Chunk
from anc_core.emergency import AlarmDetector
from anc_core.presets import SuppressionParameters
from anc_core.processors import (
    Chain,
    EmergencyGuard,
    FixedIntervals,
    Processor,
    ReferenceCanceller,
    Suppressor,
    aligned,
)


class SelfReferenced:
    """A ReferenceCanceller as a Processor: its reference is channel 0 of 9 samples ago."""

    delay = 9

    def __init__(self, sample_rate: int, num_channels: int, **parameters: Any) -> None:
        self._canceller = ReferenceCanceller(sample_rate, num_channels, **parameters)
        self.num_channels = num_channels
        self.latency = self._canceller.latency
        self.reset()

    def process(self, chunk: Chunk) -> Chunk:
        heard = np.concatenate([self._heard, chunk[:, :1].astype(np.float32)])
        self._heard = heard[len(chunk) :]
        return self._canceller.process(chunk, heard[: len(chunk)])

    def flush(self) -> Chunk:
        rest = self._canceller.flush()
        self.reset()
        return rest

    def reset(self) -> None:
        self._canceller.reset()
        self._heard = np.zeros((self.delay, 1), np.float32)


GAINS = st.floats(-8, 4).map(lambda exponent: 10.0**exponent)
"""From far below the threshold of hearing to far above full scale."""

BROKEN_STRETCHES = st.lists(
    st.tuples(
        st.sampled_from([0.0, np.nan, np.inf, -np.inf]),
        st.integers(0, 15_000),
        st.integers(1, 900),
        st.booleans(),
    ),
    max_size=4,
)
"""Value, first sample, length, whether in the reference: for :func:`break_stretches`."""


def break_stretches(
    broken: Iterable[tuple[float, int, int, bool]], reference: Chunk, disturbance: Chunk
) -> None:
    """Write the broken stretches into the signals themselves."""
    for value, start, length, in_reference in broken:
        (reference if in_reference else disturbance)[start : start + length] = value


SAMPLE_RATES = (1_000, 7_999, 8_000, 16_000, 44_100)

KINDS: dict[str, Callable[[int, int], Processor]] = {
    "suppressor": Suppressor,
    "suppressor, spectral": lambda rate, width: Suppressor(rate, width, method="spectral"),
    "suppressor, no mix": lambda rate, width: Suppressor(
        rate, width, parameters=SuppressionParameters(do_no_harm=False)
    ),
    "suppressor, half strength": lambda rate, width: Suppressor(rate, width, strength=0.5),
    "suppressor, linked": lambda rate, width: Suppressor(rate, width, link_channels=True),
    "suppressor, bypassed": lambda rate, width: Suppressor(rate, width, strength=0.0),
    "canceller": lambda rate, width: SelfReferenced(rate, width, num_taps=33),
    "canceller, leaky": lambda rate, width: SelfReferenced(
        rate, width, algorithm="nlms", num_taps=8, leakage=1e-4
    ),
    "chain": lambda rate, width: Chain(
        [Suppressor(rate, width, max_attenuation_db=6.0), SelfReferenced(rate, width, num_taps=5)]
    ),
    "guard": lambda rate, width: EmergencyGuard(
        Suppressor(rate, width), FixedIntervals([(50, 300), (700, 701)]), sample_rate=rate
    ),
    "guard, ridges": lambda rate, width: EmergencyGuard(
        Suppressor(rate, width), AlarmDetector(rate, width, keep_ridges=True), sample_rate=rate
    ),
    "guard, late detector": lambda rate, width: EmergencyGuard(
        Suppressor(rate, width),
        FixedIntervals([(0, 1), (500, 2500)], latency=rate // 2),
        sample_rate=rate,
        fade_s=0.01,
    ),
}


def run(processor: Processor, chunks: Iterable[Chunk]) -> Chunk:
    """Return all that ``processor`` makes of ``chunks``, its delay included."""
    empty = np.zeros((0, processor.num_channels), np.float32)
    outputs = [processor.process(chunk) for chunk in chunks]
    return np.concatenate([empty, *outputs, processor.flush()])


def run_aligned(processor: Processor, chunks: Iterable[Chunk]) -> Chunk:
    """Return all that ``processor`` makes of ``chunks``, without its delay."""
    empty = np.zeros((0, processor.num_channels), np.float32)
    return np.concatenate([empty, *aligned(chunks, processor)])


@st.composite
def signals(draw: st.DrawFn, num_channels: int, max_samples: int = 6_000) -> Chunk:
    """Draw a stream that is ordinary in some stretches and hostile in others."""
    num_samples = draw(st.integers(0, 40) | st.integers(0, max_samples))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    signal = rng.normal(0.0, 0.1, (num_samples, num_channels))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, max(0, num_samples - 1)))
        stop = start + draw(st.sampled_from([1, 7, 300, num_samples]))
        column = draw(st.integers(0, num_channels - 1))
        part = signal[start:stop, column]
        hostile = {
            "silence": 0.0,
            "DC": 0.7,
            "clipped": np.sign(part),
            "tone": np.sin(0.3 * np.arange(len(part))),
            "near silence": part * 1e-7,
            "denormal": 1e-40,
            "tiny": 1e-30,
            "huge": part * 1e30,
            "largest": np.finfo(np.float32).max,
            "impulse": np.where(np.arange(len(part)) == 0, 1e4, part),
            "NaN": np.nan,
            "inf": np.inf,
            "-inf": -np.inf,
        }
        part[...] = hostile[draw(st.sampled_from(sorted(hostile)))]
    # Beyond float32 the cast at the door warns, and pytest makes an error of that.
    limit = np.finfo(np.float32).max
    finite = np.isfinite(signal)
    signal[finite] = np.clip(signal[finite], -limit, limit)
    return signal.astype(draw(st.sampled_from([np.float32, np.float64])))


@st.composite
def splits(draw: st.DrawFn, signal: Chunk) -> list[Chunk]:
    """Draw a way to cut ``signal`` into chunks, some of length 0 or 1."""
    lengths = st.sampled_from([0, 0, 1, 1, 2, 17, 255, 256, 257, 1000, 5000])
    chunks = []
    start = 0
    while start < len(signal):
        length = draw(lengths) if len(chunks) < 40 else len(signal)
        chunks.append(signal[start : start + length])
        start += length
    return chunks


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, int, Chunk]:
    """Draw a kind of processor, a rate and a signal for it."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    sample_rate = draw(st.sampled_from(SAMPLE_RATES))
    return kind, sample_rate, draw(signals(draw(st.integers(1, 3))))
