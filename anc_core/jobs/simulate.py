"""Simulate ANC of one recording: figures, sounds before and after, the filter, pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio import open_reader
from anc_core.audio.formats import AudioFormat
from anc_core.audio.path_files import split_key
from anc_core.audio.writer import open_writer
from anc_core.causality import causality_curve
from anc_core.dsp.paths import delayed
from anc_core.errors import InputError
from anc_core.files import printable, write_text_atomic
from anc_core.jobs.naming import check_allowed
from anc_core.jobs.simulate_inputs import Acoustics, load_acoustics, load_noise
from anc_core.jobs.simulate_records import (
    EXPORT_SUFFIXES,
    CausalityFigures,
    ExportLine,
    GuardLine,
    PathFiles,
    SimulateRequest,
    SimulationReport,
)
from anc_core.settings import Settings
from anc_core.simulation import simulate_anc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.dsp.wiener import CausalityMargin
    from anc_core.processors.simulate import AncSimulation

SOUNDS = ("disturbance", "error_signal")


def simulate_recording(request: SimulateRequest, settings: Settings) -> SimulationReport:
    """Simulate ANC of one recording; write to ``request.output_dir`` if there is one.

    Parameters
    ----------
    request : SimulateRequest
    settings : Settings
        Allowed folders.

    Returns
    -------
    SimulationReport
        A filter that a format could not hold is a line with its reason.

    Raises
    ------
    InputError
        If a parameter breaks its rule or the paths do not belong together.
    SourceError, SinkError
        If a file cannot be read or written, or lies outside the allowed folders.
    """
    started = time.monotonic()
    check_exports(request.exports)
    check_inputs_allowed(request.paths, [request.noise], settings)
    if request.output_dir is not None:
        check_allowed(request.output_dir, settings.allowed_roots)
    with open_reader(request.noise) as reader:
        noise_rate = reader.sample_rate
    acoustics = load_acoustics(request.paths, noise_rate=noise_rate)
    noise = load_noise(
        request.noise, acoustics.sample_rate, acoustics.num_references, request.excerpt
    )
    result = _simulated(request, acoustics, noise.samples)
    curve = _curve(request, acoustics, noise.samples, result) if request.causality else None
    report = SimulationReport(
        source_path=printable(request.noise),
        source_rate=noise.source_rate,
        channel=noise.channel,
        primary=printable(request.paths.primary),
        secondary=printable(request.paths.secondary),
        estimate=None if request.paths.estimate is None else printable(request.paths.estimate),
        path_taps=(acoustics.primary.shape[2], acoustics.secondary.shape[2]),
        algorithm=result.algorithm,
        num_taps=result.num_taps,
        step_size=result.step_size,
        io_delay=request.io_delay,
        settings=request.settings,
        figures=result.figures,
        causality=None if curve is None else CausalityFigures.of(curve),
        identification=result.identification,
        guard_events=tuple(
            GuardLine(time_s=event.time_s, kind=event.kind.value, level_db=event.level_db)
            for event in result.events
        ),
        remarks=(*acoustics.remarks, *noise.remarks),
    )
    if request.output_dir is not None:
        report = _written(request, request.output_dir, report, result, curve)
    return report.model_copy(update={"wall_s": time.monotonic() - started})


def check_exports(formats: tuple[str, ...]) -> None:
    """Refuse a word that names no format of a filter.

    Raises
    ------
    InputError
        Lists the formats.
    """
    for word in formats:
        if word not in EXPORT_SUFFIXES:
            msg = f"export format {word!r} is unknown; choose from {', '.join(EXPORT_SUFFIXES)}"
            raise InputError(msg)


def check_inputs_allowed(files: PathFiles, others: list[Path], settings: Settings) -> None:
    """Refuse paths and recordings outside the allowed folders.

    Raises
    ------
    SinkError
        PERMISSION.
    """
    for path in (*(split_key(name)[0] for name in files.files), *others):
        check_allowed(path, settings.allowed_roots)


def _simulated(
    request: SimulateRequest, acoustics: Acoustics, noise: NDArray[np.float32]
) -> AncSimulation:
    settings = request.settings
    return simulate_anc(
        noise,
        acoustics.sample_rate,
        acoustics.primary,
        acoustics.secondary,
        algorithm=request.algorithm,
        num_taps=request.num_taps,
        step_size=request.step_size,
        secondary_path_estimate=acoustics.estimate,
        structure=settings.structure,
        leakage=settings.leakage,
        guard=settings.guard,
        device=settings.device(request.io_delay),
        dtype=settings.dtype,
        seed=settings.seed,
        filter_bank=acoustics.filter_bank,
        online_identification=settings.online_identification,
    )


def _curve(
    request: SimulateRequest,
    acoustics: Acoustics,
    noise: NDArray[np.float32],
    result: AncSimulation,
) -> CausalityMargin:
    """Return what delay beyond that of the device would cost a filter of the same length."""
    return causality_curve(
        noise,
        acoustics.sample_rate,
        acoustics.primary,
        delayed(acoustics.secondary, request.io_delay),
        num_taps=result.num_taps,
    )


# --------------------------------------------------------------------------- files


def _written(
    request: SimulateRequest,
    folder: Path,
    report: SimulationReport,
    result: AncSimulation,
    curve: CausalityMargin | None,
) -> SimulationReport:
    """Write sounds, filters, pictures and, last, the record that names them all."""
    files, gain_db = _write_sounds(folder, result)
    exports = [_export(word, folder, report, result) for word in request.exports]
    remarks = report.remarks
    files += _write_pictures(folder, report, result, curve)
    files += [line.path for line in exports if line.path is not None]
    target = folder / "figures.json"
    report = report.model_copy(
        update={
            "files": (*files, printable(target)),
            "exports": tuple(exports),
            "output_gain_db": gain_db,
            "remarks": remarks,
        }
    )
    write_text_atomic(target, report.to_json(indent=2))
    return report


def _write_sounds(folder: Path, result: AncSimulation) -> tuple[list[str], float | None]:
    """Write disturbance and error, lowered alike if one of them would clip in a player."""
    rate = result.figures.sample_rate
    signals = {name: np.nan_to_num(getattr(result, name)) for name in SOUNDS}
    peak = max(float(np.max(np.abs(signal), initial=0.0)) for signal in signals.values())
    gain = 0.999 / peak if peak > 0.999 else 1.0
    written = []
    for name, signal in signals.items():
        path = folder / f"{name}.wav"
        with open_writer(
            path,
            sample_rate=rate,
            num_channels=signal.shape[1],
            format=AudioFormat(container="WAV", subtype="FLOAT"),
        ) as writer:
            writer.write(np.asarray(signal * np.float32(gain), np.float32))
        written.append(printable(path))
    return written, 20.0 * float(np.log10(gain)) if gain < 1.0 else None


def _export(word: str, folder: Path, report: SimulationReport, result: AncSimulation) -> ExportLine:
    from anc_core.audio.filter_files import export_filter

    suffix, kind = EXPORT_SUFFIXES[word]
    taps = result.taps[0, 0] if result.taps.shape[:2] == (1, 1) else result.taps
    try:
        done = export_filter(
            taps,
            folder / f"control_filter{suffix}",
            sample_rate=report.figures.sample_rate,
            format=kind,
            description=f"Control filter of {report.algorithm}, step {report.step_size:g}, "
            f"after {report.figures.duration_s:.1f} s of simulated noise.",
        )
    except InputError as err:
        return ExportLine(format=word, reason=str(err))
    return ExportLine(format=word, path=printable(done.path), error_db=done.error_db)


def _write_pictures(
    folder: Path, report: SimulationReport, result: AncSimulation, curve: CausalityMargin | None
) -> list[str]:
    from anc_core.reports.anc_plots import AncRun, write_anc_plots

    name = Path(report.source_path).name
    title = f"{name}: {report.algorithm}, {report.num_taps} taps"
    run = AncRun(
        disturbance=result.disturbance,
        error_signal=result.error_signal,
        sample_rate=report.figures.sample_rate,
        figures=result.figures,
        margins={} if curve is None else {name: curve},
        title=title,
    )
    return [printable(path) for path in write_anc_plots(folder, run, picture_formats=("png",))]
