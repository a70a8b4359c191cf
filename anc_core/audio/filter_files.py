"""Filters into files: what a processor, a measuring program or this program reads again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import check_sample_rate
from anc_core.audio import c_headers
from anc_core.audio.path_formats import FILTER_FORMAT, SECTIONS_FORMAT
from anc_core.dsp.levels import energy_ratio_db
from anc_core.dsp.paths import check_path
from anc_core.errors import InputError
from anc_core.files import printable, write_text_atomic

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_SUFFIXES = {
    "float": (".h", ".hpp", ".inc"),
    "q15": (".h", ".hpp", ".inc"),
    "q31": (".h", ".hpp", ".inc"),
    "wav": (".wav",),
    "json": (".json",),
    "sos": (".csv", ".json", ".h", ".hpp", ".inc"),
}
_FORMAT_OF_SUFFIX = {
    suffix: kind for kind in reversed(_SUFFIXES) for suffix in _SUFFIXES[kind]
}  # so that the first format of a suffix is its own

_COLUMNS = "b0,b1,b2,a1,a2"
_SECTION = "y[n] = b0*x[n] + b1*x[n-1] + b2*x[n-2] - a1*y[n-1] - a2*y[n-2]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFilter:
    """What was written.

    Attributes
    ----------
    path : Path
    format : str
        ``float``, ``q15``, ``q31``, ``wav``, ``json`` or ``sos``.
    error_db : float or None
        Energy of the difference between the written and the given filter over that of the given
        one: rounding, or the fit of the sections. None = none.
    shift : int or None
        q15, q31: a tap is value·2^(shift - 15) or value·2^(shift - 31).
    num_sections, delay_samples : int or None
        sos: sections, and the pure delay to be put before them.
    """

    path: Path
    format: str
    error_db: float | None = None
    shift: int | None = None
    num_sections: int | None = None
    delay_samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    taps: NDArray[np.float64]
    path: Path
    sample_rate: int
    name: str
    description: str
    num_sections: int | None

    @property
    def title(self) -> str:
        channels = ""
        if self.taps.ndim == 3:
            channels = f"{self.taps.shape[0]} outputs from {self.taps.shape[1]} inputs, "
        return f"{channels}{self.taps.shape[-1]} taps, {self.sample_rate} Hz"


def export_filter(
    taps: ArrayLike,
    path: Path | str,
    *,
    sample_rate: float,
    format: str | None = None,  # noqa: A002 - the word of the command line
    name: str | None = None,
    description: str = "",
    num_sections: int | None = None,
) -> ExportedFilter:
    """Write a filter, complete or not at all.

    Parameters
    ----------
    taps : array_like, shape (num_taps,) or (num_outputs, num_inputs, num_taps)
        First tap first.
    path : path
        Replaced atomically if it exists; missing folders are made.
    sample_rate : float
        Hz.
    format : {"float", "q15", "q31", "wav", "json", "sos"}, optional
        C header with floats, 16-bit or 32-bit fixed point; float32 WAV; JSON; second-order
        sections as CSV, JSON or C header, by the suffix. If not given, the suffix decides:
        ``.h`` float, ``.csv`` sos.
    name : str, optional
        Of the array in a C header; the file's name, made fit, if not given.
    description : str
        Words for whoever opens the file.
    num_sections : int, optional
        sos: 1 to 32; see :func:`anc_core.dsp.sections.fit_sections`.

    Raises
    ------
    InputError
        If a parameter breaks its rule, or the format cannot hold the filter.
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    path = Path(path)
    checked = check_path(taps, "taps")
    format = _checked_format(format, path)  # noqa: A001 - as the parameter
    if num_sections is not None and format != "sos":
        msg = f"num_sections is {num_sections}, but the format is {format}; it belongs to sos"
        raise InputError(msg)
    job = _Job(
        taps=checked,
        path=path,
        sample_rate=check_sample_rate(sample_rate),
        name=c_headers.identifier_from(path.stem)
        if name is None
        else c_headers.check_identifier(name),
        description=description,
        num_sections=num_sections,
    )
    return _WRITERS[format](job)


def _checked_format(kind: str | None, path: Path) -> str:
    suffix = path.suffix.lower()
    if kind is None:
        if suffix not in _FORMAT_OF_SUFFIX:
            known = ", ".join(f"{suffix} ({kind})" for suffix, kind in _FORMAT_OF_SUFFIX.items())
            msg = f"{printable(path)}: suffix {suffix!r} tells no format; name one, or use {known}"
            raise InputError(msg)
        return _FORMAT_OF_SUFFIX[suffix]
    if kind not in _SUFFIXES:
        msg = f"format is {kind!r}; choose one of {', '.join(_SUFFIXES)}"
        raise InputError(msg)
    if suffix not in _SUFFIXES[kind]:
        wanted = " or ".join(_SUFFIXES[kind])
        msg = f"{printable(path)}: format {kind} is written to {wanted}; rename the output"
        raise InputError(msg)
    return kind


# ----------------------------------------------------------------------------- C


def _write_float(job: _Job) -> ExportedFilter:
    values = job.taps.astype(np.float32)
    error = energy_ratio_db(values - job.taps, job.taps)
    meaning = [f"Rounding to float: {_db(error)} of the filter's energy."]
    _write_taps(job, meaning, {}, "float", values)
    return ExportedFilter(path=job.path, format="float", error_db=error)


def _write_fixed(num_bits: int) -> Callable[[_Job], ExportedFilter]:
    def write(job: _Job) -> ExportedFilter:
        fixed = c_headers.fixed_point(job.taps, num_bits)
        kind, exponent = f"q{num_bits - 1}", fixed.shift - num_bits + 1
        headroom = c_headers.headroom_bits(job.taps)
        macros = {"SHIFT": fixed.shift, "HEADROOM_BITS": headroom}
        meaning = [
            f"{kind.upper()}: a tap is value * 2^(SHIFT - {num_bits - 1}) = value * 2^{exponent}:",
            f"y = (sum of value * x >> {num_bits - 1}) << SHIFT, SHIFT = {fixed.shift}.",
            f"Rounding: {_db(fixed.error_db)} of the filter's energy.",
            f"Inputs {headroom} bits below full scale can never overdrive an output.",
        ]
        _write_taps(job, meaning, macros, f"int{num_bits}_t", fixed.values)
        return ExportedFilter(
            path=job.path, format=kind, error_db=fixed.error_db, shift=fixed.shift
        )

    return write


def _write_taps(
    job: _Job, meaning: list[str], macros: dict[str, int], kind: str, values: NDArray[Any]
) -> None:
    order = "[m][j][k] from input j to output m" if values.ndim == 3 else "[k]"
    comment = [
        f"{job.name}: FIR filter, {job.title}.",
        *c_headers.plain_lines(job.description),
        f"{job.name}{order}; the first tap has k = 0: y[n] = sum of tap k * x[n - k].",
        *meaning,
    ]
    sizes = {"SAMPLE_RATE_HZ": job.sample_rate}
    if values.ndim == 3:
        sizes |= {"NUM_OUTPUTS": values.shape[0], "NUM_INPUTS": values.shape[1]}
    sizes["NUM_TAPS"] = values.shape[-1]
    write_text_atomic(job.path, c_headers.header(job.name, comment, sizes | macros, kind, values))


def _db(error: float | None) -> str:
    return "nothing" if error is None else f"{error:.1f} dB"


# ----------------------------------------------------------------------------- sound and JSON


def _write_wav(job: _Job) -> ExportedFilter:
    from anc_core.audio.formats import AudioFormat
    from anc_core.audio.writer import open_writer

    taps = job.taps[np.newaxis, np.newaxis] if job.taps.ndim == 1 else job.taps
    if min(taps.shape[:2]) > 1:
        msg = (
            f"{printable(job.path)}: a WAV has one row of channels, the filter has shape "
            f"{taps.shape}; write json, or one pair at a time"
        )
        raise InputError(msg)
    columns = taps.reshape(-1, taps.shape[-1]).T.astype(np.float32)
    with open_writer(
        job.path,
        sample_rate=job.sample_rate,
        num_channels=columns.shape[1],
        format=AudioFormat(container="WAV", subtype="FLOAT"),
    ) as writer:
        writer.write(columns)
    error = energy_ratio_db(columns.T.reshape(job.taps.shape) - job.taps, job.taps)
    return ExportedFilter(path=job.path, format="wav", error_db=error)


def _write_json(job: _Job) -> ExportedFilter:
    _write_object(
        job,
        {
            "format": FILTER_FORMAT,
            "version": 1,
            "description": job.description,
            "sample_rate": job.sample_rate,
            "scale": 1.0,
            "taps": job.taps.tolist(),
        },
    )
    return ExportedFilter(path=job.path, format="json")


def _write_object(job: _Job, content: dict[str, Any]) -> None:
    write_text_atomic(job.path, json.dumps(content, indent=1) + "\n")


# ----------------------------------------------------------------------------- sections


def _write_sections(job: _Job) -> ExportedFilter:
    from anc_core.dsp.sections import error_db, fit_sections

    fit = fit_sections(job.taps, num_sections=job.num_sections)
    if job.path.suffix.lower() in _SUFFIXES["float"]:
        rounded = fit.sections.astype(np.float32)
        _refuse_unstable(rounded, job)
        # Rounding of coefficients changes the response: the error is that of what is written.
        error = error_db(job.taps, rounded.astype(np.float64), fit.delay_samples)
        fit = replace(fit, error_db=error)
    facts = [
        f"Second-order sections for an FIR filter of {job.title}.",
        *c_headers.plain_lines(job.description),
        f"Before them a delay of {fit.delay_samples} samples; then one after the other",
        f"{_SECTION}.",
        f"Difference from the FIR filter: {_db(fit.error_db)} of its energy.",
    ]
    suffix = job.path.suffix.lower()
    if suffix == ".csv":
        rows = [",".join(map(repr, row)) for row in fit.sections.tolist()]
        comment = [f"# {line}".rstrip() for line in facts]
        write_text_atomic(job.path, "\n".join([*comment, _COLUMNS, *rows, ""]))
    elif suffix == ".json":
        content = {
            "format": SECTIONS_FORMAT,
            "version": 1,
            "description": job.description,
            "sample_rate": job.sample_rate,
            "delay_samples": fit.delay_samples,
            "error_db": fit.error_db,
            "columns": _COLUMNS,
            "sections": fit.sections.tolist(),
        }
        _write_object(job, content)
    else:
        macros = {
            "SAMPLE_RATE_HZ": job.sample_rate,
            "DELAY_SAMPLES": fit.delay_samples,
            "NUM_SECTIONS": len(fit.sections),
        }
        facts[0] = f"{job.name}: {facts[0][0].lower()}{facts[0][1:]} Rows {_COLUMNS}."
        values = fit.sections.astype(np.float32)
        write_text_atomic(job.path, c_headers.header(job.name, facts, macros, "float", values))
    return ExportedFilter(
        path=job.path,
        format="sos",
        error_db=fit.error_db,
        num_sections=len(fit.sections),
        delay_samples=fit.delay_samples,
    )


def _refuse_unstable(sections: NDArray[np.float32], job: _Job) -> None:
    """Refuse sections that rounding has brought onto the unit circle (stability triangle)."""
    a1, a2 = sections[:, 3].astype(np.float64), sections[:, 4].astype(np.float64)
    if not ((np.abs(a2) < 1.0) & (np.abs(a1) < 1.0 + a2)).all():
        msg = (
            f"{printable(job.path)}: a pole is too near the unit circle for float; "
            "use fewer sections, or export json"
        )
        raise InputError(msg)


_WRITERS: dict[str, Callable[[_Job], ExportedFilter]] = {
    "float": _write_float,
    "q15": _write_fixed(16),
    "q31": _write_fixed(32),
    "wav": _write_wav,
    "json": _write_json,
    "sos": _write_sections,
}
