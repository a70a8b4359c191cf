from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.recent import Recent


@pytest.mark.parametrize("sizes", [[1] * 40, [7, 3, 7, 7, 1, 7, 7], [0, 5, 0, 7]])
def test_the_last_rows_are_those_of_the_whole_table(sizes):
    rows = np.arange(3.0 * sum(sizes)).reshape(-1, 3)
    first = -np.ones((7, 3))
    recent, whole, taken = Recent(first), first, 0
    for size in sizes:
        new = rows[taken : taken + size]
        taken += size
        whole = np.concatenate([whole, new])
        np.testing.assert_array_equal(recent.append(new), whole[-7:])
        np.testing.assert_array_equal(recent.last(7 + size), whole[-7 - size :])


def test_what_was_there_at_first_stays_as_it_is():
    first = np.zeros(4)
    Recent(first).append(np.ones(2))
    np.testing.assert_array_equal(first, 0.0)
