from __future__ import annotations

import sys

import numpy as np
import pytest

import anc_core.processors
from anc_core.processors import aligned


class Delay:
    """A pure delay; holds everything back until it has ten samples."""

    def __init__(self, latency, num_channels=1):
        self.latency = latency
        self.num_channels = num_channels
        self.reset()

    def process(self, chunk):
        self.waiting = np.concatenate([self.waiting, chunk])
        ready = len(self.waiting) // 10 * 10
        output, self.waiting = self.waiting[:ready], self.waiting[ready:]
        return output

    def flush(self):
        rest = self.waiting
        self.reset()
        return rest

    def reset(self):
        self.waiting = np.zeros((self.latency, self.num_channels), np.float32)


@pytest.mark.parametrize("latency", [0, 1, 10, 57])
@pytest.mark.parametrize("num_samples", [0, 1, 9, 100])
def test_delay_is_taken_away(latency, num_samples):
    signal = np.arange(1, num_samples + 1, dtype=np.float32)[:, np.newaxis]
    chunks = [signal[:3], signal[3:3], signal[3:40], signal[40:]]
    outputs = list(aligned(chunks, Delay(latency)))
    np.testing.assert_array_equal(np.concatenate([signal[:0], *outputs]), signal)
    assert all(len(output) for output in outputs)


def test_name_is_the_function_even_after_its_module_was_imported():
    assert "anc_core.processors.aligned" in sys.modules
    assert callable(anc_core.processors.aligned)
