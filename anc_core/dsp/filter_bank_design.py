"""Building a bank of fixed filters: classes of noise, and the best causal filter of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc_core.arrays import as_columns, check_sample_rate
from anc_core.dsp.filter_bank import NUM_SEGMENTS, BandMeter, FilterBank, path_digest
from anc_core.dsp.finite import tame
from anc_core.dsp.paths import as_matrix, check_same_mics
from anc_core.dsp.wiener import FilteredReference, wiener_filter
from anc_core.errors import InputError

Array = NDArray[np.float64]

DEFAULT_NUM_FILTERS = 8
MAX_NUM_FILTERS = 256
_MAX_DEFAULT_TAPS = 2_048

_REGULARIZATION = 1e-4
"""White noise 40 dB below each class: keeps a filter's gain small where its class has no power, and
costs the class less than 0.1 dB."""

_SILENT = 1e-5
"""Frames 50 dB below the loudest of their recording say nothing about its noise."""

_FLOOR = 1e-4
"""Bands 40 dB below the strongest are equally empty."""

_TRIES = 8
_ROUNDS = 50
_SYNTHETIC_S = 4.0
_LEAST_POWER = 1e-10


@dataclass(frozen=True, slots=True)
class _Frame:
    """Half a second of a recording: its powers by band, and where it is."""

    powers: Array
    recording: int
    start: int


def build_filter_bank(
    noises: Sequence[NDArray[Any]] | None,
    sample_rate: float,
    primary_path: ArrayLike,
    secondary_path: ArrayLike,
    *,
    num_filters: int = DEFAULT_NUM_FILTERS,
    num_taps: int | None = None,
) -> FilterBank:
    """Return fixed filters for the classes of noise that are found in recordings.

    Parameters
    ----------
    noises : sequence of floating point, shape (n,) or (n, J); or None
        What the J reference microphones pick up. ``None``: band-limited noises instead, the whole
        range, its halves, quarters, ... in octaves.
    sample_rate : float
        Hz, 1 000 to 768 000; of noises and paths.
    primary_path : array_like, shape (path_taps,) or (M, J, path_taps)
    secondary_path : array_like, shape (path_taps,) or (M, K, path_taps)
        As the controller believes it, with the delay of the device.
    num_filters : int
        1 to 256. The first one is for all noises together, the others for classes of them; fewer
        where the recordings do not have as many frames.
    num_taps : int, optional
        Of each filter; by default as many as the primary path has, 2048 at most.

    Returns
    -------
    FilterBank

    Raises
    ------
    InputError
        If a parameter breaks its rule, the paths do not belong together, or no recording holds
        half a second of sound.

    Notes
    -----
    Frames of 0.5 s are clustered by their third-octave levels, normalised by their mean (k-means
    with k-means++ seeding, Arthur & Vassilvitskii 2007; always the same seeds). The filters are
    the causal Wiener solutions of :func:`anc_core.dsp.wiener.wiener_filter`, with all stretches of
    a class at the same level.

    Examples
    --------
    >>> bank = build_filter_bank(None, 8_000, [0, 0, 0.5], [0, 1.0], num_filters=3, num_taps=16)
    >>> bank.filters.shape, bank.filters[0, 0, 0, :3].round(2).tolist()
    ((3, 1, 1, 16), [0.0, -0.5, 0.0])
    """
    rate = check_sample_rate(sample_rate)
    primary = as_matrix(primary_path, "primary_path")
    secondary = as_matrix(secondary_path, "secondary_path")
    check_same_mics(primary, secondary)
    if not 1 <= num_filters <= MAX_NUM_FILTERS:
        msg = f"num_filters is {num_filters}; it must be from 1 to {MAX_NUM_FILTERS}"
        raise InputError(msg)
    taps = num_taps or min(primary.shape[2], _MAX_DEFAULT_TAPS)
    meter = BandMeter(rate)
    if noises is None:
        classes = list(_band_limited(num_filters, primary.shape[1], meter))
    else:
        classes = _recorded(noises, num_filters, primary.shape[1], meter)
    return FilterBank(
        sample_rate=rate,
        filters=np.stack([_best(runs, primary, secondary, taps) for runs in classes]),
        profiles_db=np.stack([_profile_db(runs, meter) for runs in classes]),
        noise_s=np.array([sum(run.shape[1] for run in runs) / rate for runs in classes]),
        primary_digest=path_digest(primary),
        secondary_digest=path_digest(secondary),
    )


def _best(runs: Sequence[Array], primary: Array, secondary: Array, num_taps: int) -> Array:
    """Return the causal filter (K, J, num_taps) that leaves the least of all ``runs`` (J, .)."""
    from scipy.signal import oaconvolve

    # Every run rings out in silence before the next one begins.
    echo = max(primary.shape[2], secondary.shape[2]) + num_taps
    reference = np.concatenate([np.pad(run, ((0, 0), (0, echo))) for run in runs], axis=1)
    heard = oaconvolve(reference[np.newaxis], primary, axes=-1).sum(axis=1)
    return wiener_filter(
        FilteredReference(reference, secondary),
        heard[:, : reference.shape[1]],
        num_taps,
        regularization=_REGULARIZATION,
    ).reshape(secondary.shape[1], primary.shape[1], num_taps)


def _profile_db(runs: Sequence[Array], meter: BandMeter) -> Array:
    powers = sum(meter.of_signal(line).sum(axis=0) for run in runs for line in run)
    share = np.asarray(powers) / max(float(np.sum(powers)), np.finfo(float).tiny)
    return np.asarray(10.0 * np.log10(np.maximum(share, _LEAST_POWER)))


# --------------------------------------------------------------------------- band-limited noises


def _band_limited(num_filters: int, num_references: int, meter: BandMeter) -> Iterator[list[Array]]:
    """Yield noise of the whole range, of its halves, its quarters, ... (equal in octaves)."""
    rng = np.random.default_rng(0)
    num = round(_SYNTHETIC_S * meter.sample_rate)
    hz = np.fft.rfftfreq(num, 1.0 / meter.sample_rate)
    low, high = meter.edges_hz[[1, -2]]
    for index in range(1, num_filters + 1):
        # 1; 2, 3; 4 ... 7: counted like the nodes of a binary tree. The outermost bands reach to
        # 0 Hz and to Nyquist.
        parts = 1 << (index.bit_length() - 1)
        place = np.log(np.maximum(hz, low) / low) / np.log(high / low) * parts
        inside = np.minimum(place.astype(int), parts - 1) == index - parts
        spectra = np.fft.rfft(rng.normal(size=(num_references, num)))
        noise = np.fft.irfft(spectra * inside, num)
        yield [noise / np.sqrt(np.mean(noise**2))]


# --------------------------------------------------------------------------- recorded noises


def _recorded(
    noises: Sequence[NDArray[Any]], num_filters: int, num_references: int, meter: BandMeter
) -> list[list[Array]]:
    """Return the stretches of noise of all recordings, then those of each class."""
    lines = [_line(noise, num_references) for noise in noises]
    frames = [frame for index, line in enumerate(lines) for frame in _frames(line, index, meter)]
    if not frames:
        msg = f"none of {len(lines)} recordings holds half a second of sound; give longer ones"
        raise InputError(msg)
    classes = [list(_runs(frames, lines, meter))]
    if num_filters > 1:
        labels = _clusters(_features(np.stack([frame.powers for frame in frames])), num_filters - 1)
        for label in np.unique(labels):
            members = [frame for frame, own in zip(frames, labels, strict=True) if own == label]
            classes.append(list(_runs(members, lines, meter)))
    return classes


def _line(noise: NDArray[Any], num_references: int) -> Array:
    columns = tame(as_columns(noise)).astype(np.float64)
    if columns.shape[1] != num_references:
        msg = (
            f"a noise has {columns.shape[1]} channels; the primary path has {num_references} "
            "references"
        )
        raise InputError(msg)
    # The controller hears no offset either.
    return np.asarray((columns - columns.mean(axis=0)).T if len(columns) else columns.T)


def _frames(line: Array, recording: int, meter: BandMeter) -> Iterator[_Frame]:
    hops = NUM_SEGMENTS + 1
    segments = np.sum([meter.of_signal(one) for one in line], axis=0)
    powers = np.array(
        [segments[at : at + NUM_SEGMENTS].mean(axis=0) for at in range(0, len(segments), hops)
         if at + NUM_SEGMENTS <= len(segments)]
    )  # fmt: skip
    loudest = powers.sum(axis=1).max(initial=0.0) if len(powers) else 0.0
    for index, power in enumerate(powers):
        if power.sum() > _SILENT * loudest:
            yield _Frame(power, recording, index * hops * meter.hop)


def _runs(frames: Sequence[_Frame], lines: Sequence[Array], meter: BandMeter) -> Iterator[Array]:
    """Yield the stretches (J, .) that frames make up, neighbours joined, all at one level."""
    length = (NUM_SEGMENTS + 1) * meter.hop
    first = 0
    for index, frame in enumerate(frames):
        after = frames[index + 1] if index + 1 < len(frames) else None
        if (
            after is not None
            and after.recording == frame.recording
            and after.start == frame.start + length
        ):
            continue
        start = frames[first].start
        run = lines[frame.recording][:, start : frame.start + length]
        first = index + 1
        yield run / np.sqrt(np.mean(run**2))


def _features(powers: Array) -> Array:
    """Return levels by band, dB, freed of the level as a whole."""
    floor = _FLOOR * powers.max(axis=1, keepdims=True)
    levels = 10.0 * np.log10(np.maximum(powers, floor))
    return np.asarray(levels - levels.mean(axis=1, keepdims=True))


def _clusters(points: Array, num_clusters: int) -> NDArray[np.intp]:
    """Return the number of each point's cluster, the tightest clustering of several tries."""
    tries = [_k_means(points, num_clusters, np.random.default_rng(seed)) for seed in range(_TRIES)]
    return min(tries, key=lambda one: one[0])[1]


def _k_means(
    points: Array, num_clusters: int, rng: np.random.Generator
) -> tuple[float, NDArray[np.intp]]:
    centres = points[[rng.integers(len(points))]]
    while len(centres) < num_clusters:
        far = _distances(points, centres).min(axis=1)
        if not far.any():
            break  # fewer different points than clusters
        new = points[rng.choice(len(points), p=far / far.sum())]
        centres = np.concatenate([centres, new[np.newaxis]])
    labels = np.zeros(len(points), np.intp)
    for _ in range(_ROUNDS):
        labels = _distances(points, centres).argmin(axis=1)
        moved = np.stack([
            points[labels == label].mean(axis=0) if (labels == label).any() else centre
            for label, centre in enumerate(centres)
        ])  # fmt: skip
        if np.array_equal(moved, centres):
            break
        centres = moved
    return float(np.sum((points - centres[labels]) ** 2)), labels


def _distances(points: Array, centres: Array) -> Array:
    return np.stack([np.sum((points - centre) ** 2, axis=1) for centre in centres], axis=1)
