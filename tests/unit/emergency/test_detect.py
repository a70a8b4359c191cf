from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.detect import detect
from anc_core.errors import InputError
from anc_core.records import Detection


@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (1, 2), (100,), (400, 2)])
def test_tiny_arrays_have_no_alarm(shape):
    assert detect(np.zeros(shape, np.float32), 16_000) == Detection()


def test_one_column_is_the_same_as_none():
    audio = np.random.default_rng(1).normal(0, 0.1, 50_000).astype(np.float32)
    assert detect(audio, 16_000) == detect(audio[:, np.newaxis], 16_000)


def test_input_is_not_modified():
    audio = np.array([np.nan, 1e9, 0.1] * 10_000, np.float32)
    before = audio.copy()
    detect(audio, 16_000)
    np.testing.assert_array_equal(audio, before)


def test_integers_are_refused_because_their_full_scale_is_unknown():
    with pytest.raises(InputError, match="dtype"):
        detect(np.zeros(100, np.int16), 16_000)
