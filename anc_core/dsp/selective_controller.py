"""A controller that chooses among fixed filters by the band energies of its references."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.adaptive_guard import (
    COUNT,
    HAS_SAVED,
    POWER,
    USUAL_POWER,
    GuardLimits,
    GuardMemory,
)
from anc_core.dsp.filter_bank import NUM_SEGMENTS, BandMeter, FilterBank, band_effects
from anc_core.dsp.fxlms_controller import DeviceModel, converter_step
from anc_core.dsp.guarded_controller import GuardedController
from anc_core.dsp.jit import check_dtype
from anc_core.dsp.paths import as_matrix
from anc_core.dsp.selective_kernel import (
    DRIVE_GAIN,
    FADED_REFERENCE,
    NEXT,
    NOISE_GAIN,
    OFF,
    PRESENT,
    PRESENT_POWER_S,
    SIZE,
    selective_block,
)

Array = NDArray[Any]

_HYSTERESIS_DB = 0.5
"""Another filter must leave this much less than the present one: two that are as good as each
other do not take turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectiveParameters:
    """How a selective controller works.

    Attributes
    ----------
    num_taps : int
        Of each filter, as in the bank.
    guarded : bool
        The guards of :mod:`anc_core.dsp.adaptive_guard`.
    """

    num_taps: int
    guarded: bool = True

    @property
    def step(self) -> float:
        """The step size: nothing adapts."""
        return 0.0


class SelectiveController(GuardedController):
    """Fixed filters over J references, K loudspeakers and M error microphones, one at a time.

    Parameters
    ----------
    bank : FilterBank
        Made for ``primary_path`` and for what is believed of the secondary path.
    primary_path : array_like, shape (num_taps,) or (M, J, num_taps)
    secondary_path : array_like, shape (num_taps,) or (M, K, num_taps)
        What the loudspeakers' sound really passes.
    estimate : array_like, optional
        What the controller believes of it; same M and K. Default: the truth.
    device : DeviceModel, optional
        ``io_delay`` is part of both secondary paths; sensor noise is the caller's to add.
    guarded : bool
    dtype : {"float32", "float64"}

    Raises
    ------
    InputError
        If the bank was made for other paths.

    Notes
    -----
    Every 62.5 ms the powers of the references' third octaves over the last 0.5 s tell what each
    filter, and none, would leave at the error microphones (:func:`band_effects`). The least is
    faded in over 62.5 ms if it leaves 0.5 dB less than the one at work.

    The output does not depend on how the stream is cut into chunks, bit for bit. :meth:`state` and
    :meth:`load` stop and resume in mid-stream.
    """

    def __init__(
        self,
        bank: FilterBank,
        primary_path: ArrayLike,
        secondary_path: ArrayLike,
        *,
        estimate: ArrayLike | None = None,
        device: DeviceModel | None = None,
        guarded: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.sample_rate = check_sample_rate(bank.sample_rate)
        self.parameters = SelectiveParameters(num_taps=bank.num_taps, guarded=guarded)
        self._dtype = check_dtype(dtype)
        self._kernel = selective_block(self._dtype)
        primary = as_matrix(primary_path, "primary_path")
        true = as_matrix(secondary_path, "secondary_path")
        believed = true if estimate is None else as_matrix(estimate, "secondary_path_estimate")
        bank.check_fits(self.sample_rate, primary, believed)
        self.num_mics, self.num_sources = true.shape[:2]
        self.num_references = int(primary.shape[1])
        none = np.zeros_like(bank.filters[:1])
        filters = np.concatenate([none, bank.filters])
        self._meter = BandMeter(self.sample_rate)
        self._effects = band_effects(filters, primary, believed, self._meter)
        silence = np.zeros((self.num_sources, self.num_references, 1))
        straight = np.eye(self.num_sources)[:, :, np.newaxis]
        self._gains = band_effects(filters, silence, straight, self._meter)
        self._filters, self._primary = self._rows(filters), self._rows(primary)
        self._secondary, self._estimate = self._rows(true), self._rows(believed)
        self._limits = GuardLimits(
            sample_rate=self.sample_rate,
            ramp_samples=self._meter.hop,
            hold_samples=bank.num_taps + self._estimate.shape[1],
        ).as_array()
        device = device or DeviceModel()
        self._numbers = np.array(
            [
                device.saturation or 0.0,
                converter_step(device.drive_bits),
                converter_step(device.microphone_bits),
                1.0 / self._meter.hop,
                1.0 - math.exp(-1.0 / (PRESENT_POWER_S * self.sample_rate)),
            ]
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything heard; a path that was changed stays as it is."""
        paths = (self._filters, self._primary, self._secondary, self._estimate)
        length = max(self._meter.segment, *(path.shape[1] for path in paths))
        memory = GuardMemory.start(self.sample_rate)
        memory.numbers[HAS_SAVED] = 1.0  # a fixed filter is known to be good
        choice = np.zeros(SIZE)
        choice[[PRESENT, NEXT]] = OFF
        powers = np.zeros((NUM_SEGMENTS, self.num_references, self._meter.num_bands))
        self._state: dict[str, Array] = {
            "references": self._zeros(self.num_references, length),
            "driven": self._zeros(self.num_sources, length),
            "commands": self._zeros(self.num_sources, length),
            "dc_states": np.zeros((self.num_references + self.num_mics, 3)),
            "reference_means": np.zeros(self.num_references),
            "numbers": memory.numbers,
            "events": memory.events,
            "choice": choice,
            "powers": powers,
        }

    def process(
        self,
        reference: Array,
        disturbance: Array,
        microphone_noise: Array | None = None,
    ) -> tuple[Array, Array, Array]:
        """Run over one chunk.

        Parameters
        ----------
        reference : shape (num_samples, J)
            What the reference microphones pick up.
        disturbance : shape (num_samples, M)
            What arrives at the error microphones without control.
        microphone_noise : shape (num_samples, M), optional
            Heard by the guards and by nobody else.

        Returns
        -------
        error, anti_noise, drive
            (num_samples, M), (num_samples, M), (num_samples, K); error = disturbance + anti_noise.
        """
        num, state = len(disturbance), self._state
        sound = self._channels(disturbance, self.num_mics, num)
        noise = self._zeros(0, num)
        if microphone_noise is not None:
            noise = self._channels(microphone_noise, self.num_mics, num)
        longer = {
            name: np.concatenate([state[name], fresh], axis=1)
            for name, fresh in (
                ("references", self._channels(reference, self.num_references, num)),
                ("driven", self._zeros(self.num_sources, num)),
                ("commands", self._zeros(self.num_sources, num)),
            )
        }
        history = longer["references"].shape[1] - num
        error, anti_noise = np.empty_like(sound), np.empty_like(sound)
        done = 0
        while done < num:
            begun = int(state["numbers"][COUNT]) % self._meter.hop
            stop = min(done + self._meter.hop - begun, num)
            self._kernel(
                longer["references"],
                sound,
                noise,
                error,
                anti_noise,
                self._filters,
                self._primary,
                self._secondary,
                self._estimate,
                longer["driven"],
                longer["commands"],
                state["dc_states"],
                state["reference_means"],
                state["numbers"],
                state["events"],
                self._limits,
                self._numbers,
                state["choice"],
                done,
                stop,
                self.parameters.guarded,
            )
            done = stop
            if int(state["numbers"][COUNT]) % self._meter.hop == 0:
                end = history + done
                self._choose(longer["references"][:, end - self._meter.segment : end])
        drive = longer["commands"][:, history:]
        for name, whole in longer.items():
            state[name] = whole[:, num:].copy()
        return error.T, anti_noise.T, drive.T

    def _choose(self, segment: Array) -> None:
        """Hear a segment of the references; choose what leaves the least of the last ones."""
        powers, choice, numbers = (self._state[name] for name in ("powers", "choice", "numbers"))
        if self.parameters.guarded and numbers[POWER] <= FADED_REFERENCE * numbers[USUAL_POWER]:
            return
        powers[:-1] = powers[1:]
        powers[-1] = self._meter(np.nan_to_num(segment.astype(np.float64), posinf=0.0, neginf=0.0))
        heard = powers[powers.any(axis=(1, 2))]
        if not len(heard):
            return  # silence leaves the choice as it is
        totals = heard.sum(axis=(1, 2))
        # A click counts no more than any other segment, however loud it was.
        counted = np.minimum(totals, np.median(totals))
        usual = np.einsum("s,sjb->jb", counted / totals, heard)
        left = np.sum(self._effects * usual, axis=(1, 2))
        best = int(np.argmin(left))
        if left[best] < 10.0 ** (-_HYSTERESIS_DB / 10.0) * left[int(choice[NEXT])]:
            choice[NEXT] = best
        working = np.maximum(self._gains[int(choice[PRESENT])], self._gains[int(choice[NEXT])])
        for place, gains in ((DRIVE_GAIN, working), (NOISE_GAIN, self._effects[OFF])):
            choice[place] = np.median(np.sum(gains * heard, axis=(1, 2)) / totals)

    @property
    def chosen(self) -> int | None:
        """Number of the bank's filter that is at work or being faded in; None = none of them."""
        index = int(self._state["choice"][NEXT])
        return None if index == OFF else index - 1

    @property
    def taps(self) -> Array:
        """The chosen filters, shape (K, J, num_taps), first tap first."""
        rows = self.num_sources * self.num_references
        first = int(self._state["choice"][NEXT]) * rows
        shape = (self.num_sources, self.num_references, self.parameters.num_taps)
        return self._filters[first : first + rows, ::-1].reshape(shape).copy()
