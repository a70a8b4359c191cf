"""What a simulation of ANC is asked for and what it found: records, as the command prints them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from anc_core.metrics.anc_figures import AncFigures
from anc_core.metrics.identification_figures import IdentificationFigures
from anc_core.records import Record
from anc_core.version import __version__

if TYPE_CHECKING:
    from typing import Self

    from anc_core.dsp.fxlms_controller import DeviceModel
    from anc_core.dsp.wiener import CausalityMargin

EXPORT_SUFFIXES = {
    "c": (".h", "float"),
    "q15": ("_q15.h", "q15"),
    "q31": ("_q31.h", "q31"),
    "wav": (".wav", "wav"),
    "json": (".json", "json"),
    "sos": ("_sos.csv", "sos"),
}
"""Word of the command line -> end of the file's name, format of ``export_filter``."""


class PathFiles(Record):
    """Where the acoustic paths are; ``FILE:NAME`` names a variable of a MAT, CSV or JSON file."""

    primary: str
    """Noise to error microphone."""
    secondary: str
    """Loudspeaker to error microphone."""
    estimate: str | None = None
    """What the controller believes of the secondary path; empty = the truth, or nothing with online
    identification."""
    variable: str | None = None
    """Of MAT files that are named without one."""
    path_rate: int | None = Field(default=None, ge=1_000, le=768_000)
    """Hz, for files that do not say their rate."""
    filter_bank: str | None = None
    """Fixed filters for ``sfanc``; empty = those for band-limited noises."""

    @property
    def files(self) -> tuple[str, ...]:
        """All that are named, as they are named."""
        names = (self.primary, self.secondary, self.estimate, self.filter_bank)
        return tuple(name for name in names if name is not None)


class Excerpt(Record):
    """Which part of a recording is simulated."""

    start_s: float = Field(default=0.0, ge=0.0)
    duration_s: float | None = Field(default=None, gt=0.0)
    """Seconds; empty = to the end."""
    repeat_to_s: float | None = Field(default=None, gt=0.0)
    """What is shorter is repeated to this length."""
    channel: int | None = Field(default=None, ge=0)
    """From 0; empty = the strongest one, or as many as the primary path has references."""


class RunSettings(Record):
    """What does not change within a sweep: structure, device and arithmetic."""

    structure: Literal["feedforward", "feedback", "hybrid"] = "feedforward"
    leakage: float = Field(default=0.0, ge=0.0, lt=1.0)
    guard: bool = True
    saturation: float | None = Field(default=None, gt=0.0)
    """Largest amplitude of the loudspeaker, full scale 1."""
    bits: int | None = Field(default=None, ge=4, le=32)
    """Word length of the converters, in and out."""
    reference_noise_db: float | None = Field(default=None, ge=-300.0, le=100.0)
    """Own noise of the reference microphone, dBFS."""
    microphone_noise_db: float | None = Field(default=None, ge=-300.0, le=100.0)
    """Own noise of the error microphone, dBFS."""
    dtype: Literal["float32", "float64"] = "float32"
    seed: int = Field(default=0, ge=0)
    """Of the microphones' noise and of the auxiliary one."""
    online_identification: bool = False
    """Identify the secondary path with auxiliary noise while the controller works."""

    def device(self, io_delay: int) -> DeviceModel:
        """Return the device with ``io_delay`` samples from reference to loudspeaker."""
        from anc_core.dsp.fxlms_controller import DeviceModel

        return DeviceModel(
            io_delay=io_delay,
            drive_bits=self.bits,
            microphone_bits=self.bits,
            saturation=self.saturation,
            reference_noise_db=self.reference_noise_db,
            microphone_noise_db=self.microphone_noise_db,
        )


class SimulateRequest(Record):
    """One recording to be simulated."""

    noise: Path
    paths: PathFiles
    excerpt: Excerpt = Excerpt()
    settings: RunSettings = RunSettings()
    algorithm: str = "fxnlms"
    num_taps: int | None = None
    step_size: float | None = None
    io_delay: int = 0
    output_dir: Path | None = None
    exports: tuple[str, ...] = ()
    causality: bool = False
    """Compute what further delay would cost."""


class GuardLine(Record):
    """Something the guards did."""

    time_s: float
    kind: str
    level_db: float | None = None


class ExportLine(Record):
    """A filter that was written, or why it was not."""

    format: str
    path: str | None = None
    error_db: float | None = None
    """Energy of the rounding or of the fit, relative to the filter's."""
    reason: str | None = None


class CausalityFigures(Record):
    """What delay beyond that of the device would cost: the best causal filter at each delay."""

    num_taps: int
    delays_samples: tuple[int, ...]
    delays_s: tuple[float, ...]
    attenuation_db: tuple[float | None, ...]
    """``None`` where there is nothing to cancel."""
    margin_samples: float | None
    """Delay that costs 3 dB; ``None`` = none of these does."""
    margin_s: float | None
    knee_samples: float | None
    """Where the curve falls most steeply."""
    lead_samples: int
    """Largest tap of the primary path less that of the secondary path and the device's delay."""

    @classmethod
    def of(cls, curve: CausalityMargin) -> Self:
        """Return the figures of a curve."""
        margin = curve.margin_samples()
        return cls(
            num_taps=curve.num_taps,
            delays_samples=curve.delays_samples,
            delays_s=curve.delays_s,
            attenuation_db=curve.attenuation_db,
            margin_samples=margin,
            margin_s=None if margin is None else margin / curve.sample_rate,
            knee_samples=curve.knee_samples,
            lead_samples=curve.lead_samples,
        )


class SimulationReport(Record):
    """What ``anc simulate`` found; ``--json`` prints it, ``figures.json`` holds it."""

    source_path: str
    source_rate: int
    """Hz, of the recording; figures and files are at ``figures.sample_rate``."""
    channel: int | None
    """The channel that was taken, from 0; ``None`` = all of them, as references."""
    primary: str
    secondary: str
    estimate: str | None
    path_taps: tuple[int, int]
    """Of the primary and the secondary path, as simulated."""
    algorithm: str
    num_taps: int
    step_size: float
    io_delay: int
    settings: RunSettings
    figures: AncFigures
    causality: CausalityFigures | None = None
    """Where it was asked for."""
    identification: IdentificationFigures | None = None
    """``None`` = the path was not identified online."""
    guard_events: tuple[GuardLine, ...] = ()
    remarks: tuple[str, ...] = ()
    """What was done to fit recording and paths together."""
    output_gain_db: float | None = None
    """By how much the sound files were lowered so that none clips; figures are of the originals."""
    files: tuple[str, ...] = ()
    exports: tuple[ExportLine, ...] = ()
    wall_s: float = 0.0
    core_version: str = __version__
