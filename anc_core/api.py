"""One call for one array: the processors without the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import as_columns
from anc_core.dsp.finite import tame
from anc_core.errors import InputError
from anc_core.processors import CancelResult, ReferenceCanceller, Suppressor, aligned

if TYPE_CHECKING:
    from numpy.typing import NDArray


def suppress(
    audio: NDArray[Any],
    sample_rate: float,
    *,
    method: str = "auto",
    strength: float = 1.0,
    max_attenuation_db: float | None = None,
) -> NDArray[np.float32]:
    """Take steady noise out of ``audio``.

    Parameters
    ----------
    audio : floating point, shape (n,) or (n, num_channels)
        Full scale +-1. Non-finite samples count as 0.
    sample_rate : float
        Hz, 1 000 to 768 000.
    method : {"auto", "spectral"}
        Both mean :class:`~anc_core.processors.Suppressor`.
    strength : float, default 1.0
        0 to 1: scales the gain in dB; 0 = the input bit for bit.
    max_attenuation_db : float, optional
        0 to 80, default 18: nothing is lowered by more.

    Returns
    -------
    float32, shape of ``audio``
        As long as the input and not delayed.

    Raises
    ------
    InputError
        If the shape, the type or a parameter is not as above.
    """
    columns = as_columns(audio)
    engine = Suppressor(
        sample_rate,
        columns.shape[1],
        method=method,
        strength=strength,
        max_attenuation_db=max_attenuation_db,
    )
    empty = np.zeros((0, columns.shape[1]), np.float32)
    return np.concatenate([empty, *aligned([columns], engine)]).reshape(np.shape(audio))


def cancel(
    primary: NDArray[Any],
    reference: NDArray[Any],
    sample_rate: float,
    *,
    algorithm: str = "nlms",
    num_taps: int = 256,
    step_size: float = 0.5,
) -> CancelResult:
    """Cancel in ``primary`` the noise that ``reference`` picked up at the same time.

    Parameters
    ----------
    primary : floating point, shape (n,) or (n, num_channels)
        Full scale +-1. Non-finite samples count as 0, in both signals.
    reference : floating point, shape (n,) or (n, num_reference_channels)
        As long as ``primary``.
    sample_rate : float
        Hz, 1 000 to 768 000.
    algorithm : {"nlms"}
        Normalised least mean squares.
    num_taps, step_size
        See :class:`~anc_core.processors.ReferenceCanceller`.

    Returns
    -------
    CancelResult
        ``error_signal`` and ``anti_noise`` have the shape of ``primary``.

    Raises
    ------
    InputError
        If lengths differ, or a shape, a type or a parameter is not as above.
    """
    if algorithm != "nlms":
        msg = f"algorithm {algorithm!r} is unknown; this version has 'nlms'"
        raise InputError(msg)
    noisy, heard = as_columns(primary), as_columns(reference)
    canceller = ReferenceCanceller(
        sample_rate, noisy.shape[1], heard.shape[1], num_taps=num_taps, step_size=step_size
    )
    error = canceller.process(noisy, heard)
    shape = np.shape(primary)
    return CancelResult.of(tame(noisy).reshape(shape), error.reshape(shape))
