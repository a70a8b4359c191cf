from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.linked_gain import LinkedGain


def linked(*channels):
    shared = LinkedGain(1, 1)
    for gain, power in channels:
        shared.add(*(np.array([[value]], np.float32) for value in (gain, power)))
    return float(shared.result()[0, 0])


def test_the_louder_channel_has_its_weight():
    assert linked((0.2, 3.0), (1.0, 1.0)) == pytest.approx((0.2 * 3 + 1.0) / 4)


def test_a_silent_channel_has_no_say_and_silence_passes():
    assert linked((0.2, 3.0), (1.0, 0.0)) == pytest.approx(0.2)
    assert linked((0.5, 0.0), (0.1, 0.0)) == 1.0


def test_nothing_is_raised_by_rounding():
    rng = np.random.default_rng(1)
    shared = LinkedGain(50, 40)
    for _ in range(7):
        shared.add(np.ones((50, 40), np.float32), rng.exponential(1e8, (50, 40)).astype(np.float32))
    assert shared.result().max() == 1.0
