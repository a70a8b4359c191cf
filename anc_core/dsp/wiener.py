"""The best a causal FIR filter can do: the Wiener solution and the attenuation it would reach.

An adaptive filter is judged against what its length, the paths and the noise allow, not against
silence. The filter here knows the whole recording at once and does not adapt; on noise that
changes, an adaptive filter may do better in places.

Signs and shapes. The residual is ``e = d + w * x'``, where ``x'`` is what a loudspeaker driven with
the reference would bring to the error microphone (*filtered reference*, the secondary path times
the reference). For plain cancellation without a path (``e = d - w * x``) pass the reference itself:
the taps come out with the opposite sign, the attenuation is the same. Signals are channel-first;
M error microphones, K sources (loudspeakers) and J references give ``x'`` of shape (M, K, J, n).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.levels import ratio_db
from anc_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Signal: TypeAlias = NDArray[np.floating[Any]]
Array: TypeAlias = NDArray[np.float64]

REGULARIZATION = 1e-9
"""White noise that is added to the reference in thought, relative to its power: -90 dB. It keeps
tones and band-limited noise solvable, and what lies that far below the noise is nobody's gain."""

MAX_NUM_UNKNOWNS = 8_192
"""Of the dense system with several channels: its matrix then takes 0.5 GB and some ten seconds."""

MAX_NUM_TAPS = 32_768
"""Of a single filter (Levinson recursion, no matrix): about a second."""

_SEGMENT = 1 << 16
"""Samples that are transformed at once, if the lags and channels allow it."""
_SPECTRUM_CELLS = 1 << 21
"""Upper limit for the complex sums of all pairs of channels: 32 MB."""


class FilteredReference:
    """The filtered reference of several channels, made a stretch at a time where it is needed.

    Parameters
    ----------
    reference : ndarray, shape (num_samples,) or (num_references, num_samples)
        x.
    secondary_path : ndarray, shape (path_taps,) or (num_error_mics, num_sources, path_taps)
        Impulse responses from the sources to the error microphones, first tap first.

    Notes
    -----
    ``x'_{m,k,j} = S_{m,k} * x_j``, zero before the first sample. Stored as a whole it would take
    M·K·J times the memory of one reference.
    """

    def __init__(self, reference: Signal, secondary_path: Signal) -> None:
        self._reference = np.atleast_2d(reference)
        path = np.asarray(secondary_path, dtype=np.float64)
        self.is_single = np.ndim(reference) == 1 and path.ndim == 1
        self._path = path.reshape(1, 1, -1) if path.ndim == 1 else path
        if self._reference.ndim != 2 or self._path.ndim != 3 or self._path.shape[2] == 0:
            msg = (
                f"reference has shape {np.shape(reference)} and secondary_path {path.shape}; they "
                "must be (num_samples,) or (num_references, num_samples) and (path_taps,) or "
                "(num_error_mics, num_sources, path_taps)"
            )
            raise InputError(msg)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(num_error_mics, num_sources, num_references, num_samples)."""
        return (*self._path.shape[:2], *self._reference.shape)

    def segment(self, start: int, stop: int) -> Array:
        """Return samples ``start`` to ``stop``, shape (num_error_mics, K * J, stop - start)."""
        from scipy.signal import oaconvolve

        mics, _, taps = self._path.shape
        x = _with_history(self._reference, start, stop, taps - 1)
        made = oaconvolve(x[None, None], self._path[:, :, None], mode="valid", axes=-1)
        return np.asarray(made).reshape(mics, -1, stop - start)


class _Stored:
    """The same interface for a filtered reference that is there already."""

    def __init__(self, samples: Signal) -> None:
        self.is_single = samples.ndim == 1
        self._samples = samples.reshape(1, 1, 1, -1) if self.is_single else samples
        if self._samples.ndim != 4:
            msg = (
                f"filtered_reference has shape {samples.shape}; it must be (num_samples,) or "
                "(num_error_mics, num_sources, num_references, num_samples)"
            )
            raise InputError(msg)
        self.shape = self._samples.shape

    def segment(self, start: int, stop: int) -> Array:
        part = self._samples[..., start:stop]
        return part.reshape(len(part), -1, stop - start).astype(np.float64)


class _Source(Protocol):
    is_single: bool

    @property
    def shape(self) -> tuple[int, ...]: ...
    def segment(self, start: int, stop: int) -> Array: ...


class _Disturbance(Protocol):
    def __call__(self, start: int, stop: int) -> Array: ...


def wiener_filter(
    filtered_reference: Signal | FilteredReference,
    disturbance: Signal,
    num_taps: int,
    *,
    regularization: float = REGULARIZATION,
) -> Array:
    r"""Return the causal filter that leaves the least energy at the error microphones.

    Parameters
    ----------
    filtered_reference : ndarray or FilteredReference
        x', shape (num_samples,) or (num_error_mics, num_sources, num_references, num_samples).
    disturbance : ndarray, shape (num_samples,) or (num_error_mics, num_samples)
        d; silent before the first and after the last sample.
    num_taps : int
        L, 1 to 32768 for a single filter; ``num_taps * num_sources * num_references`` up to 8192
        for several.
    regularization : float
        >= 0, relative to the mean power of the filtered reference.

    Returns
    -------
    ndarray, shape (num_taps,) or (num_sources, num_references, num_taps)
        float64, first tap first; zeros where the reference is silent.

    Raises
    ------
    InputError
        If shapes or lengths do not fit, a sample is not finite, the system is too large, or it is
        singular (``regularization=0`` with a tone, say).

    Notes
    -----
    .. math:: \min_w \sum_{n,m} \Bigl(d_m[n] + \sum_{k,j,i} w_{k,j}[i]\, x'_{m,k,j}[n-i]\Bigr)^2
              \quad\Rightarrow\quad (R + \rho I)\, w = -p

    R is (block-)Toeplitz; the correlations come from FFTs of overlapping stretches and are exact,
    so memory depends on ``num_taps`` and the channels, not on the length of the recording.

    References
    ----------
    S. M. Kuo, D. R. Morgan, "Active Noise Control Systems", Wiley 1996, section 3.1.
    N. Levinson, J. Math. Phys. 25, 1946 (single channel).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=4000)
    >>> disturbance = 0.5 * np.concatenate([[0.0, 0.0], noise[:-2]])  # two samples late, halved
    >>> (wiener_filter(noise, disturbance, 4).round(2) + 0.0).tolist()
    [0.0, 0.0, -0.5, 0.0]
    """
    source, wanted = _checked(filtered_reference, disturbance)
    _check_size(source, num_taps, regularization)
    taps = _solve(_correlate(source, _slices_of(wanted), num_taps), num_taps, regularization)
    _, sources, references, _ = source.shape
    shape = (num_taps,) if source.is_single else (sources, references, num_taps)
    return taps.reshape(shape)


def wiener_residual(
    filtered_reference: Signal | FilteredReference, disturbance: Signal, taps: Array
) -> Signal:
    """Return ``d + w * x'``: what fixed taps leave at the error microphones.

    Parameters
    ----------
    filtered_reference, disturbance : as for :func:`wiener_filter`
    taps : ndarray, shape (num_taps,) or (num_sources, num_references, num_taps)

    Returns
    -------
    ndarray, shape and dtype of ``disturbance``
    """
    source, wanted = _checked(filtered_reference, disturbance)
    residual = np.empty_like(wanted)
    filters = _checked_taps(source, taps)
    for start, part in _residual_parts(source, wanted, filters, 0, wanted.shape[1]):
        residual[:, start : start + part.shape[1]] = part
    return residual.reshape(np.shape(disturbance))


def wiener_bound_db(
    filtered_reference: Signal | FilteredReference,
    disturbance: Signal,
    num_taps: int,
    *,
    regularization: float = REGULARIZATION,
    stretch: slice | None = None,
) -> float | None:
    """Return the attenuation that the best causal filter of ``num_taps`` reaches.

    Parameters
    ----------
    filtered_reference, disturbance, num_taps, regularization : as for :func:`wiener_filter`
    stretch : slice, optional
        Samples over which energies are compared (all); the filter is the best for the whole.

    Returns
    -------
    float or None
        dB, energy of the disturbance over energy of the residual, both summed over the error
        microphones and measured by filtering. ``None`` if either is nothing.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=4000)
    >>> early = np.concatenate([noise[1:], [0.0]])  # nobody can cancel what was not heard yet
    >>> abs(round(wiener_bound_db(noise, early, 8), 1))
    0.0
    """
    taps = wiener_filter(filtered_reference, disturbance, num_taps, regularization=regularization)
    source, wanted = _checked(filtered_reference, disturbance)
    start, stop, step = (stretch or slice(None)).indices(wanted.shape[1])
    if step != 1:
        msg = f"stretch is {stretch}; it must be without a step"
        raise InputError(msg)
    before = after = 0.0
    for at, part in _residual_parts(source, wanted, _checked_taps(source, taps), start, stop):
        after += float(np.sum(part**2))
        before += float(np.sum(wanted[:, at : at + part.shape[1]].astype(np.float64) ** 2))
    count = max(stop - start, 1)
    return ratio_db(before / count, after / count)


# --------------------------------------------------------------------------- causality margin


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalityMargin:
    """What delay costs: the attenuation in reach for each extra delay of the anti-noise.

    Attributes
    ----------
    delays_samples : tuple of int
        Extra delays in the secondary path, ascending.
    attenuation_db : tuple of float or None
        Of the best causal filter; ``None`` where there is nothing to cancel.
    sample_rate : int
        Hz.
    num_taps : int
        Of the filter.
    lead_samples : int
        By how much the anti-noise is ahead of the noise: largest tap of the primary path less that
        of the secondary path; of the nearest reference and loudspeaker, at the error microphone
        that is the worst off.
    """

    delays_samples: tuple[int, ...]
    attenuation_db: tuple[float | None, ...]
    sample_rate: int
    num_taps: int
    lead_samples: int

    @property
    def delays_s(self) -> tuple[float, ...]:
        """The delays in seconds."""
        return tuple(delay / self.sample_rate for delay in self.delays_samples)

    def margin_samples(self, loss_db: float = 3.0) -> float | None:
        """Return the delay that costs ``loss_db`` of what the smallest delay reaches.

        Returns
        -------
        float or None
            Samples, interpolated between the delays; ``None`` if no delay here costs as much.

        Examples
        --------
        >>> curve = CausalityMargin(
        ...     delays_samples=(0, 10),
        ...     attenuation_db=(12.0, 6.0),
        ...     sample_rate=8000,
        ...     num_taps=64,
        ...     lead_samples=7,
        ... )
        >>> curve.margin_samples()
        5.0
        """
        known = self._known()
        for (near, high), (far, low) in pairwise(known):
            target = known[0][1] - loss_db
            if low <= target:
                return near + (far - near) * (high - target) / (high - low)
        return None

    @property
    def knee_samples(self) -> float | None:
        """Where the curve falls most steeply: the middle between two neighbouring delays.

        ``None`` if it falls nowhere. Broadband noise has its knee where the anti-noise no longer
        comes first, near ``lead_samples``; what repeats itself can be foreseen and has none there.
        """
        slopes = [
            ((high - low) / (far - near), (near + far) / 2.0)
            for (near, high), (far, low) in pairwise(self._known())
        ]
        steepest, where = max(slopes, key=lambda pair: pair[0], default=(0.0, 0.0))
        return where if steepest > 0.0 else None

    def _known(self) -> list[tuple[int, float]]:
        return [
            (delay, level)
            for delay, level in zip(self.delays_samples, self.attenuation_db, strict=True)
            if level is not None
        ]


def causality_margin(
    noise: Signal,
    sample_rate: int,
    primary_path: Signal,
    secondary_path: Signal,
    num_taps: int,
    delays_samples: Sequence[int],
    *,
    regularization: float = REGULARIZATION,
) -> CausalityMargin:
    r"""Return the attenuation in reach when the anti-noise comes later and later.

    Parameters
    ----------
    noise : ndarray, shape (num_samples,) or (num_references, num_samples)
        The reference x.
    sample_rate : int
        Hz.
    primary_path : ndarray, shape (path_taps,) or (num_error_mics, num_references, path_taps)
    secondary_path : ndarray, shape (path_taps,) or (num_error_mics, num_sources, path_taps)
    num_taps : int
        As for :func:`wiener_filter`.
    delays_samples : sequence of int
        Extra delays of the secondary path (converters, buffers, distance), >= 0, any order.
    regularization : float
        As for :func:`wiener_filter`.

    Returns
    -------
    CausalityMargin

    Raises
    ------
    InputError
        As :func:`wiener_filter`; or for a negative delay.

    Notes
    -----
    A delay D changes nothing in R and shifts p: ``p_D[i] = p[i + D]``. One pass over the noise
    serves all delays; the least energy is :math:`E_d + w^\top p - \rho \lVert w \rVert^2`.
    """
    delays = sorted({int(delay) for delay in delays_samples})
    if not delays or delays[0] < 0:
        msg = f"delays_samples is {list(delays_samples)}; it needs delays of 0 or more samples"
        raise InputError(msg)
    # Both paths ring out in silence: what the filter still sends after a disturbance that was cut
    # off would count as error, and a few samples of many thousands are a ceiling of 40 dB.
    echo = max(np.shape(primary_path)[-1], np.shape(secondary_path)[-1])
    reference = np.pad(np.atleast_2d(noise), ((0, 0), (0, echo)))
    source = FilteredReference(reference, secondary_path)
    _check_size(source, num_taps, regularization)
    correlations = _correlate(
        source, _primary(reference, primary_path, source), num_taps + delays[-1]
    )
    solutions = _solve(correlations, num_taps, regularization, delays)
    ridge = regularization * correlations.reference_energy
    levels = []
    for delay, taps in zip(delays, solutions, strict=True):
        cross = correlations.cross[:, delay : delay + num_taps]
        left = correlations.energy + np.sum(taps * cross) - ridge * np.sum(taps**2)
        # The difference of large sums has no digits below this.
        left = max(float(left), 1e-14 * correlations.energy)
        levels.append(ratio_db(correlations.energy / source.shape[3], left / source.shape[3]))
    return CausalityMargin(
        delays_samples=tuple(delays),
        attenuation_db=tuple(levels),
        sample_rate=check_sample_rate(sample_rate),
        num_taps=num_taps,
        lead_samples=lead_samples(primary_path, secondary_path),
    )


def lead_samples(primary_path: Signal, secondary_path: Signal) -> int:
    """Return by how many samples the anti-noise arrives before the noise, by the largest taps.

    Parameters
    ----------
    primary_path, secondary_path : ndarray
        As for :func:`causality_margin`.

    Returns
    -------
    int
        Negative if it comes late; see :attr:`CausalityMargin.lead_samples`.

    Examples
    --------
    >>> lead_samples(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 1.0]))
    2
    """
    noise, anti_noise = _first_peaks(primary_path), _first_peaks(secondary_path)
    return int((noise - anti_noise).min())


def _first_peaks(path: Signal) -> NDArray[np.intp]:
    """Return where the nearest source has its largest tap, for each microphone."""
    size = np.abs(path)
    size = size[np.newaxis, np.newaxis] if size.ndim == 1 else size
    # A pair that nothing connects is never the nearest.
    peaks = np.where(size.any(axis=2), size.argmax(axis=2), size.shape[2])
    return np.asarray(peaks.min(axis=1))


def _primary(reference: Signal, primary_path: Signal, source: FilteredReference) -> _Disturbance:
    """Return what makes stretches of the disturbance, shape (num_error_mics, length)."""
    from scipy.signal import oaconvolve

    path = np.asarray(primary_path, dtype=np.float64)
    path = path.reshape(1, 1, -1) if path.ndim == 1 else path
    mics, _, references, _ = source.shape
    if path.ndim != 3 or path.shape[:2] != (mics, references) or path.shape[2] == 0:
        msg = (
            f"primary_path has shape {np.shape(primary_path)}; {mics} error microphones and "
            f"{references} references need ({mics}, {references}, path_taps)"
        )
        raise InputError(msg)

    def segment(start: int, stop: int) -> Array:
        x = _with_history(reference, start, stop, path.shape[2] - 1)
        return np.asarray(oaconvolve(x[None], path, mode="valid", axes=-1).sum(axis=1))

    return segment


# --------------------------------------------------------------------------- correlations


@dataclass(frozen=True, slots=True)
class _Correlations:
    """Sums over time and error microphones; channels are pairs (source, reference).

    Attributes
    ----------
    auto : ndarray, shape (num_channels, num_channels, num_taps)
        ``auto[a, b, l] = sum x'_a[n] x'_b[n + l]``.
    cross : ndarray, shape (num_channels, num_lags)
        ``cross[a, l] = sum x'_a[n] d[n + l]``.
    energy : float
        ``sum d**2``.
    """

    auto: Array
    cross: Array
    energy: float

    @property
    def reference_energy(self) -> float:
        """Energy of the filtered reference, mean over the channels."""
        return float(np.mean(np.diagonal(self.auto[:, :, 0])))


def _correlate(source: _Source, disturbance: _Disturbance, num_lags: int) -> _Correlations:
    """Return all correlations at lags 0 to ``num_lags - 1``.

    Each stretch is correlated with itself and the ``num_lags - 1`` samples that follow it, which
    makes the sum over the stretches exact; the products are added up as spectra.
    """
    mics, sources, references, num_samples = source.shape
    channels = sources * references
    n_fft = _fft_length(num_lags, channels, num_samples)
    hop = n_fft - num_lags + 1
    auto = np.zeros((channels, channels, n_fft // 2 + 1), dtype=np.complex128)
    cross = np.zeros((channels, n_fft // 2 + 1), dtype=np.complex128)
    energy = 0.0
    for start in range(0, num_samples, hop):
        stop = min(start + num_lags - 1 + hop, num_samples)
        x, d = source.segment(start, stop), disturbance(start, stop)
        with np.errstate(invalid="ignore", over="ignore"):  # refused below, once and in words
            now = np.conj(np.fft.rfft(x[..., :hop], n_fft))
            then = np.fft.rfft(x, n_fft)
            for mic in range(mics):
                auto += now[mic, :, None] * then[mic, None]
                cross += now[mic] * np.fft.rfft(d[mic], n_fft)
            energy += float(np.sum(d[:, :hop] ** 2))
    if not (np.isfinite(auto).all() and np.isfinite(cross).all() and energy < np.inf):
        raise InputError("the reference or the disturbance holds NaN or an infinity; repair it")
    return _Correlations(
        np.fft.irfft(auto, n_fft)[..., :num_lags], np.fft.irfft(cross, n_fft)[:, :num_lags], energy
    )


def _fft_length(num_lags: int, channels: int, num_samples: int) -> int:
    from scipy.fft import next_fast_len

    # At least four times the lags, or most of each transform would be overlap.
    length = max(4 * num_lags, min(_SEGMENT, _SPECTRUM_CELLS // channels**2))
    return int(next_fast_len(min(length, num_samples + num_lags), real=True))


def _solve(
    correlations: _Correlations, num_taps: int, regularization: float, delays: Sequence[int] = (0,)
) -> Array:
    """Return the taps for each delay, shape (num_delays, num_channels, num_taps)."""
    from scipy.linalg import LinAlgError

    channels = len(correlations.auto)
    wanted = np.stack([-correlations.cross[:, delay : delay + num_taps] for delay in delays])
    power = correlations.reference_energy
    if power <= 0.0:
        return np.zeros_like(wanted)
    solver = _levinson if channels == 1 else _cholesky
    try:
        # Powers of one: the recursion's own checks then mean the same at any level.
        solved = solver(
            correlations.auto[..., :num_taps] / power,
            regularization,
            wanted.reshape(len(delays), -1).T / power,
        )
    except LinAlgError as err:
        msg = (
            f"the correlations of the reference are singular with regularization {regularization}; "
            f"raise it ({REGULARIZATION} is the default)"
        )
        raise InputError(msg) from err
    return np.ascontiguousarray(solved.T).reshape(wanted.shape)


def _levinson(auto: Array, ridge: float, wanted: Array) -> Array:
    from scipy.linalg import solve_toeplitz

    column = auto[0, 0].copy()
    column[0] += ridge
    return np.asarray(solve_toeplitz(column, wanted, check_finite=False))


def _cholesky(auto: Array, ridge: float, wanted: Array) -> Array:
    from scipy.linalg import cho_factor, cho_solve, toeplitz

    channels, _, taps = auto.shape
    blocks = np.empty((channels, taps, channels, taps))
    for a in range(channels):
        for b in range(channels):
            # sum x'_a[n - i] x'_b[n - k] = auto[a, b, i - k], and auto[b, a, k - i] for i < k.
            blocks[a, :, b] = toeplitz(auto[a, b], auto[b, a])
    matrix = blocks.reshape(channels * taps, channels * taps)
    matrix[np.diag_indices(len(matrix))] += ridge
    # Symmetric; transposed it is in LAPACK's order, and is factored in place instead of copied.
    factor = cho_factor(matrix.T, overwrite_a=True, check_finite=False)
    return np.asarray(cho_solve(factor, wanted, check_finite=False))


# --------------------------------------------------------------------------- stretches


def _residual_parts(
    source: _Source, disturbance: Signal, taps: Array, start: int, stop: int
) -> Iterator[tuple[int, Array]]:
    """Yield (first sample, residual of shape (num_error_mics, length)) from ``start`` on."""
    from scipy.signal import oaconvolve

    history = taps.shape[1] - 1
    hop = max(_SEGMENT, 4 * taps.shape[1])
    for at in range(start, stop, hop):
        end = min(at + hop, stop)
        first = max(at - history, 0)
        x = source.segment(first, end)
        x = np.pad(x, ((0, 0), (0, 0), (history - (at - first), 0)))
        anti_noise = oaconvolve(x, taps[None], mode="valid", axes=-1).sum(axis=1)
        yield at, disturbance[:, at:end] + anti_noise


def _with_history(signals: Signal, start: int, stop: int, history: int) -> Array:
    """Return samples ``start - history`` to ``stop``, float64, with zeros before the first."""
    first = start - history
    part = signals[:, max(first, 0) : stop].astype(np.float64)
    return np.pad(part, ((0, 0), (max(-first, 0), 0)))


def _slices_of(disturbance: Signal) -> _Disturbance:
    def segment(start: int, stop: int) -> Array:
        return disturbance[:, start:stop].astype(np.float64)

    return segment


# --------------------------------------------------------------------------- checks


def _checked(
    filtered_reference: Signal | FilteredReference, disturbance: Signal
) -> tuple[_Source, Signal]:
    source: _Source
    if isinstance(filtered_reference, FilteredReference):
        source = filtered_reference
    else:
        source = _Stored(np.asarray(filtered_reference))
    wanted = np.atleast_2d(disturbance)
    if wanted.shape != (source.shape[0], source.shape[3]) or 0 in source.shape:
        msg = (
            f"filtered_reference has shape {source.shape} (error microphones, sources, references, "
            f"samples) and disturbance {np.shape(disturbance)}; microphones and samples must agree "
            "and none may be 0"
        )
        raise InputError(msg)
    if not np.issubdtype(wanted.dtype, np.floating):
        wanted = wanted.astype(np.float64)
    return source, wanted


def _checked_taps(source: _Source, taps: Array) -> Array:
    _, sources, references, _ = source.shape
    if np.shape(taps)[:-1] != (() if source.is_single else (sources, references)):
        msg = (
            f"taps has shape {np.shape(taps)}; {sources} sources and {references} references need "
        )
        msg += "(num_taps,)" if source.is_single else f"({sources}, {references}, num_taps)"
        raise InputError(msg)
    return np.asarray(taps, dtype=np.float64).reshape(sources * references, -1)


def _check_size(source: _Source, num_taps: int, regularization: float) -> None:
    _, sources, references, _ = source.shape
    channels = sources * references
    limit = MAX_NUM_TAPS if channels == 1 else MAX_NUM_UNKNOWNS
    if not 1 <= num_taps * channels <= limit:
        msg = (
            f"num_taps is {num_taps} with {sources} sources and {references} references; "
            f"num_taps * sources * references must be from 1 to {limit}"
        )
        raise InputError(msg)
    if not 0.0 <= regularization < np.inf:
        msg = f"regularization is {regularization}; it must be a finite number >= 0"
        raise InputError(msg)
