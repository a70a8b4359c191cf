"""Build a bank of fixed filters out of a folder of recordings."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from pydantic import Field

from anc_core.audio.filter_bank_files import write_filter_bank
from anc_core.dsp.filter_bank import BandMeter, FilterBank, band_effects
from anc_core.dsp.filter_bank_design import DEFAULT_NUM_FILTERS, build_filter_bank
from anc_core.dsp.paths import delayed
from anc_core.errors import ErrorCode, InputError, RecordingError
from anc_core.files import printable
from anc_core.jobs.naming import check_allowed
from anc_core.jobs.scan import scan
from anc_core.jobs.simulate import check_inputs_allowed
from anc_core.jobs.simulate_inputs import Acoustics, load_acoustics, load_noise
from anc_core.jobs.simulate_records import Excerpt, PathFiles
from anc_core.records import Record
from anc_core.settings import Settings
from anc_core.version import __version__

MAX_SAMPLES = 20_000_000
"""Of all recordings and references together: all are held in memory, some 30 bytes a sample."""


class BankRequest(Record):
    """What a bank is to be made of."""

    noises: Path
    """A recording, or a folder of them."""
    output: Path
    paths: PathFiles
    """The estimate, if there is one, is what the controller believes of the secondary path."""
    excerpt: Excerpt = Excerpt()
    recursive: bool = True
    io_delay: int = Field(default=0, ge=0, le=65_536)
    num_filters: int = DEFAULT_NUM_FILTERS
    num_taps: int | None = None


class NoiseClass(Record):
    """One filter of the bank, and the noise it was made for."""

    noise_s: float
    strongest_band: str
    """Hz."""
    expected_db: float
    """Attenuation by the levels of its bands."""
    profile_db: dict[str, float]
    """Band -> level relative to the whole, dB."""


class FailedNoise(Record):
    """A recording that was left out."""

    path: str
    error_code: ErrorCode
    reason: str


class BankReport(Record):
    """What was built; ``--json`` prints it."""

    path: str
    sample_rate: int
    num_taps: int
    io_delay: int
    recordings: int
    classes: tuple[NoiseClass, ...]
    """The first is for all noises together."""
    failures: tuple[FailedNoise, ...] = ()
    remarks: tuple[str, ...] = ()
    wall_s: float = 0.0
    core_version: str = __version__


def build_bank(request: BankRequest, settings: Settings) -> BankReport:
    """Cluster the recordings, compute a filter for each class, write the bank.

    Returns
    -------
    BankReport
        Recordings that could not be read are named in it.

    Raises
    ------
    InputError
        If a parameter breaks its rule, the paths do not belong together, or no recording is left.
    SourceError, SinkError
        If a path cannot be read or the bank not be written.
    """
    started = time.monotonic()
    check_inputs_allowed(request.paths, [request.noises, request.output], settings)
    acoustics = load_acoustics(request.paths)
    noises, failures = _load(request, acoustics, settings)
    believed = acoustics.secondary if acoustics.estimate is None else acoustics.estimate
    secondary = delayed(believed, request.io_delay)
    bank = build_filter_bank(
        noises,
        acoustics.sample_rate,
        acoustics.primary,
        secondary,
        num_filters=request.num_filters,
        num_taps=request.num_taps,
    )
    write_filter_bank(request.output, bank)
    return BankReport(
        path=printable(request.output),
        sample_rate=bank.sample_rate,
        num_taps=bank.num_taps,
        io_delay=request.io_delay,
        recordings=len(noises),
        classes=_classes(bank, acoustics.primary, secondary),
        failures=tuple(failures),
        remarks=acoustics.remarks,
        wall_s=time.monotonic() - started,
    )


def _load(
    request: BankRequest, acoustics: Acoustics, settings: Settings
) -> tuple[list[np.ndarray], list[FailedNoise]]:
    noises, failures, total = [], [], 0
    for item in scan([request.noises], recursive=request.recursive).found:
        try:
            check_allowed(item.file, settings.allowed_roots)  # a link may lead out of the folder
            noise = load_noise(
                item.file, acoustics.sample_rate, acoustics.num_references, request.excerpt
            ).samples
        except (RecordingError, InputError) as err:
            code = err.code if isinstance(err, RecordingError) else ErrorCode.BAD_PARAMETER
            failures.append(
                FailedNoise(path=printable(item.file), error_code=code, reason=str(err))
            )
            continue
        total += noise.size
        if total > MAX_SAMPLES:
            msg = (
                f"{printable(request.noises)}: more than {MAX_SAMPLES / 1e6:.0f} million samples, "
                "which are held in memory; take less of each with duration_s (--duration)"
            )
            raise InputError(msg)
        noises.append(noise)
    if not noises:
        why = f": {failures[0].reason}" if failures else ""
        raise InputError(f"{printable(request.noises)}: no recording that can be read{why}")
    return noises, failures


def _classes(
    bank: FilterBank, primary: np.ndarray, secondary: np.ndarray
) -> tuple[NoiseClass, ...]:
    none = np.zeros_like(bank.filters[:1])
    filters = np.concatenate([none, bank.filters])
    effects = band_effects(filters, primary, secondary, BandMeter(bank.sample_rate)).mean(axis=1)
    powers = 10.0 ** (bank.profiles_db / 10.0)
    before, after = powers @ effects[0], np.sum(powers * effects[1:], axis=1)
    expected_db = 10.0 * np.log10(np.maximum(before, 1e-30) / np.maximum(after, 1e-30))
    return tuple(
        NoiseClass(
            noise_s=float(seconds),
            strongest_band=bank.band_labels[int(np.argmax(profile))],
            expected_db=float(level),
            profile_db={
                label: round(float(x), 1)
                for label, x in zip(bank.band_labels, profile, strict=True)
            },
        )
        for seconds, profile, level in zip(bank.noise_s, bank.profiles_db, expected_db, strict=True)
    )
