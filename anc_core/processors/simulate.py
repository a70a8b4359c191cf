"""Acoustic ANC on paper: noise, the paths it takes, a loudspeaker that answers, what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_sample_rate
from anc_core.dsp.finite import tame
from anc_core.dsp.paths import as_matrix, check_path, check_same_mics, delayed
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from anc_core.dsp.adaptive_guard import GuardEvent
    from anc_core.dsp.filter_bank import FilterBank
    from anc_core.dsp.fxlms_controller import DeviceModel, FxlmsController, FxlmsParameters
    from anc_core.dsp.online_identification import OnlineIdentification
    from anc_core.dsp.selective_controller import SelectiveController
    from anc_core.metrics.anc_figures import AncFigures
    from anc_core.metrics.identification_figures import IdentificationFigures

STRUCTURES = ("feedforward", "feedback", "hybrid")

# Name -> step rule, modified or as in the books, by blocks or by samples.
_ALGORITHMS = {
    "fxnlms": ("NORMALISED", True, False),
    "pbfxlms": ("NORMALISED", True, True),
    "fxnlms-plain": ("NORMALISED", False, False),
    "fxlms": ("PLAIN", False, False),
    "fxse": ("SIGN", False, False),
    "fxlog": ("LOGARITHMIC", False, False),
    "fxvss": ("VARIABLE", False, False),
}
ADAPTIVE = tuple(_ALGORITHMS)

SELECTIVE = "sfanc"
"""Chooses among fixed filters."""

ALGORITHMS = (*ADAPTIVE, SELECTIVE)

_MAX_DEFAULT_TAPS = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class AncSimulation:
    """What :func:`anc_core.simulate_anc` found.

    Attributes
    ----------
    disturbance, error_signal, anti_noise : float32, shape (num_samples,) or (num_samples, M)
        At the error microphones: the noise alone, what is heard with ANC, and the difference;
        ``error_signal = disturbance + anti_noise``.
    drive : float32, shape (num_samples,) or (num_samples, K)
        What the loudspeakers were sent.
    taps : ndarray, shape (num_taps,) or (K, J, num_taps)
        The control filter at the end, first tap first.
    algorithm, num_taps, step_size
        As used.
    figures : AncFigures
    events : tuple of GuardEvent
        What the guards did.
    wiener_error : float32, like ``disturbance``, or None
        What the best causal filter would have left; None if no limit was computed.
    identification : IdentificationFigures or None
        How the online identification went; None without it.
    """

    disturbance: NDArray[np.float32]
    error_signal: NDArray[np.float32]
    anti_noise: NDArray[np.float32]
    drive: NDArray[np.float32]
    taps: NDArray[Any]
    algorithm: str
    num_taps: int
    step_size: float
    figures: AncFigures
    events: tuple[GuardEvent, ...]
    wiener_error: NDArray[Any] | None = None
    identification: IdentificationFigures | None = None

    @property
    def cancellation_db(self) -> float | None:
        """Energy of the disturbance over that of the error, whole recording, dB."""
        return self.figures.cancellation_db

    @property
    def third_octave_db(self) -> dict[str, float | None]:
        """The same by third octave, nominal centre in Hz -> dB."""
        return self.figures.cancellation_third_octave_db

    @property
    def convergence_s(self) -> float | None:
        """Seconds until within 3 dB of the final attenuation."""
        return self.figures.convergence_s

    @property
    def wiener_db(self) -> float | None:
        """What the best causal filter of this length reaches in the steady stretch, dB."""
        return self.figures.wiener_db

    @property
    def wiener_gap_db(self) -> float | None:
        """``wiener_db`` less what was reached there."""
        return self.figures.wiener_gap_db


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedChunk:
    """What happened during one chunk; each (num_samples, M), ``drive`` (num_samples, K)."""

    disturbance: Chunk
    error_signal: Chunk
    anti_noise: Chunk
    drive: Chunk


class AcousticSimulator:
    """Active noise control of a noise with given acoustic paths.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000; of signals and paths.
    primary_path : array_like, shape (num_taps,) or (M, J, num_taps)
        From the J reference microphones to the M error microphones.
    secondary_path : array_like, shape (num_taps,) or (M, K, num_taps)
        From the K loudspeakers to the error microphones.
    algorithm : {"fxnlms", "pbfxlms", "fxnlms-plain", "fxlms", "fxse", "fxlog", "fxvss", "sfanc"}
        ``fxnlms`` is the modified filtered-x NLMS with averaged weights, mixed with the filter that
        suits the last 10 s best, ``fxnlms-plain`` that of the books; ``pbfxlms`` learns once in
        about 4 ms, each frequency at its own pace, some 10 times slower to compute; ``fxlms`` has a
        fixed step; ``fxse`` takes the sign of the error, ``fxlog`` its logarithm (both for
        impulsive noise); ``fxvss`` has a variable step. ``sfanc`` does not adapt: it chooses among
        the fixed filters of ``filter_bank`` by the band energies of the references.
    structure : {"feedforward", "feedback", "hybrid"}
    num_taps : int, optional
        Of each control filter; by default as many as the primary path has, 2048 at most.
    step_size : float, optional
        Above 0 and below 2; 0.4 for ``fxnlms``, 0.3 for ``pbfxlms``, 0.03 for the others.
    secondary_path_estimate : array_like, optional
        What the controller believes; the truth if not given, or nothing with
        ``online_identification``.
    leakage : float
        0 to below 1; of what adapts.
    guard : bool
        The guards of :mod:`anc_core.dsp.adaptive_guard`.
    device : DeviceModel, optional
    dtype : {"float32", "float64"}
        Of the arithmetic; chunks are float32.
    seed : int
        Of the sensors' noise, and of the auxiliary one.
    filter_bank : FilterBank, optional
        For ``sfanc``: made for these paths, the device's delay and the estimate included. By
        default one for band-limited noises is made, see :func:`anc_core.build_filter_bank`.
    online_identification : OnlineIdentification or bool, optional
        Identify the secondary path with auxiliary noise while the controller works; True for the
        defaults. Needs the guards and a reference.

    Raises
    ------
    InputError
        If a parameter breaks its rule or the paths do not belong together.

    Notes
    -----
    A :class:`~anc_core.processors.Processor` from the noise at the references (J columns) to what
    is left at the error microphones (M columns); the latency is 0: a delay of the device is part of
    the acoustics and only makes control harder.
    """

    def __init__(
        self,
        sample_rate: float,
        primary_path: ArrayLike,
        secondary_path: ArrayLike,
        *,
        algorithm: str = "fxnlms",
        structure: str = "feedforward",
        num_taps: int | None = None,
        step_size: float | None = None,
        secondary_path_estimate: ArrayLike | None = None,
        leakage: float = 0.0,
        guard: bool = True,
        device: DeviceModel | None = None,
        dtype: DTypeLike = "float32",
        seed: int = 0,
        filter_bank: FilterBank | None = None,
        online_identification: OnlineIdentification | bool | None = None,
    ) -> None:
        # Loads numba: only when the first simulator is built.
        from anc_core.dsp.fxlms_controller import DeviceModel
        from anc_core.dsp.online_identification import chosen_identification
        from anc_core.dsp.path_filter import PathFilter

        self.sample_rate = check_sample_rate(sample_rate)
        self.primary_path = as_matrix(primary_path, "primary_path")
        self.device = device or DeviceModel()
        # A delay of the device delays what the loudspeakers do, and the controller knows of it.
        self.secondary_path = self._late(secondary_path, "secondary_path")
        estimate = None
        if secondary_path_estimate is not None:
            estimate = self._late(secondary_path_estimate, "secondary_path_estimate")
        check_same_mics(self.primary_path, self.secondary_path)
        self.algorithm, self.structure = algorithm, structure
        self.num_channels = self.primary_path.shape[1]
        self._primary = PathFilter(self.primary_path, dtype=dtype)
        identification = chosen_identification(online_identification)
        self.controller: FxlmsController | SelectiveController
        if algorithm == SELECTIVE:
            _check_selective(structure, num_taps, step_size, filter_bank, identification)
            self.controller = self._selective(filter_bank, num_taps, estimate, guard, dtype)
        elif filter_bank is not None:
            raise InputError(f"filter_bank is for algorithm {SELECTIVE!r}, not for {algorithm!r}")
        else:
            self.controller = self._adaptive(
                fxlms_parameters(
                    algorithm,
                    structure=structure,
                    num_taps=num_taps or min(self.primary_path.shape[2], _MAX_DEFAULT_TAPS),
                    step_size=step_size,
                    leakage=leakage,
                    guarded=guard,
                ),
                estimate,
                dtype,
                identification,
                seed,
            )
        self.parameters = self.controller.parameters
        self._seed = seed
        self.reset()

    @property
    def latency(self) -> int:
        """Delay in samples: none."""
        return 0

    @property
    def num_error_mics(self) -> int:
        """Columns of the output."""
        return int(self.primary_path.shape[0])

    @property
    def taps(self) -> NDArray[Any]:
        """The control filters, shape (K, J, num_taps), first tap first."""
        return self.controller.taps

    def process(self, chunk: Chunk) -> Chunk:
        """Return what is left of ``chunk`` at the error microphones, shape (num_samples, M)."""
        return self.simulate(chunk).error_signal

    def simulate(self, chunk: Chunk) -> SimulatedChunk:
        """Return all that happens during ``chunk``, the noise at the J reference microphones.

        Parameters
        ----------
        chunk : float32, shape (num_samples, J)
            Non-finite samples count as 0.

        Raises
        ------
        InputError
            If the shape or the type is wrong.
        """
        noise = tame(check_chunk(chunk, self.num_channels))
        disturbance = self._primary.process(noise)
        heard, at_error = self._sensed(noise)
        error, anti_noise, drive = self.controller.process(heard, disturbance, at_error)
        return SimulatedChunk(
            disturbance=disturbance.astype(np.float32),
            error_signal=error.astype(np.float32),
            anti_noise=anti_noise.astype(np.float32),
            drive=drive.astype(np.float32),
        )

    def flush(self) -> Chunk:
        """Return nothing, there is no rest; reset."""
        self.reset()
        return np.zeros((0, self.num_error_mics), np.float32)

    def reset(self) -> None:
        """Forget everything heard and learnt so far."""
        self._primary.reset()
        self.controller.reset()
        reference_seed, microphone_seed = np.random.SeedSequence(self._seed).spawn(2)
        self._reference_noise = np.random.default_rng(reference_seed)
        self._microphone_noise = np.random.default_rng(microphone_seed)

    def _sensed(self, noise: Chunk) -> tuple[NDArray[Any], NDArray[Any] | None]:
        from anc_core.dsp.fxlms_controller import converter_step

        heard: NDArray[Any] = noise
        if self.device.reference_noise_db is not None:
            hiss = self._reference_noise.standard_normal(noise.shape)
            heard = heard + 10.0 ** (self.device.reference_noise_db / 20.0) * hiss
        step = converter_step(self.device.microphone_bits)
        if step:
            heard = step * np.round(heard / step)
        at_error = None
        if self.device.microphone_noise_db is not None:
            hiss = self._microphone_noise.standard_normal((len(noise), self.num_error_mics))
            at_error = 10.0 ** (self.device.microphone_noise_db / 20.0) * hiss
        return heard[:, : self.controller.num_references], at_error

    def _adaptive(
        self,
        parameters: FxlmsParameters,
        estimate: NDArray[Any] | None,
        dtype: DTypeLike,
        identification: OnlineIdentification | None,
        seed: int,
    ) -> FxlmsController:
        from anc_core.dsp.fxlms_controller import FxlmsController

        return FxlmsController(
            self.sample_rate,
            self.secondary_path,
            parameters,
            num_references=0 if self.structure == "feedback" else self.num_channels,
            estimate=estimate,
            device=self.device,
            dtype=dtype,
            online_identification=identification,
            seed=seed,
        )

    def _selective(
        self,
        bank: FilterBank | None,
        num_taps: int | None,
        estimate: NDArray[Any] | None,
        guarded: bool,
        dtype: DTypeLike,
    ) -> SelectiveController:
        from anc_core.dsp.filter_bank_design import build_filter_bank
        from anc_core.dsp.selective_controller import SelectiveController

        believed = self.secondary_path if estimate is None else estimate
        if bank is None:
            bank = build_filter_bank(
                None, self.sample_rate, self.primary_path, believed, num_taps=num_taps
            )
        # Here as well, for the controller goes by the rate of its bank.
        bank.check_fits(self.sample_rate, self.primary_path, believed)
        return SelectiveController(
            bank,
            self.primary_path,
            self.secondary_path,
            estimate=estimate,
            device=self.device,
            guarded=guarded,
            dtype=dtype,
        )

    def _late(self, path: ArrayLike, name: str) -> NDArray[np.float64]:
        late = delayed(check_path(path, name), self.device.io_delay)
        return as_matrix(late, name)


def _check_selective(
    structure: str,
    num_taps: int | None,
    step_size: float | None,
    bank: FilterBank | None,
    identification: OnlineIdentification | None,
) -> None:
    """Refuse what fixed filters do not have."""
    if identification is not None:
        msg = f"online_identification is on; the filters of {SELECTIVE} are fixed: leave it out"
        raise InputError(msg)
    if structure != "feedforward":
        msg = f"structure is {structure!r}; {SELECTIVE} is feedforward"
        raise InputError(msg)
    if step_size is not None:
        raise InputError(f"step_size is {step_size}; {SELECTIVE} adapts nothing: leave it out")
    if bank is not None and num_taps not in {None, bank.num_taps}:
        msg = f"num_taps is {num_taps}; the filters of the bank have {bank.num_taps}: leave it out"
        raise InputError(msg)


def fxlms_parameters(
    algorithm: str,
    *,
    structure: str = "feedforward",
    num_taps: int,
    step_size: float | None = None,
    leakage: float = 0.0,
    guarded: bool = True,
) -> FxlmsParameters:
    """Return the parameters that stand behind the name of an algorithm.

    Raises
    ------
    InputError
        If a word is unknown or a number out of its range.
    """
    from anc_core.dsp.adaptive_fxlms import StepRule
    from anc_core.dsp.fxlms_controller import FxlmsParameters

    if algorithm not in _ALGORITHMS:
        msg = f"algorithm {algorithm!r} is unknown; choose one of {', '.join(ALGORITHMS)}"
        raise InputError(msg)
    if structure not in STRUCTURES:
        msg = f"structure {structure!r} is unknown; choose one of {', '.join(STRUCTURES)}"
        raise InputError(msg)
    rule, is_modified, is_block = _ALGORITHMS[algorithm]
    return FxlmsParameters(
        num_taps=num_taps,
        step_size=step_size,
        rule=StepRule[rule],
        is_modified=is_modified,
        is_block=is_block,
        is_feedback=structure != "feedforward",
        leakage=leakage,
        guarded=guarded,
    )
