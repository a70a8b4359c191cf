"""One call for one array: the processors without the stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import as_columns, check_sample_rate
from anc_core.dsp.finite import tame
from anc_core.processors import CancelResult, ReferenceCanceller, Suppressor, aligned

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from anc_core.dsp.adaptive_guard import GuardEvent


def suppress(
    audio: NDArray[Any],
    sample_rate: float,
    *,
    method: str = "auto",
    strength: float = 1.0,
    max_attenuation_db: float | None = None,
    link_channels: bool = False,
) -> NDArray[np.float32]:
    """Take the noise out of ``audio``.

    Parameters
    ----------
    audio : floating point, shape (n,) or (n, num_channels)
        Full scale +-1. Non-finite samples count as 0.
    sample_rate : float
        Hz, 1 000 to 768 000.
    method : {"auto", "neural", "spectral"}
        ``auto`` takes the neural engine where its weights load and the sample rate is 8 kHz or
        more, and the spectral one elsewhere.
    strength : float, default 1.0
        0 to 1: scales the gain in dB; 0 = the input bit for bit.
    max_attenuation_db : float, optional
        0 to 80: nothing is lowered by more. By default 18 for the spectral engine, 40 for the
        neural one.
    link_channels : bool, default False
        All channels get the same gain in each time-frequency cell: a stereo image stays where it
        is. Channels that hear different things are better off each by itself.

    Returns
    -------
    float32, shape of ``audio``
        As long as the input and not delayed.

    Raises
    ------
    InputError
        If the shape, the type or a parameter is not as above.
    ModelBundleError
        If ``method`` is ``"neural"`` and its weights are missing, changed or of another version.
    """
    columns = as_columns(audio)
    engine = Suppressor(
        sample_rate,
        columns.shape[1],
        method=method,
        strength=strength,
        max_attenuation_db=max_attenuation_db,
        link_channels=link_channels,
    )
    empty = np.zeros((0, columns.shape[1]), np.float32)
    return np.concatenate([empty, *aligned([columns], engine)]).reshape(np.shape(audio))


def cancel(
    primary: NDArray[Any],
    reference: NDArray[Any],
    sample_rate: float,
    *,
    algorithm: str = "kalman",
    num_taps: int | None = None,
    step_size: float | None = None,
    reference_rate: float | None = None,
    align: bool = True,
    max_delay_s: float = 1.0,
) -> CancelResult:
    """Cancel in ``primary`` the noise that ``reference`` picked up; a wanted voice is kept.

    Parameters
    ----------
    primary : floating point, shape (n,) or (n, num_channels)
        Full scale +-1. Non-finite samples count as 0, in both signals.
    reference : floating point, shape (m,) or (m, num_reference_channels)
        The noise, with as little of the voice as can be. Of any length: silent after its end.
    sample_rate : float
        Hz, 1 000 to 768 000; of ``primary``.
    algorithm : str
        One of :data:`anc_core.dsp.adaptive_filter.ALGORITHMS`.
    num_taps, step_size
        See :class:`~anc_core.processors.ReferenceCanceller`.
    reference_rate : float, optional
        Hz, of ``reference``, if it is another.
    align : bool, default True
        Find the delay of the reference and the drift of its clock, and correct them.
    max_delay_s : float, default 1.0
        Largest delay looked for, either way; at most 1.25 s.

    Returns
    -------
    CancelResult
        ``error_signal`` and ``anti_noise`` have the shape of ``primary``.

    Raises
    ------
    InputError
        If a shape, a type or a parameter is not as above.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)
    >>> heard = np.convolve(noise, [0.0, 0.5, -0.3])[: len(noise)].astype(np.float32)
    >>> cancel(heard, noise, 8_000).cancellation_db > 30
    True
    """
    from anc_core.audio.placement import Placement, placed, placement_for
    from anc_core.dsp.delay_search import find_delay
    from anc_core.processors.cancel import PRIMING_S

    noisy, heard = tame(as_columns(primary)), tame(as_columns(reference))
    rate = check_sample_rate(sample_rate)
    own_rate = rate if reference_rate is None else check_sample_rate(reference_rate)
    canceller = ReferenceCanceller(
        rate,
        noisy.shape[1],
        heard.shape[1],
        algorithm=algorithm,
        num_taps=num_taps,
        step_size=step_size,
    )

    def beside(placement: Placement) -> NDArray[np.float32]:
        chunks = placed(
            [heard],
            placement,
            source_rate=own_rate,
            target_rate=rate,
            num_channels=heard.shape[1],
        )
        column = np.concatenate([np.zeros((0, heard.shape[1]), np.float32), *chunks])
        missing = max(0, len(noisy) - len(column))
        return np.pad(column, ((0, missing), (0, 0)))[: len(noisy)]

    alignment = None
    noise = beside(Placement())
    if align:
        alignment = find_delay(noisy, noise, rate, max_delay_s=max_delay_s)
        noise = beside(placement_for(alignment, rate, canceller.num_taps))
    first = round(PRIMING_S * rate)
    canceller.learn_from(noisy[:first], noise[:first])
    output = np.concatenate([canceller.process(noisy, noise), canceller.flush()])
    shape = np.shape(primary)
    return CancelResult.of(
        noisy.reshape(shape),
        output[canceller.latency :].reshape(shape),
        alignment=alignment,
        events=canceller.drain_events(),
    )


def cancel_tones(
    audio: NDArray[Any],
    sample_rate: float,
    frequencies_hz: ArrayLike,
    *,
    bandwidth_hz: float = 2.0,
    drift_hz: float | None = None,
) -> CancelResult:
    """Cancel tones of about known frequency, as of engines, fans and mains; no reference is needed.

    Parameters
    ----------
    audio : floating point, shape (n,) or (n, num_channels)
        Full scale +-1. Non-finite samples count as 0.
    sample_rate : float
        Hz, 1 000 to 768 000.
    frequencies_hz : array_like, shape (num_tones,)
        Where the tones are to begin with, up to 64; each channel follows its own.
    bandwidth_hz, drift_hz
        See :class:`~anc_core.dsp.adaptive_notch.ToneNotch`.

    Returns
    -------
    CancelResult
        ``error_signal`` and ``anti_noise`` have the shape of ``audio``.

    Raises
    ------
    InputError
        If a shape, a type or a parameter is not as above.

    Examples
    --------
    >>> hum = np.sin(2 * np.pi * 50.4 * np.arange(16_000) / 8_000).astype(np.float32)
    >>> cancel_tones(hum, 8_000, [50.0], bandwidth_hz=5.0).cancellation_db > 10
    True
    """
    from anc_core.dsp.adaptive_notch import ToneNotch

    columns = tame(as_columns(audio))
    left = np.empty_like(columns)
    events: list[GuardEvent] = []
    for index, column in enumerate(columns.T):
        notch = ToneNotch(frequencies_hz, sample_rate, bandwidth_hz, drift_hz=drift_hz)
        left[:, index] = notch.process(column)
        events += notch.drain_events()
    return CancelResult.of(
        columns.reshape(np.shape(audio)), left.reshape(np.shape(audio)), events=tuple(events)
    )
