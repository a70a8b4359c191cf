"""A filtered-x LMS controller with its acoustics: parameters, state, and the stream around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.adaptive_fxlms import NUM_MEMORIES, StepRule, fxlms_block, probed_fxlms_block
from anc_core.dsp.adaptive_guard import (
    BLOCK,
    COUNT,
    GuardLimits,
    GuardMemory,
)
from anc_core.dsp.auxiliary_noise import auxiliary_noise
from anc_core.dsp.block_gradient import BlockGradient
from anc_core.dsp.guarded_controller import GuardedController
from anc_core.dsp.jit import check_dtype
from anc_core.dsp.online_identification import LEAST_LEAKAGE, OnlineIdentification
from anc_core.dsp.paths import as_matrix, check_num_taps
from anc_core.dsp.recollection import Recollection
from anc_core.errors import InputError

if TYPE_CHECKING:
    from anc_core.dsp.online_identification import IdentificationPoint
    from anc_core.dsp.online_identifier import OnlineIdentifier

Array = NDArray[Any]

_AVERAGING_S = 1.0
"""Of the weights; longer tracks worse, shorter leaves more of the noise of a large step."""

_CATCHING_UP_S = 0.3
"""The same while the weights themselves are clearly better. Much shorter, and a loop through a
wrong secondary path grows faster than the detector looks."""

_DEFAULTS = {"block": (0.3, 0.03), "modified": (0.4, 1.0), "plain": (0.03, 1e-3)}
"""Step and regularization. Chosen on a measured duct with 512 taps: the first two within 0.4 dB of
the best causal filter on steady noises; a plain controller has no step that suits all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModel:
    """What a real device adds; by default nothing.

    Attributes
    ----------
    io_delay : int
        Samples from the reference microphone through converters and processor to the loudspeaker.
    drive_bits, microphone_bits : int or None
        Word length of the converters for a full scale of +-1, 4 to 32.
    saturation : float or None
        The loudspeaker's largest amplitude: drive u becomes saturation·tanh(u / saturation).
    reference_noise_db, microphone_noise_db : float or None
        Level of the sensors' own white noise, dBFS.
    """

    io_delay: int = 0
    drive_bits: int | None = None
    microphone_bits: int | None = None
    saturation: float | None = None
    reference_noise_db: float | None = None
    microphone_noise_db: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.io_delay <= 65_536 or self.io_delay != int(self.io_delay):
            msg = f"io_delay is {self.io_delay}; it must be a whole number from 0 to 65536 samples"
            raise InputError(msg)
        for name in ("drive_bits", "microphone_bits"):
            bits = getattr(self, name)
            if bits is not None and not 4 <= bits <= 32:
                raise InputError(f"{name} is {bits}; it must be from 4 to 32")
        if self.saturation is not None and not 0 < self.saturation < math.inf:
            raise InputError(f"saturation is {self.saturation}; it must be above 0")
        for name in ("reference_noise_db", "microphone_noise_db"):
            level = getattr(self, name)
            if level is not None and not -300 <= level <= 100:
                raise InputError(f"{name} is {level}; it must be from -300 to 100 dBFS")

    @property
    def is_linear(self) -> bool:
        """Whether the loudspeaker does exactly what it is told."""
        return self.drive_bits is None and self.saturation is None


def converter_step(bits: int | None) -> float:
    """Return the quantisation step of a converter with full scale +-1; 0 for none."""
    return 0.0 if bits is None else 2.0 ** (1 - bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class FxlmsParameters:
    """How a controller adapts.

    Attributes
    ----------
    num_taps : int
        Of each control filter, 1 to 65 536.
    step_size : float, optional
        Above 0 and below 2. Default 0.4 modified, 0.03 plain, 0.3 in blocks.
    rule : StepRule
    is_modified : bool
        Learn from the error that the present weights *would* make, and put out their average (see
        :func:`anc_core.dsp.adaptive_fxlms.fxlms_block`), mixed with what is recalled of the last
        seconds (:mod:`anc_core.dsp.recollection`) where :attr:`recalls` says so; else the
        filtered-x LMS of the books.
    is_block : bool
        Learn once a block of some 4 ms, each frequency by itself (see
        :class:`anc_core.dsp.block_gradient.BlockGradient`).
    is_feedback : bool
        Take the error microphones as references too, freed of the controller's own anti-noise by
        its internal model (IMC).
    regularization : float, optional
        0 to 10, relative to the usual power of the filtered references. Default 1 modified,
        0.001 plain, 0.03 in blocks.
    leakage : float
        0 to below 1: share of the weights that is forgotten with every sample.
    guarded : bool
        The guards of :mod:`anc_core.dsp.adaptive_guard`.
    """

    num_taps: int
    step_size: float | None = None
    rule: StepRule = StepRule.NORMALISED
    is_modified: bool = True
    is_block: bool = False
    is_feedback: bool = False
    regularization: float | None = None
    leakage: float = 0.0
    guarded: bool = True

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_num_taps(self.num_taps)
        if not 0 < self.step < 2:
            raise InputError(f"step_size is {self.step_size}; it must be above 0 and below 2")
        if not 0 <= self.regular <= 10:
            raise InputError(f"regularization is {self.regularization}; it must be from 0 to 10")
        if self.is_block and self.rule != StepRule.NORMALISED:
            msg = (
                f"rule is {self.rule.name}; a controller that learns in blocks has NORMALISED only"
            )
            raise InputError(msg)
        if not 0 <= self.leakage < 1:
            raise InputError(f"leakage is {self.leakage}; it must be at least 0 and below 1")

    @property
    def step(self) -> float:
        """The step size, chosen or default."""
        return _DEFAULTS[self._kind][0] if self.step_size is None else self.step_size

    @property
    def regular(self) -> float:
        """The regularization, chosen or default."""
        return _DEFAULTS[self._kind][1] if self.regularization is None else self.regularization

    @property
    def _kind(self) -> str:
        if self.is_block:
            return "block"
        return "modified" if self.is_modified else "plain"

    @property
    def recalls(self) -> bool:
        """Whether what was best over the last seconds is recalled, if the path is known.

        Not with feedback, whose loop would get its full gain at once, and not by rules that are
        there because squares of the error mislead.
        """
        is_square = self.rule == StepRule.NORMALISED
        return self.is_modified and is_square and not self.is_feedback


class FxlmsController(GuardedController):
    """Filtered-x LMS over J references, K loudspeakers and M error microphones.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000.
    secondary_path : array_like, shape (num_taps,) or (M, K, num_taps)
        What the loudspeakers' sound really passes.
    parameters : FxlmsParameters
    num_references : int, default 1
        J; 0 for a controller with feedback alone.
    estimate : array_like, optional
        What the controller believes of the secondary path; same M and K. Default: the truth, or
        with ``online_identification`` nothing.
    device : DeviceModel, optional
        ``io_delay`` is part of both paths; sensor noise is the caller's to add.
    dtype : {"float32", "float64"}
    online_identification : OnlineIdentification, optional
        Improve the estimate with auxiliary noise while the controller works.
    seed : int
        Of that noise.

    Raises
    ------
    InputError
        If a parameter breaks its rule.

    Notes
    -----
    The output does not depend on how the stream is cut into chunks, bit for bit. :meth:`state` and
    :meth:`load` stop and resume in mid-stream.
    """

    def __init__(
        self,
        sample_rate: float,
        secondary_path: ArrayLike,
        parameters: FxlmsParameters,
        *,
        num_references: int = 1,
        estimate: ArrayLike | None = None,
        device: DeviceModel | None = None,
        dtype: DTypeLike = "float32",
        online_identification: OnlineIdentification | None = None,
        seed: int = 0,
    ) -> None:
        self.sample_rate = check_sample_rate(sample_rate)
        self.parameters = parameters
        self.device = device or DeviceModel()
        self._dtype = check_dtype(dtype)
        kernel = fxlms_block if online_identification is None else probed_fxlms_block
        self._kernel = kernel(self._dtype)
        true = as_matrix(secondary_path, "secondary_path")
        self.num_mics, self.num_sources = true.shape[:2]
        believed = true if estimate is None else as_matrix(estimate, "secondary_path_estimate")
        if believed.shape[:2] != true.shape[:2]:
            msg = (
                f"secondary_path_estimate is for {believed.shape[0]} microphones and "
                f"{believed.shape[1]} loudspeakers, secondary_path for {true.shape[0]} and "
                f"{true.shape[1]}; they must agree"
            )
            raise InputError(msg)
        self.num_references = int(num_references)
        self._num_lines = num_references + (self.num_mics if parameters.is_feedback else 0)
        if num_references < 0 or not self._num_lines:
            msg = f"num_references is {num_references}; without any, the structure must be feedback"
            raise InputError(msg)
        if online_identification is not None:
            believed = _start_of_search(online_identification, believed, known=estimate is not None)
        self._secondary, self._estimate = self._rows(true), self._rows(believed)
        self._limits = GuardLimits(
            sample_rate=self.sample_rate,
            ramp_samples=4 * parameters.num_taps,
            hold_samples=parameters.num_taps + self._estimate.shape[1],
        ).as_array()
        self._numbers = np.array(
            [
                parameters.step,
                parameters.regular,
                max(parameters.leakage, 0.0 if online_identification is None else LEAST_LEAKAGE),
                self.device.saturation or 0.0,
                converter_step(self.device.drive_bits),
                converter_step(self.device.microphone_bits),
                1.0 - math.exp(-BLOCK / (_AVERAGING_S * self.sample_rate)),
                1.0 - math.exp(-BLOCK / (_CATCHING_UP_S * self.sample_rate)),
            ]
        )
        self._blocks = None
        if parameters.is_block:
            self._blocks = BlockGradient(
                self.sample_rate,
                self.num_mics,
                self.num_sources * self._num_lines,
                parameters.num_taps,
                parameters.regular,
                self._dtype,
            )
        self._recollection = None
        # An estimate that changes makes what was gathered with it worthless.
        if parameters.recalls and online_identification is None:
            self._recollection = Recollection(
                self.sample_rate,
                self.num_mics,
                self.num_sources * self._num_lines,
                parameters.num_taps,
                self._dtype,
            )
        self._nothing = self._zeros(0, parameters.num_taps)
        self._seed = seed
        self._identifier: OnlineIdentifier | None = None
        if online_identification is not None:
            self._identifier = self._identifier_of(online_identification)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard and learnt; a path that was changed stays as it is."""
        taps, rows = self.parameters.num_taps, self.num_sources * self._num_lines
        lines = self.num_mics * rows
        length = max(taps, self._estimate.shape[1], self._secondary.shape[1])
        memory = GuardMemory.start(self.sample_rate)
        self._state: dict[str, Array] = {
            "references": self._zeros(self._num_lines, length),
            "driven": self._zeros(self.num_sources, length),
            "commands": self._zeros(self.num_sources, length),
            "filtered": self._zeros(lines, taps),
            "weights": self._zeros(rows, taps),
            "averaged": self._zeros(rows, taps),
            "saved": self._zeros(rows, taps),
            "updates": self._zeros(self.num_mics),
            "dc_states": np.zeros((self._num_lines + 2 * self.num_mics + lines, 3)),
            "microphones": np.zeros((self.num_mics, NUM_MEMORIES)),
            "reference_means": np.zeros(max(self.num_references, 1)),
            "numbers": memory.numbers,
            "events": memory.events,
            "learnt": self._zeros(self.num_mics, self._blocks.block_length if self._blocks else 0),
        }
        if self._blocks:
            self._state |= self._blocks.start()
        if self._recollection:
            self._state |= self._recollection.start()
        if self._identifier is not None:
            self._state |= self._identifier.fresh_state(length)
            self._identifier.drain_trace()

    def process(
        self,
        reference: Array,
        disturbance: Array,
        microphone_noise: Array | None = None,
    ) -> tuple[Array, Array, Array]:
        """Run over one chunk.

        Parameters
        ----------
        reference : shape (num_samples, num_references)
            What the reference microphones pick up.
        disturbance : shape (num_samples, M)
            What arrives at the error microphones without control.
        microphone_noise : shape (num_samples, M), optional
            Heard by the controller and by nobody else.

        Returns
        -------
        error, anti_noise, drive
            (num_samples, M), (num_samples, M), (num_samples, K); error = disturbance + anti_noise,
            which is the drive through the secondary path. Auxiliary noise is part of both.
        """
        num = len(disturbance)
        lengths = [self._blocks.block_length] if self._blocks else []
        lengths += [self._recollection.stretch] if self._recollection else []
        if not lengths:
            return self._process(reference, disturbance, microphone_noise)
        parts: list[tuple[Array, Array, Array]] = []
        begin = 0
        while begin < num or not parts:
            count = int(self._state["numbers"][COUNT])
            end = min(num, *(begin + length - count % length for length in lengths))
            noise = None if microphone_noise is None else microphone_noise[begin:end]
            parts.append(self._process(reference[begin:end], disturbance[begin:end], noise))
            begin = end
        error, anti_noise, drive = (np.concatenate(part) for part in zip(*parts, strict=True))
        return error, anti_noise, drive

    def _process(
        self, reference: Array, disturbance: Array, microphone_noise: Array | None
    ) -> tuple[Array, Array, Array]:
        """Run over a chunk, or over the part of it that is in one block and one stretch."""
        num = len(disturbance)
        state = self._state
        heard = np.zeros((self._num_lines, num), self._dtype)
        heard[: self.num_references] = self._channels(reference, self.num_references, num)
        noise = self._zeros(0, num)
        if microphone_noise is not None:
            noise = self._channels(microphone_noise, self.num_mics, num)
        sound = self._channels(disturbance, self.num_mics, num)
        longer = {
            name: np.concatenate([state[name], fresh], axis=1)
            for name, fresh in (
                ("references", heard),
                ("driven", self._zeros(self.num_sources, num)),
                ("commands", self._zeros(self.num_sources, num)),
                ("filtered", self._zeros(len(state["filtered"]), num)),
            )
        }
        error, anti_noise = np.empty_like(sound), np.empty_like(sound)
        signals = (sound, noise, error, anti_noise)
        told = self._zeros(0 if self._recollection is None else 1 + self.num_mics, num)
        if self._identifier is None:
            self._run(longer, signals, self._estimate, told)
        else:
            self._run_identifying(self._identifier, longer, signals, told)
        fresh = longer["filtered"][:, self.parameters.num_taps :]
        if self._blocks is not None:
            self._learn(self._blocks, fresh)
        if self._recollection is not None:
            self._recollection.take(state, fresh, told)
        drive = longer["commands"][:, longer["commands"].shape[1] - num :]
        if self._identifier is not None:
            drive = drive + longer["auxiliary"][:, longer["auxiliary"].shape[1] - num :]
        for name, whole in longer.items():
            state[name] = whole[:, num:].copy()
        return error.T, anti_noise.T, drive.T

    def _run_identifying(
        self,
        identifier: OnlineIdentifier,
        longer: dict[str, Array],
        signals: tuple[Array, Array, Array, Array],
        told: Array,
    ) -> None:
        """Run over one chunk, block by block: noise and estimate change between blocks only."""
        state, num = self._state, signals[0].shape[1]
        first = int(state["numbers"][COUNT])
        unit = auxiliary_noise(self._seed, first, num, self.num_sources)
        auxiliary = np.concatenate([state["auxiliary"], self._zeros(self.num_sources, num)], axis=1)
        fresh = auxiliary[:, auxiliary.shape[1] - num :]
        probes = np.zeros((2 * self.num_mics, num))
        cuts = [0, *range(BLOCK - first % BLOCK, num, BLOCK), num] if num else []
        for piece in pairwise(cuts):
            fresh[:, slice(*piece)] = identifier.level(state) * unit[:, slice(*piece)]
            self._run(longer, signals, state["estimate"], told, auxiliary, probes, piece)
            identifier.learn(state, longer["references"], probes, auxiliary, self._limits, piece)
            identifier.note(first + piece[1], state, self._secondary)
        longer["auxiliary"] = auxiliary

    def _run(
        self,
        longer: dict[str, Array],
        signals: tuple[Array, Array, Array, Array],
        estimate: Array,
        told: Array,
        auxiliary: Array | None = None,
        probes: Array | None = None,
        piece: tuple[int, int] | None = None,
    ) -> None:
        state = self._state
        is_exact = self.device.is_linear and (
            self._identifier is None
            and estimate.shape == self._secondary.shape
            and np.array_equal(estimate, self._secondary)
        )
        self._kernel(
            longer["references"],
            *signals,
            state["weights"],
            state["averaged"],
            state.get("recalled", self._nothing),
            state.get("heard_weights", state["averaged"]),
            state["saved"],
            self._secondary,
            estimate,
            longer["driven"],
            longer["commands"],
            longer["filtered"],
            state["dc_states"],
            state["numbers"],
            state["events"],
            self._limits,
            self._numbers,
            state["microphones"],
            state["reference_means"],
            state["updates"],
            state["learnt"],
            told,
            auxiliary,
            probes,
            piece,
            int(self.parameters.rule),
            self.parameters.is_modified,
            self.parameters.is_feedback,
            is_exact,
            self.parameters.guarded,
        )

    def _learn(self, blocks: BlockGradient, filtered: Array) -> None:
        """Take the newest filtered references; where they end a block, learn from it."""
        state, parameters = self._state, self.parameters
        blocks.take(state, filtered)
        if int(state["numbers"][COUNT]) % blocks.block_length or not filtered.shape[1]:
            return
        number = int(state["numbers"][COUNT]) // blocks.block_length - 1
        change = blocks.change(state, state["learnt"], number)
        keep = (1.0 - parameters.leakage) ** blocks.block_length
        state["weights"] *= self._dtype.type(keep)
        state["weights"] -= change

    @property
    def taps(self) -> Array:
        """The control filters that are heard, shape (K, lines, num_taps), first tap first."""
        used = self._state["averaged" if self.parameters.is_modified else "weights"]
        used = self._state.get("heard_weights", used)
        # Pending updates of a plain controller belong to the next sample.
        shape = (self.num_sources, self._num_lines, self.parameters.num_taps)
        return used[:, ::-1].reshape(shape).copy()

    @property
    def estimate(self) -> Array:
        """What is believed of the secondary path, shape (M, K, num_taps), first tap first."""
        rows: Array = self._state.get("estimate", self._estimate)
        return rows[:, ::-1].reshape(self.num_mics, self.num_sources, -1).copy()

    @property
    def is_identifying(self) -> bool:
        """Whether the estimate is improved while the controller works."""
        return self._identifier is not None

    def drain_trace(self) -> tuple[IdentificationPoint, ...]:
        """Return how the online identification went since the last call; empty without it."""
        return () if self._identifier is None else self._identifier.drain_trace()

    def _identifier_of(self, settings: OnlineIdentification) -> OnlineIdentifier:
        from anc_core.dsp.online_identifier import OnlineIdentifier

        if not self.parameters.guarded:
            raise InputError("online_identification needs the guards; do not switch them off")
        if not self.num_references:
            msg = "online_identification needs a reference, which control by feedback alone has not"
            raise InputError(msg)
        return OnlineIdentifier(
            settings,
            self.sample_rate,
            self._estimate,
            num_sources=self.num_sources,
            num_references=self.num_references,
            num_predictor_taps=self.parameters.num_taps,
        )


def _start_of_search(settings: OnlineIdentification, believed: Array, *, known: bool) -> Array:
    """Return what the identification begins with: ``believed``, or nothing of the same shape."""
    num_taps = settings.num_taps or believed.shape[2]
    start = np.zeros((*believed.shape[:2], num_taps))
    if known:
        kept = min(num_taps, believed.shape[2])
        start[..., :kept] = believed[..., :kept]
    return start
