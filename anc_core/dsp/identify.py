"""Measure an acoustic path before control begins: from what was played and what was recorded.

A sweep is the better signal where a loudspeaker distorts or the room is noisy: all its energy is in
one frequency at a time, and distortion falls out of the result. Noise is the better one where the
controller's own hardware plays it or where a tone would disturb. Both end in the same question,
which num_taps explain the recording best; :mod:`anc_core.dsp.path_solvers` answers it.

References
----------
A. Farina, Simultaneous measurement of impulse response and distortion with a swept-sine technique,
AES 108th Convention, 2000, Preprint 5093.
S. Haykin, Adaptive Filter Theory, 4th ed., 2002, Sec. 8.2 (least squares, covariance windowing).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.exponential_sweep import ExponentialSweep, exponential_sweep
from anc_core.dsp.levels import energy_ratio_db
from anc_core.dsp.misalignment import misalignment_db
from anc_core.dsp.path_solvers import deconvolved_taps, least_squares_taps, nlms_taps
from anc_core.dsp.paths import MAX_NUM_CHANNELS, check_num_taps, check_path
from anc_core.errors import InputError

Signal = NDArray[np.float64]

HARMONICS = (2, 3, 4, 5)
"""Orders of distortion that are reported."""

_FEWEST_FRAMES = 16
"""Averages of the coherence, at the least: 1/16 of what is not coherent looks as if it were."""


_SOLVERS = {"least-squares": least_squares_taps, "adaptive": nlms_taps}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedPath:
    """A measured path and how far it can be trusted.

    Attributes
    ----------
    taps : float64, shape (num_taps,)
        Impulse response, first tap first; gain 1 = recorded as loud as played.
    frequency_hz, coherence : float64, shape (num_bins,)
        Magnitude-squared coherence of played and recorded, 0 to 1: the share of the recording
        that any linear path can explain. No filter can cancel more than -10·log10(1 - coherence).
    residual_db : float or None
        Energy of what the taps leave unexplained over that of the recording; None = nothing.
    misalignment_db : float or None
        20·log10(|taps - true| / |true|) where the true path was given.
    harmonics_db : dict of int to float
        Sweeps only: energy of the distortion of each order over the linear part's, noise included.
    """

    taps: Signal
    frequency_hz: Signal
    coherence: Signal
    residual_db: float | None
    misalignment_db: float | None
    harmonics_db: dict[int, float]


def identify_by_sweep(
    sweep: ExponentialSweep,
    recorded: ArrayLike,
    *,
    num_taps: int,
    true_path: ArrayLike | None = None,
) -> IdentifiedPath:
    """Return the path from what was recorded while ``sweep`` was played.

    Parameters
    ----------
    sweep : ExponentialSweep
        What was played; the recording begins with its first sample.
    recorded : array_like, shape (num_samples,)
        At least as long as ``sweep.signal``; what comes later is ignored.
    num_taps : int
        Length of the path, its delay included.
    true_path : array_like, shape (.,), optional
        Where it is known (simulation), the misalignment is measured.

    Raises
    ------
    InputError
        If the recording is silent, too short or not finite, or if the sweep is too short to keep
        the distortion apart from so many taps.

    Notes
    -----
    Division of the spectra turns the sweep into a band-limited impulse at time 0 and every order
    of distortion into one before it (Farina 2000); only what follows time 0 is used. Equation:
    :func:`anc_core.dsp.path_solvers.deconvolved_taps`.
    """
    num_taps = check_num_taps(num_taps)
    heard = _check_signal(recorded, "recorded", len(sweep.signal))
    _refuse_silence(heard, "recorded")
    return _by_sweep(sweep, heard, num_taps, true_path)


def _by_sweep(
    sweep: ExponentialSweep, heard: Signal, num_taps: int, true_path: ArrayLike | None
) -> IdentifiedPath:
    shortest = sweep.lead_of(HARMONICS[0])
    if num_taps > shortest:
        msg = (
            f"num_taps is {num_taps}, but distortion comes only {shortest:.0f} samples before the "
            f"path; make the sweep {num_taps / shortest:.1f} times as long"
        )
        raise InputError(msg)
    signal = sweep.signal
    heard = heard[: len(signal)]
    taps, quotient = deconvolved_taps(signal, heard, num_taps)
    judged = _judged(signal, heard, taps, sample_rate=sweep.sample_rate, true_path=true_path)
    return replace(judged, harmonics_db=_harmonics_db(sweep, quotient, num_taps))


def _harmonics_db(sweep: ExponentialSweep, quotient: Signal, num_taps: int) -> dict[int, float]:
    linear = float(np.sum(quotient[:num_taps] ** 2))
    levels: dict[int, float] = {}
    for order in HARMONICS:
        first = math.floor(sweep.lead_of(order))
        room = math.floor(sweep.lead_of(order) - sweep.lead_of(order - 1))
        start = len(quotient) - first
        energy = float(np.sum(quotient[start : start + min(room, num_taps)] ** 2))
        if energy > 0.0 and linear > 0.0:
            levels[order] = 10.0 * math.log10(energy / linear)
    return levels


def identify_by_noise(
    excitation: ArrayLike,
    recorded: ArrayLike,
    *,
    sample_rate: float,
    num_taps: int,
    method: str = "least-squares",
    true_path: ArrayLike | None = None,
) -> IdentifiedPath:
    """Return the path from any broadband excitation, best white noise, and its recording.

    Parameters
    ----------
    excitation, recorded : array_like, shape (num_samples,)
        Played and recorded at the same time. A longer one is cut; what was played before the
        first sample does not matter.
    sample_rate : float
        Hz.
    num_taps : int
        Length of the path, its delay included; at least twice as many samples are needed.
    method : {"least-squares", "adaptive"}
        The taps that leave the least energy over the whole recording; or an NLMS filter that runs
        over it, as a controller would do it, for paths that drift: it ends near the last state.
    true_path : array_like, optional
        Where it is known (simulation), the misalignment is measured.

    Raises
    ------
    InputError
        If a signal is silent, too short or not finite, or a parameter breaks its rule.

    Notes
    -----
    Least squares: minimises Σ_n (y(n) - Σ_k h(k)·x(n-k))² over n >= num_taps - 1 (covariance
    windowing), so that nothing is assumed about what came before or comes after. With noise of
    relative power q in the recording the misalignment is 10·log10(q·num_taps/num_samples).
    """
    num_taps = check_num_taps(num_taps)
    rate = check_sample_rate(sample_rate)
    if method not in _SOLVERS:
        msg = f"method is {method!r}; choose one of {', '.join(_SOLVERS)}"
        raise InputError(msg)
    played = _check_signal(excitation, "excitation", 2 * num_taps)
    heard = _check_signal(recorded, "recorded", 2 * num_taps)
    _refuse_silence(played, "excitation")
    _refuse_silence(heard, "recorded")
    num_samples = min(len(played), len(heard))
    played, heard = played[:num_samples], heard[:num_samples]
    taps = _SOLVERS[method](played, heard, num_taps)
    return _judged(played, heard, taps, sample_rate=rate, true_path=true_path)


# ----------------------------------------------------------------------------- several channels


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedPaths:
    """All pairs of a multi-channel path.

    Attributes
    ----------
    taps : float64, shape (num_mics, num_sources, num_taps)
    pairs : tuple of tuples
        ``pairs[m][k]``: the :class:`IdentifiedPath` from source k to microphone m.
    """

    taps: Signal
    pairs: tuple[tuple[IdentifiedPath, ...], ...]


def identify_each(
    play: Callable[[Signal], ArrayLike],
    *,
    sample_rate: float,
    num_sources: int,
    num_taps: int,
    method: str = "sweep",
    duration_s: float = 5.0,
    amplitude: float = 0.5,
    seed: int = 0,
    true_path: ArrayLike | None = None,
) -> IdentifiedPaths:
    """Measure the paths from several sources, one source after the other.

    Parameters
    ----------
    play : callable
        Plays its argument, shape (num_samples, num_sources), all columns but one silent, and
        returns what the microphones recorded meanwhile, shape (num_samples, num_mics).
    sample_rate : float
        Hz.
    num_sources, num_taps : int
    method : {"sweep", "noise"}
        :func:`identify_by_sweep`, or :func:`identify_by_noise` with uniform white noise.
    duration_s : float
        For each source; silence of the path's length follows.
    amplitude : float
        Peak, above 0 to 1.
    seed : int
        Of the noise.
    true_path : array_like, shape (num_mics, num_sources, .), optional

    Raises
    ------
    InputError
        As the two functions; also if ``play`` returns another shape. A pair may be silent, all
        pairs of a microphone may not.
    """
    rate = check_sample_rate(sample_rate)
    num_taps = check_num_taps(num_taps)
    if num_sources not in range(1, MAX_NUM_CHANNELS + 1):
        msg = f"num_sources is {num_sources}; it must be from 1 to {MAX_NUM_CHANNELS}"
        raise InputError(msg)
    if method not in {"sweep", "noise"}:
        msg = f"method is {method!r}; choose sweep or noise"
        raise InputError(msg)
    sweep = exponential_sweep(
        rate, duration_s=duration_s, amplitude=amplitude, silence_s=num_taps / rate
    )
    num_sounding = round(duration_s * rate)
    noise = np.zeros(len(sweep.signal))
    noise[:num_sounding] = np.random.default_rng(seed).uniform(-amplitude, amplitude, num_sounding)

    def identified(heard: Signal, known: Signal | None) -> IdentifiedPath:
        if method == "sweep":
            return _by_sweep(sweep, heard, num_taps, known)
        taps = least_squares_taps(noise, heard, num_taps)
        return _judged(noise, heard, taps, sample_rate=rate, true_path=known)

    signal = sweep.signal if method == "sweep" else noise
    true = None if true_path is None else _check_true(true_path, num_sources)
    columns = []
    for k in range(num_sources):
        played = np.zeros((len(signal), num_sources))
        played[:, k] = signal
        rows = _check_heard(play(played), len(signal), None if true is None else len(true))
        columns.append(
            [identified(row, None if true is None else true[m, k]) for m, row in enumerate(rows)]
        )
    if len({len(column) for column in columns}) > 1:
        msg = "play returned another number of microphones for another source"
        raise InputError(msg)
    pairs = tuple(zip(*columns, strict=True))
    for m, row in enumerate(pairs):
        _refuse_silence(np.array([pair.taps for pair in row]), f"microphone {m}")
    return IdentifiedPaths(
        taps=np.array([[pair.taps for pair in row] for row in pairs]), pairs=pairs
    )


def _check_heard(heard: ArrayLike, num_samples: int, num_mics: int | None) -> list[Signal]:
    columns = np.asarray(heard)
    if columns.ndim != 2 or not columns.shape[1] or num_mics not in {None, columns.shape[1]}:
        wanted = "num_mics" if num_mics is None else num_mics
        msg = f"play returned shape {columns.shape}; it must be ({num_samples}, {wanted})"
        raise InputError(msg)
    return [
        _check_signal(column, f"what microphone {m} recorded", num_samples)[:num_samples]
        for m, column in enumerate(columns.T)
    ]


def _check_true(path: ArrayLike, num_sources: int) -> Signal:
    true = check_path(path, "true_path")
    if true.ndim != 3 or true.shape[1] != num_sources:
        msg = f"true_path has shape {true.shape}; it must be (num_mics, {num_sources}, num_taps)"
        raise InputError(msg)
    return true


# ----------------------------------------------------------------------------- common


def _judged(
    played: Signal,
    heard: Signal,
    taps: Signal,
    *,
    sample_rate: int,
    true_path: ArrayLike | None,
) -> IdentifiedPath:
    from scipy.signal import coherence, oaconvolve

    num_taps = len(taps)
    answer = oaconvolve(played, taps)[: len(heard)]
    # Before the first num_taps samples something may have sounded that is not known here.
    settled = slice(min(num_taps - 1, len(heard) - 1), None)
    frame_length = _frame_length(len(heard), num_taps)
    with np.errstate(invalid="ignore", divide="ignore"):
        frequency, shared = coherence(played, heard, fs=sample_rate, nperseg=frame_length)
    misalignment = None
    if true_path is not None:
        misalignment = misalignment_db(taps, true_path)
    return IdentifiedPath(
        taps=taps,
        frequency_hz=frequency,
        # Where neither sounded, the quotient is 0/0: nothing is shared there.
        coherence=np.clip(np.nan_to_num(shared), 0.0, 1.0),
        residual_db=energy_ratio_db((heard - answer)[settled], heard[settled]),
        misalignment_db=misalignment,
        harmonics_db={},
    )


def _frame_length(num_samples: int, num_taps: int) -> int:
    """Return a power of two, up to 16 times the path if the recording holds 16 half-overlapping.

    The longer a frame is, the smaller the share of an answer that falls into the next one and
    counts as not coherent.
    """
    wanted = 16 * num_taps
    allowed = 2 * num_samples // (_FEWEST_FRAMES + 1)
    return 1 << (max(min(wanted, allowed), 8).bit_length() - 1)


def _check_signal(signal: ArrayLike, name: str, fewest: int) -> Signal:
    samples = np.asarray(signal)
    if samples.ndim != 1 or samples.dtype.kind not in "fiu":
        msg = (
            f"{name} has shape {samples.shape} and dtype {samples.dtype}; it must be real and "
            "one-dimensional, one source or microphone at a time"
        )
        raise InputError(msg)
    if len(samples) < fewest:
        msg = f"{name} has {len(samples)} samples; at least {fewest} are needed: record longer"
        raise InputError(msg)
    samples = samples.astype(np.float64)
    if not np.isfinite(samples).all():
        where = int(np.argmax(~np.isfinite(samples)))
        msg = f"{name} has {samples[where]} at sample {where}; it must be finite"
        raise InputError(msg)
    return samples


def _refuse_silence(samples: Signal, name: str) -> None:
    if not samples.any():
        msg = f"{name} is silent; check what is connected"
        raise InputError(msg)
