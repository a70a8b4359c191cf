"""How far an estimated path is from the true one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import energy_ratio_db
from anc_core.dsp.paths import check_path
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def misalignment_db(estimate: ArrayLike, true_path: ArrayLike) -> float | None:
    """Return 20·log10(|estimate - true| / |true|); the shorter one is padded with zeros.

    None where they are equal. Paths of one or of several channels.

    Raises
    ------
    InputError
        If ``true_path`` is 0 throughout or has another number of channels.

    Examples
    --------
    >>> misalignment_db([1.0, 0.1], [1.0])
    -20.0
    """
    first, true = check_path(estimate, "estimate"), check_path(true_path, "true_path")
    if first.shape[:-1] != true.shape[:-1]:
        msg = f"estimate has shape {first.shape}, true_path {true.shape}; both need the same pairs"
        raise InputError(msg)
    if not true.any():
        msg = "true_path is 0 throughout; nothing can be compared with it"
        raise InputError(msg)
    difference = np.zeros((*true.shape[:-1], max(first.shape[-1], true.shape[-1])))
    difference[..., : first.shape[-1]] = first
    difference[..., : true.shape[-1]] -= true
    return energy_ratio_db(difference, true)
