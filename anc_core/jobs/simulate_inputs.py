"""What goes into a simulation: acoustic paths and noise, brought to one sample rate.

The paths' rate is the rate of the simulation: noise is resampled to it, because a path that was
resampled is no longer the one that was measured. Everything that was done is said in ``remarks``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk
from anc_core.audio import StreamResampler, open_reader
from anc_core.audio.filter_bank_files import read_filter_bank
from anc_core.audio.path_files import read_path, split_key
from anc_core.dsp.paths import as_matrix, resampled_path
from anc_core.errors import ErrorCode, InputError, SourceError
from anc_core.files import printable
from anc_core.jobs.simulate_records import Excerpt, PathFiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.dsp.filter_bank import FilterBank

MAX_SAMPLES = 40_000_000
"""Of one simulation, over all references: the run is held in memory, about 50 bytes a sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acoustics:
    """The paths at one rate.

    Attributes
    ----------
    primary, secondary, estimate : float64, shape (num_mics, num_sources, num_taps)
        ``estimate`` is None where it is the truth.
    sample_rate : int
        Hz.
    remarks : tuple of str
    filter_bank : FilterBank or None
        Whether it fits is seen when it is used, for the device's delay belongs to it.
    """

    primary: NDArray[np.float64]
    secondary: NDArray[np.float64]
    estimate: NDArray[np.float64] | None
    sample_rate: int
    remarks: tuple[str, ...] = ()
    filter_bank: FilterBank | None = None

    @property
    def num_references(self) -> int:
        """Columns of the noise."""
        return int(self.primary.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What the reference microphones hear.

    Attributes
    ----------
    samples : float32, shape (num_samples, num_references)
    source_rate : int
        Hz, of the recording.
    channel : int or None
        The one that was taken, from 0.
    remarks : tuple of str
    """

    samples: Chunk
    source_rate: int
    channel: int | None
    remarks: tuple[str, ...] = ()


def load_acoustics(files: PathFiles, *, noise_rate: int | None = None) -> Acoustics:
    """Return the paths in ``files``.

    Parameters
    ----------
    files : PathFiles
    noise_rate : int, optional
        Hz; of paths of which nothing else says the rate.

    Raises
    ------
    InputError
        If no rate is known, or as :func:`anc_core.audio.path_files.read_path`.
    SourceError
        If a file cannot be read.
    """
    names = {"primary path": files.primary, "secondary path": files.secondary}
    if files.estimate is not None:
        names["estimate"] = files.estimate
    found = {what: _read(name, files.variable) for what, name in names.items()}
    rates = {what: rate or files.path_rate for what, (_, rate) in found.items()}
    # What a file says comes first, then what the caller says, then what the noise has.
    known = [rate for rate in rates.values() if rate is not None]
    if not known and noise_rate is None:
        msg = f"{files.primary}: does not say its sample rate; name it (path_rate, --path-rate)"
        raise InputError(msg)
    target = known[0] if known else int(noise_rate or 0)
    remarks = []
    taps = {}
    for what, (path, said) in found.items():
        rate = rates[what] or target
        if said is None:
            remarks.append(f"{what}: taken to be at {rate} Hz, {_why_that_rate(files, rates)}")
        elif rate != target:
            remarks.append(f"{what}: resampled from {rate} Hz to {target} Hz")
        taps[what] = as_matrix(resampled_path(path, rate, target), what)
    return Acoustics(
        primary=taps["primary path"],
        secondary=taps["secondary path"],
        estimate=taps.get("estimate"),
        sample_rate=target,
        remarks=tuple(remarks),
        filter_bank=None if files.filter_bank is None else read_filter_bank(files.filter_bank),
    )


def _why_that_rate(files: PathFiles, rates: dict[str, int | None]) -> str:
    """Return whose rate a path gets whose file says none; a wrong one stretches the acoustics."""
    if files.path_rate is not None:
        return "as given"
    whose = "the other path" if any(rates.values()) else "the noise"
    return f"as {whose}; its file does not say (path_rate, --path-rate)"


def _read(name: str, variable: str | None) -> tuple[NDArray[np.float64], int | None]:
    path, key = split_key(name)
    if key is None and path.suffix.lower() == ".mat":
        key = variable
    return read_path(path, key=key)


def load_noise(
    path: Path, sample_rate: int, num_references: int, excerpt: Excerpt | None = None
) -> Noise:
    """Return the excerpt of ``path`` at ``sample_rate``, for ``num_references`` microphones.

    Parameters
    ----------
    path : Path
    sample_rate : int
        Hz, of the paths.
    num_references : int
        One: the strongest channel is taken, or the one that is named. More: as many channels.
    excerpt : Excerpt, optional

    Raises
    ------
    InputError
        If the excerpt lies outside of the recording, or the channel does not exist.
    SourceError
        TOO_LONG (:data:`MAX_SAMPLES`), BAD_CHANNELS, or as :func:`anc_core.audio.open_reader`.
    """
    wanted = excerpt or Excerpt()
    name = printable(path)
    with open_reader(path) as reader:
        source_rate, num_channels = reader.sample_rate, reader.num_channels
        channel = _channel(name, num_channels, num_references, wanted.channel)
        resampler = StreamResampler(source_rate, sample_rate, num_channels)
        first = round(wanted.start_s * source_rate)
        stop = None if wanted.duration_s is None else first + round(wanted.duration_s * source_rate)
        parts, seen, kept = [], 0, 0
        for chunk in reader.chunks():
            part = chunk[max(first - seen, 0) : None if stop is None else max(stop - seen, 0)]
            seen += len(chunk)
            parts.append(resampler.process(part))
            kept += len(parts[-1])
            _refuse_too_long(name, kept * num_references, sample_rate)
            if stop is not None and seen >= stop:
                break
        parts.append(resampler.flush())
        repaired = reader.non_finite_samples
    samples = np.concatenate(parts)
    if not len(samples):
        msg = f"{name}: has {seen / source_rate:g} s, nothing of it after {wanted.start_s:g} s"
        raise InputError(msg)
    remarks = []
    if source_rate != sample_rate:
        remarks.append(f"noise: resampled from {source_rate} Hz to {sample_rate} Hz, as the paths")
    if repaired:
        remarks.append(f"noise: {repaired} samples that were NaN or infinite count as 0")
    if num_references == 1 and num_channels > 1:
        if channel is None:
            channel = int(np.argmax(np.square(samples, dtype=np.float64).sum(axis=0)))
            remarks.append(f"noise: channel {channel} of {num_channels}, the strongest, was taken")
        samples = samples[:, [channel]]
    length = round((wanted.repeat_to_s or 0.0) * sample_rate)
    if len(samples) < length:
        _refuse_too_long(name, length * num_references, sample_rate)
        remarks.append(
            f"noise: {len(samples) / sample_rate:g} s repeated to {wanted.repeat_to_s} s"
        )
        samples = np.tile(samples, (-(-length // len(samples)), 1))[:length]
    return Noise(
        samples=np.ascontiguousarray(samples),
        source_rate=source_rate,
        channel=channel if num_references == 1 else None,
        remarks=tuple(remarks),
    )


def _channel(name: str, num_channels: int, num_references: int, wanted: int | None) -> int | None:
    if wanted is not None and wanted >= num_channels:
        msg = f"{name}: channel is {wanted}; it must be from 0 to {num_channels - 1}"
        raise InputError(msg)
    if num_references == 1:
        return 0 if num_channels == 1 else wanted
    if num_channels != num_references or wanted is not None:
        msg = (
            f"{name}: has {num_channels} channels and the primary path {num_references} "
            "references; record one channel for each, or choose one reference of the path"
        )
        raise SourceError(ErrorCode.BAD_CHANNELS, msg)
    return None


def _refuse_too_long(name: str, num_samples: int, sample_rate: int) -> None:
    if num_samples > MAX_SAMPLES:
        msg = (
            f"{name}: more than {MAX_SAMPLES / 1e6:.0f} million samples "
            f"({MAX_SAMPLES / sample_rate / 60:.0f} min at {sample_rate} Hz), which a simulation "
            "holds in memory; cut it with start_s and duration_s (--start, --duration)"
        )
        raise SourceError(ErrorCode.TOO_LONG, msg)
