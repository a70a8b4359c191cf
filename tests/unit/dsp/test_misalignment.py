import numpy as np
import pytest

from anc_core.dsp.misalignment import misalignment_db
from anc_core.errors import InputError


def test_misalignment_counts_what_one_of_both_lacks():
    assert misalignment_db([1.0, 0.0], [1.0]) is None
    assert misalignment_db([1.0], [1.0, 1.0]) == pytest.approx(10 * np.log10(0.5))
    with pytest.raises(InputError, match="0 throughout"):
        misalignment_db([1.0], [0.0])
    with pytest.raises(InputError, match="same pairs"):
        misalignment_db([1.0], [[[1.0]]])
