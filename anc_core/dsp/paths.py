"""Acoustic paths as arrays: their rules, and changes that an experiment makes to them.

A path is an impulse response, first tap first, float64: shape (num_taps,) from one source to one
microphone, or (num_mics, num_sources, num_taps) for several; for a primary path the sources are
the references. Every function here takes either and treats each pair for itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.errors import InputError

Path = NDArray[np.float64]

MAX_NUM_TAPS = 65_536
"""1.4 s at 48 kHz: longer than any path that a filter could follow."""

MAX_NUM_CHANNELS = 64
"""Microphones or sources of one path."""

MAX_NUM_COEFFICIENTS = 1 << 23
"""All taps of all pairs: 64 MiB."""

MAX_TAP = 1e9
"""+180 dB: with it, and no more, a full-scale sample through the longest path fits float32."""

_HALF_WIDTH = 32
"""Taps of the fractional delay on each side: flat within 0.01 dB to 0.9 of Nyquist."""

_KAISER_BETA = 8.0
"""Kaiser & Schafer 1980: side lobes below -80 dB."""

_MAX_SHARE_CUT = 0.05
"""Share of a path's energy that may fall before time 0, -13 dB; beyond, it's another path."""

_WIDENING = 8
"""FFT length over path length where a response is turned in phase: its tails fall as 1/n."""


def check_path(path: ArrayLike, name: str = "path") -> Path:
    """Return ``path`` as a C-contiguous float64 array of its own.

    Parameters
    ----------
    path : array_like, shape (num_taps,) or (num_mics, num_sources, num_taps)
        Real numbers.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        If the shape, the type, a length or a value breaks its rule. Axes are never guessed.

    Examples
    --------
    >>> check_path([0, 1, 0.5]).shape
    (3,)
    """
    taps = _as_array(path, name)
    if taps.ndim not in {1, 3}:
        cure = "; add the axis of the sources: path[:, np.newaxis, :]" if taps.ndim == 2 else ""
        msg = (
            f"{name} has shape {taps.shape}; it must be (num_taps,) or "
            f"(num_mics, num_sources, num_taps){cure}"
        )
        raise InputError(msg)
    _check_lengths(taps.shape, name)
    taps = np.array(taps, dtype=np.float64, order="C")
    usable = np.abs(taps) <= MAX_TAP  # NaN compares as false
    if not usable.all():
        where = tuple(int(i) for i in np.argwhere(~usable)[0])
        msg = (
            f"{name} has {taps[where]} at tap {where[-1]}"
            + (f" of pair {where[:-1]}" if taps.ndim == 3 else "")
            + f"; taps must be finite and at most {MAX_TAP:g}: repair or scale the measurement"
        )
        raise InputError(msg)
    return taps


def as_matrix(path: ArrayLike, name: str = "path") -> Path:
    """Return ``path``, checked, in the shape (num_mics, num_sources, num_taps); one pair has one.

    Examples
    --------
    >>> as_matrix([0, 1, 0.5]).shape
    (1, 1, 3)
    """
    taps = check_path(path, name)
    return taps.reshape(1, 1, -1) if taps.ndim == 1 else taps


def check_same_mics(primary: Path, secondary: Path) -> None:
    """Raise :class:`InputError` unless both matrices end at as many error microphones."""
    if primary.shape[0] != secondary.shape[0]:
        msg = (
            f"primary_path ends at {primary.shape[0]} error microphones, "
            f"secondary_path at {secondary.shape[0]}; they must be the same"
        )
        raise InputError(msg)


def check_num_taps(num_taps: int, name: str = "num_taps") -> int:
    """Return ``num_taps`` (1 to :data:`MAX_NUM_TAPS`, whole), or raise :class:`InputError`."""
    if num_taps not in range(1, MAX_NUM_TAPS + 1):
        msg = f"{name} is {num_taps}; it must be a whole number from 1 to {MAX_NUM_TAPS}"
        raise InputError(msg)
    return int(num_taps)


def _as_array(path: ArrayLike, name: str) -> NDArray[Any]:
    try:
        taps = np.asarray(path)
    except ValueError as err:  # lists of unequal lengths
        msg = f"{name} is no array of numbers ({err}); every pair needs as many taps"
        raise InputError(msg) from err
    if taps.dtype.kind not in "fiu":
        msg = f"{name} has dtype {taps.dtype}; it must hold real numbers, such as float64"
        raise InputError(msg)
    return taps


def _check_lengths(shape: tuple[int, ...], name: str) -> None:
    if not 1 <= shape[-1] <= MAX_NUM_TAPS:
        msg = f"{name} has {shape[-1]} taps; it must have 1 to {MAX_NUM_TAPS}"
        raise InputError(msg + (": cut its end off" if shape[-1] else ""))
    if not all(1 <= count <= MAX_NUM_CHANNELS for count in shape[:-1]):
        msg = (
            f"{name} has shape {shape}; it must have 1 to {MAX_NUM_CHANNELS} microphones and "
            "sources, the taps on the last axis"
        )
        raise InputError(msg)
    if math.prod(shape) > MAX_NUM_COEFFICIENTS:
        msg = (
            f"{name} has shape {shape}, {math.prod(shape)} taps together; at most "
            f"{MAX_NUM_COEFFICIENTS} are allowed: shorten it"
        )
        raise InputError(msg)


# ----------------------------------------------------------------------------- length and delay


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedPath:
    """What :func:`truncated` made of a path.

    Attributes
    ----------
    taps : float64, shape (..., num_taps)
    lost_db : float or None
        Energy that was cut off over the energy of the whole, dB; None where nothing was.
    """

    taps: Path
    lost_db: float | None


def truncated(path: ArrayLike, num_taps: int) -> TruncatedPath:
    """Return the first ``num_taps`` of ``path``, zeros appended where it is shorter.

    Examples
    --------
    >>> cut = truncated([1.0, 0.0, 0.1], 2)
    >>> cut.taps.tolist(), round(cut.lost_db, 2)
    ([1.0, 0.0], -20.04)
    """
    taps = check_path(path)
    num_taps = check_num_taps(num_taps)
    lost = _energy(taps[..., num_taps:])
    kept = _resized(taps, num_taps)
    share = lost / _energy(taps) if lost else 0.0
    return TruncatedPath(taps=kept, lost_db=10.0 * math.log10(share) if share else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkDelay:
    """When a path begins to answer, in samples; arrays of shape () or (num_mics, num_sources).

    Attributes
    ----------
    first_arrival : int array
        First tap whose magnitude comes within the threshold of the largest.
    peak : int array
        Tap of the largest magnitude.
    """

    first_arrival: NDArray[np.intp]
    peak: NDArray[np.intp]


def bulk_delay(path: ArrayLike, *, threshold_db: float = -20.0) -> BulkDelay:
    """Return the delay of ``path``; 0 where all its taps are 0.

    Parameters
    ----------
    path : array_like
        See :func:`check_path`.
    threshold_db : float
        Below the peak, dB, -120 to 0. ISO 3382-1:2009, 5.3.3, finds the direct sound at -20 dB.

    Examples
    --------
    >>> int(bulk_delay([0.0, 0.01, -0.3, 1.0, 0.2]).first_arrival)
    2
    """
    if not -120.0 <= threshold_db <= 0.0:
        msg = f"threshold_db is {threshold_db}; it must be from -120 to 0"
        raise InputError(msg)
    magnitude = np.abs(check_path(path))
    peak = np.argmax(magnitude, axis=-1)
    limit = magnitude.max(axis=-1, keepdims=True) * 10.0 ** (threshold_db / 20.0)
    first = np.argmax(magnitude >= limit, axis=-1)
    return BulkDelay(first_arrival=np.asarray(first), peak=np.asarray(peak))


def delayed(path: ArrayLike, samples: float) -> Path:
    """Return ``path`` later by ``samples``, or earlier where that is negative.

    Parameters
    ----------
    path : array_like
        See :func:`check_path`.
    samples : float
        Whole delays move the taps untouched; others interpolate with a Kaiser-windowed sinc of
        64 taps, flat within 0.01 dB up to 0.9 of Nyquist.

    Returns
    -------
    float64
        Longer by the delay (and by 32 taps where it is no whole number), so nothing is cut at
        the end.

    Raises
    ------
    InputError
        If more than 5 % of the energy would fall before time 0.

    References
    ----------
    T. I. Laakso et al., Splitting the unit delay, IEEE Signal Process. Mag. 13 (1996) 30, Eq. 18.

    Examples
    --------
    >>> delayed([1.0, 0.5], 2).tolist()
    [0.0, 0.0, 1.0, 0.5]
    """
    taps = check_path(path)
    if not abs(samples) <= MAX_NUM_TAPS:
        msg = f"samples is {samples}; a delay must be finite and at most {MAX_NUM_TAPS}"
        raise InputError(msg)
    whole = math.floor(samples)
    fraction = samples - whole
    if fraction:
        taps = _convolved(taps, _fractional_delay(fraction))
        whole -= _HALF_WIDTH - 1
    if whole >= 0:
        moved = np.concatenate([np.zeros((*taps.shape[:-1], whole)), taps], axis=-1)
    else:
        cure = f"delay it less far ahead: its direct sound is at tap {_earliest(path)}"
        _refuse_cut(_energy(taps[..., :-whole]), _energy(taps), cure)
        moved = taps[..., -whole:]
    _check_lengths(moved.shape, f"path delayed by {samples}")
    return np.ascontiguousarray(moved)


def _earliest(path: ArrayLike) -> int:
    return int(bulk_delay(path).first_arrival.min())


def _fractional_delay(fraction: float) -> NDArray[np.float64]:
    """Return 2·_HALF_WIDTH taps whose delay is ``_HALF_WIDTH - 1 + fraction``."""
    time = np.arange(2 * _HALF_WIDTH) - (_HALF_WIDTH - 1) - fraction
    inside = np.sqrt(np.maximum(1.0 - (time / _HALF_WIDTH) ** 2, 0.0))
    kernel = np.sinc(time) * np.i0(_KAISER_BETA * inside)
    return np.asarray(kernel / kernel.sum())  # gain 1 at 0 Hz


def _convolved(taps: Path, kernel: NDArray[np.float64]) -> Path:
    rows = [np.convolve(row, kernel) for row in taps.reshape(-1, taps.shape[-1])]
    return np.stack(rows).reshape(*taps.shape[:-1], -1)


def _refuse_cut(cut: float, whole: float, cure: str) -> None:
    if cut > _MAX_SHARE_CUT * whole:
        msg = (
            f"{100 * cut / whole:.1f} % of the path's energy would fall before time 0, "
            f"at most {100 * _MAX_SHARE_CUT:.0f} % may; {cure}"
        )
        raise InputError(msg)


def _resized(taps: Path, num_taps: int) -> Path:
    resized = np.zeros((*taps.shape[:-1], num_taps))
    kept = min(num_taps, taps.shape[-1])
    resized[..., :kept] = taps[..., :kept]
    return resized


def _energy(taps: Path) -> float:
    return float(np.sum(taps**2))


# ----------------------------------------------------------------------------- mismatch


def with_mismatch(
    path: ArrayLike,
    *,
    gain_db: float = 0.0,
    delay_samples: float = 0.0,
    phase_deg: float = 0.0,
    noise_db: float | None = None,
    rng: np.random.Generator | None = None,
) -> Path:
    """Return ``path`` as an estimate that is wrong in a known way.

    Parameters
    ----------
    path : array_like
        The true path, see :func:`check_path`.
    gain_db : float
        The estimate is that much too strong, -120 to 120 dB.
    delay_samples : float
        And that much too late, as :func:`delayed`.
    phase_deg : float
        And turned by this constant angle at every frequency between 0 and Nyquist; positive
        leads. FxLMS is in danger beyond 90°.
    noise_db : float, optional
        White errors are added to the taps: their energy over that of the pair's path, dB.
    rng : numpy.random.Generator, optional
        Needed for ``noise_db``.

    Raises
    ------
    InputError
        If a value breaks its rule, or if more than 5 % of the energy would fall before time 0.

    Notes
    -----
    A constant phase shift φ is s·cos φ - H{s}·sin φ, H the Hilbert transform, and neither causal
    nor short: its tails fall as 1/n on both sides. The taps of times 0 to num_taps - 1 are kept,
    which is the causal filter of this length nearest to it in the least-squares sense (taps are
    orthogonal). The angle is missed at the lowest frequencies, more so the earlier the path
    answers; at 0 Hz and at Nyquist a real filter knows only signs.

    Examples
    --------
    >>> with_mismatch([0.0, 1.0, 0.5], gain_db=20, delay_samples=1).round(6).tolist()
    [0.0, 0.0, 10.0, 5.0]
    """
    taps = check_path(path)
    for name, value, limit in (("gain_db", gain_db, 120.0), ("phase_deg", phase_deg, 360.0)):
        if not abs(value) <= limit:
            msg = f"{name} is {value}; it must be from {-limit:g} to {limit:g}"
            raise InputError(msg)
    if phase_deg:
        taps = _turned(taps, math.radians(phase_deg))
    if delay_samples:
        taps = delayed(taps, delay_samples)
    if noise_db is not None:
        taps = taps + _errors(taps, noise_db, rng)
    return np.asarray(taps * 10.0 ** (gain_db / 20.0))


def _turned(taps: Path, angle: float) -> Path:
    num_taps = taps.shape[-1]
    length = 1 << math.ceil(math.log2(_WIDENING * num_taps + 1))
    spectrum = np.fft.rfft(taps, length)
    # irfft ignores what is imaginary at 0 Hz and Nyquist: cos φ is left there.
    turned = np.fft.irfft(spectrum * np.exp(1j * angle), length)
    cure = "a path that answers at once cannot be turned so far; delay it first"
    _refuse_cut(_energy(turned[..., length // 2 :]), _energy(taps), cure)
    return np.asarray(turned[..., :num_taps])


def _errors(taps: Path, noise_db: float, rng: np.random.Generator | None) -> Path:
    if not -300.0 <= noise_db <= 60.0:
        msg = f"noise_db is {noise_db}; it must be from -300 to 60"
        raise InputError(msg)
    if rng is None:
        msg = f"noise_db is {noise_db} without rng; pass numpy.random.default_rng(seed)"
        raise InputError(msg)
    noise = rng.standard_normal(taps.shape)
    noise /= np.sqrt(np.sum(noise**2, axis=-1, keepdims=True))
    norm = np.sqrt(np.sum(taps**2, axis=-1, keepdims=True))
    return np.asarray(noise * norm * 10.0 ** (noise_db / 20.0))


# ----------------------------------------------------------------------------- sample rate


def resampled_path(path: ArrayLike, from_hz: float, to_hz: float) -> Path:
    """Return ``path`` for signals at another sample rate, with the same gain at each frequency.

    Parameters
    ----------
    path : array_like
        See :func:`check_path`.
    from_hz, to_hz : float
        Sample rates of the path and of the signals, Hz.

    Returns
    -------
    float64, shape (..., ceil(num_taps·to_hz/from_hz))

    Notes
    -----
    h₂ = (from/to)·resampled(h₁): there are to/from times as many taps, and each stands for as
    much less time. Above the lower of the two Nyquist frequencies the result has no gain. The
    filter (Kaiser, β = 8) is symmetric; what it puts before time 0 is cut off, which matters only
    for a path that answers at once.

    Examples
    --------
    >>> resampled_path([0.0, 0.0, 1.0, 0.0], 16_000, 8_000).shape
    (2,)
    """
    taps = check_path(path)
    source, target = check_sample_rate(from_hz), check_sample_rate(to_hz)
    if source == target:
        return taps
    common = math.gcd(source, target)
    up, down = target // common, source // common
    _check_lengths(
        (*taps.shape[:-1], -(-taps.shape[-1] * up // down)), f"path resampled to {target} Hz"
    )
    from scipy.signal import resample_poly

    resampled = resample_poly(taps, up, down, axis=-1, window=("kaiser", _KAISER_BETA))
    return np.ascontiguousarray(resampled * (source / target))
