from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.rank_kernels import ranked


def of_rank(values: np.ndarray, rank: int) -> np.ndarray:
    out = np.empty(len(values), np.float32)
    ranked(values, rank, out)
    return out


@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 32), (100, 33), (576, 256)])
@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 1.0])
def test_the_value_of_a_rank_is_that_of_sorting(shape, share):
    rng = np.random.default_rng(1)
    values = (rng.standard_normal(shape) * 10.0 ** rng.uniform(-20, 20, shape)).astype(np.float32)
    rank = int(share * (shape[1] - 1))
    np.testing.assert_array_equal(of_rank(values, rank), np.sort(values, axis=1)[:, rank])


def test_equal_values_zeros_and_infinities_are_ordinary():
    values = np.array([[2, 2, 2, 2], [0, -1, 0, 0], [np.inf, -np.inf, 1, 3]], np.float32)
    for rank in range(4):
        np.testing.assert_array_equal(of_rank(values, rank), np.sort(values, axis=1)[:, rank])


def test_the_values_stay_as_they_are():
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    before = values.copy()
    of_rank(values, 2)
    np.testing.assert_array_equal(values, before)
