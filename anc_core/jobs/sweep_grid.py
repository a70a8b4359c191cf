"""The grid of a sweep: which settings are tried, out of a TOML file or a form, checked at once.

A grid is the product of algorithm, step size, taps, delay of the device and mismatch of the
estimate; every list may be a single value. ``docs/simulate.md`` shows one with all keys.
"""

from __future__ import annotations

import difflib
import itertools
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from anc_core.errors import InputError
from anc_core.files import open_regular, printable
from anc_core.jobs.simulate_records import Excerpt, PathFiles, RunSettings
from anc_core.jobs.sweep_grid_faults import describe_faults, refuse_unknown_keys
from anc_core.records import Record

DEFAULT = "default"
"""Word for a step size or a number of taps that is left to the algorithm."""

SWEEP_DURATION_S = 30.0
MAX_GRID_BYTES = 1 << 20

T = TypeVar("T")


def _listed(value: object) -> object:
    """Return a single value as a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _once(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _or_default(value: object) -> object:
    return None if value == DEFAULT else value


Several = BeforeValidator(_listed)
Step = Annotated[
    Annotated[float, Field(gt=0.0, lt=2.0, strict=True)] | None, BeforeValidator(_or_default)
]
Taps = Annotated[
    Annotated[int, Field(ge=1, le=65_536, strict=True)] | None, BeforeValidator(_or_default)
]
Delay = Annotated[int, Field(ge=0, le=65_536, strict=True)]
Gain = Annotated[float, Field(ge=-120.0, le=120.0, strict=True)]
Lateness = Annotated[float, Field(ge=-65_536.0, le=65_536.0, strict=True)]
Angle = Annotated[float, Field(ge=-360.0, le=360.0, strict=True)]


class SweepCell(Record):
    """One setting of the grid; ``None`` = left to the algorithm."""

    algorithm: str
    step_size: float | None = None
    num_taps: int | None = None
    io_delay: int = 0
    gain_db: float = 0.0
    delay_samples: float = 0.0
    phase_deg: float = 0.0

    @property
    def mismatch(self) -> tuple[float, float, float]:
        """How the controller's estimate is wrong: gain dB, delay samples, phase degrees."""
        return self.gain_db, self.delay_samples, self.phase_deg


class MismatchGrid(Record):
    """How wrong the controller's idea of the secondary path is."""

    gain_db: Annotated[tuple[Gain, ...], Several, Field(min_length=1)] = (0.0,)
    """The estimate is so much too strong, dB."""
    delay_samples: Annotated[tuple[Lateness, ...], Several, Field(min_length=1)] = (0.0,)
    """And so much too late."""
    phase_deg: Annotated[tuple[Angle, ...], Several, Field(min_length=1)] = (0.0,)
    """And turned by this angle at every frequency, degrees."""
    combine: Literal["one_at_a_time", "all"] = "one_at_a_time"
    """``one_at_a_time``: no error, then each error alone. ``all``: every combination."""

    @property
    def num_combinations(self) -> int:
        """How many errors :meth:`combinations` returns, counted without making them."""
        axes = (self.gain_db, self.delay_samples, self.phase_deg)
        if self.combine == "all":
            return math.prod(len(set(axis)) for axis in axes)
        return 1 + sum(len(set(axis) - {0.0}) for axis in axes)

    def combinations(self) -> tuple[tuple[float, float, float], ...]:
        """Return (gain_db, delay_samples, phase_deg) of every error, each once."""
        axes = (self.gain_db, self.delay_samples, self.phase_deg)
        if self.combine == "all":
            return _once(tuple(itertools.product(*axes)))
        alone = [
            (*(0.0,) * place, value, *(0.0,) * (2 - place))
            for place, values in enumerate(axes)
            for value in values
        ]
        return _once(((0.0, 0.0, 0.0), *alone))  # type: ignore[arg-type]


class GridPaths(Record):
    """Where the paths are, relative to the grid's file; options of the command line win."""

    primary: str | None = None
    secondary: str | None = None
    estimate: str | None = None
    variable: str | None = None
    path_rate: int | None = Field(default=None, ge=1_000, le=768_000)
    filter_bank: str | None = None
    """Fixed filters for sfanc; empty = those for band-limited noises."""


class GridExcerpt(Excerpt):
    """Which part of each recording is simulated."""

    duration_s: float | None = Field(default=SWEEP_DURATION_S, gt=0.0)
    """Seconds from ``start_s``; shorter recordings are taken whole."""


class SweepGrid(Record):
    """All settings that a sweep tries."""

    algorithm: Annotated[tuple[str, ...], Several, Field(min_length=1)] = ("fxnlms",)
    """Names of algorithms."""
    step_size: Annotated[tuple[Step, ...], Several, Field(min_length=1)] = (None,)
    """Above 0 and below 2, or "default"."""
    num_taps: Annotated[tuple[Taps, ...], Several, Field(min_length=1)] = (None,)
    """Of the control filter, or "default": as many as the primary path, 2048 at most."""
    io_delay: Annotated[tuple[Delay, ...], Several, Field(min_length=1)] = (0,)
    """Delay of the device in samples."""
    mismatch: MismatchGrid = MismatchGrid()
    """Errors of the controller's estimate of the secondary path."""
    recording: GridExcerpt = GridExcerpt()
    """Which part of each recording is simulated."""
    run: RunSettings = RunSettings()
    """What is the same in all cells."""
    paths: GridPaths = GridPaths()
    """Where the acoustic paths are."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: object) -> object:
        if isinstance(given, Mapping):
            refuse_unknown_keys(given, cls)
        return given

    @model_validator(mode="after")
    def _known_algorithms(self) -> SweepGrid:
        from anc_core.processors.simulate import ALGORITHMS

        for name in self.algorithm:
            if name not in ALGORITHMS:
                near = difflib.get_close_matches(name, ALGORITHMS, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                msg = f"algorithm {name!r} is unknown{hint}; choose from {', '.join(ALGORITHMS)}"
                raise ValueError(msg)
        return self

    def cells(self) -> tuple[SweepCell, ...]:
        """Return every setting once, those that differ least next to each other."""
        return tuple(
            SweepCell(
                algorithm=algorithm,
                step_size=step_size,
                num_taps=num_taps,
                io_delay=io_delay,
                gain_db=gain,
                delay_samples=late,
                phase_deg=phase,
            )
            for num_taps in _once(self.num_taps)
            for io_delay in _once(self.io_delay)
            for algorithm in _once(self.algorithm)
            for step_size in self._steps_of(algorithm)
            for gain, late, phase in self.mismatch.combinations()
        )

    @property
    def num_cells(self) -> int:
        """How many settings :meth:`cells` returns, counted without making them."""
        steps = sum(len(self._steps_of(algorithm)) for algorithm in set(self.algorithm))
        axes = (self.num_taps, self.io_delay)
        return steps * math.prod(len(set(axis)) for axis in axes) * self.mismatch.num_combinations

    def _steps_of(self, algorithm: str) -> tuple[float | None, ...]:
        """Return the step sizes to be tried: fixed filters have none."""
        from anc_core.processors.simulate import SELECTIVE

        return (None,) if algorithm == SELECTIVE else _once(self.step_size)


def read_grid(path: Path | str) -> SweepGrid:
    """Return the grid in a TOML file; paths in it are relative to its folder.

    Raises
    ------
    InputError
        If it is no TOML, a key is unknown (the message names the right one) or a value out of its
        range; with the line.
    SourceError
        If the file cannot be read.
    """
    path, name = Path(path), printable(path)
    with open_regular(path) as file:
        content = file.read(MAX_GRID_BYTES + 1) or b""
    if len(content) > MAX_GRID_BYTES:
        msg = f"{name}: has more than {MAX_GRID_BYTES} bytes; this is no grid"
        raise InputError(msg)
    try:
        text = content.decode()
        given = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        msg = f"{name}: is no TOML: {err}"
        raise InputError(msg) from err
    grid = parse_grid(given, name, text)
    folder = path.absolute().parent
    placed = {
        key: str(folder / value)
        for key in ("primary", "secondary", "estimate", "filter_bank")
        if (value := getattr(grid.paths, key)) is not None
    }
    return grid.model_copy(update={"paths": grid.paths.model_copy(update=placed)})


def parse_grid(given: Mapping[str, Any], name: str = "grid", text: str = "") -> SweepGrid:
    """Return the grid that plain values describe.

    Parameters
    ----------
    given : mapping
    name : str
        What errors call it.
    text : str
        The TOML that held the values, so that errors can name the line.

    Raises
    ------
    InputError
        As :func:`read_grid`.
    """
    try:
        return SweepGrid.model_validate(given)
    except ValidationError as err:
        raise InputError(f"{name}: {describe_faults(err, text)}") from err


def path_files(grid: SweepGrid, **options: str | int | None) -> PathFiles:
    """Return the paths of the grid, where no option names another.

    Raises
    ------
    InputError
        If primary or secondary path are named nowhere.
    """
    named = {key: value for key, value in options.items() if value is not None}
    found = grid.paths.model_dump() | named
    for key in ("primary", "secondary"):
        if found[key] is None:
            msg = f"no {key} path; name it with --{key} or as {key} under [paths] of the grid"
            raise InputError(msg)
    return PathFiles(**found)
