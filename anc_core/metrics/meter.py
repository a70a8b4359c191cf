"""Measure a recording while it passes: aligned input and output in, all figures out.

The samples are gathered into blocks of whole frames at fixed places, so the figures do not depend
on the chunks; frames wait about 3.8 s for the mask of the input, then they are added up. Memory
does not grow with the length of the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import Chunk, check_chunk
from anc_core.dsp.levels import SILENCE_POWER, power_to_db
from anc_core.errors import InputError
from anc_core.metrics import findings
from anc_core.metrics.activity import ActivityDetector, Decision, FrameClass
from anc_core.metrics.clipping import ClipCounter
from anc_core.metrics.frames import FRAME_S, FRAMES_PER_SLOT, FrameGrid, Moments
from anc_core.metrics.intervals import IntervalTable
from anc_core.metrics.lag import LagEstimator
from anc_core.metrics.masked import MaskedStatistics, slots_of
from anc_core.metrics.new_silence import NewSilenceDetector
from anc_core.metrics.pending import MeasuredFrames, join
from anc_core.metrics.result import GateFigures, MeterResult
from anc_core.metrics.sound_meter import SoundMeter
from anc_core.metrics.statistics import Histogram, LevelStatistics, SpectralStatistics
from anc_core.metrics.stretches import Stretch, StretchQueue, StretchTable
from anc_core.records import Remark

_INTERVAL_S = 1.0
_FRAMES_PER_STRETCH = round(1.0 / FRAME_S)  # the lag is looked for in stretches of a second
_LEVEL_RANGE_DB = (-150.0, 60.0)
_LEVEL_STEP_DB = 0.1
_NO_RANK = "digital silence at this rank, or a recording shorter than 125 ms"

Array = NDArray[np.float64]
Samples = NDArray[np.float32]


class SessionMeter:
    """Measure one recording in constant memory.

    Parameters
    ----------
    sample_rate : int
        Hz.
    num_channels : int

    Notes
    -----
    Every figure is defined in ``docs/metrics.md``. Any split of the stream gives the same result,
    bit for bit.

    Examples
    --------
    >>> meter = SessionMeter(8000, 1)
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (16000, 1)).astype(np.float32)
    >>> meter.update(noise, noise / 2)
    >>> round(meter.compute().figures["cancellation_db"], 2)
    6.02
    """

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        self._grid = grid = FrameGrid(sample_rate, num_channels)
        block_length = grid.frames_per_block * grid.frame_length
        self._block_in = np.zeros((num_channels, block_length), dtype=np.float32)
        self._block_out = np.zeros((num_channels, block_length), dtype=np.float32)
        self._filled = 0
        self._is_same = True  # the output of this block is the input: measure once
        self._num_samples = 0
        self._protected_samples = 0
        self._queue = StretchQueue()
        self._pending: list[MeasuredFrames] = []
        self._result: MeterResult | None = None
        self._all_finite = True

        self._levels_in = LevelStatistics(num_channels)
        self._levels_out = LevelStatistics(num_channels)
        self._slot_levels = Histogram(*_LEVEL_RANGE_DB, _LEVEL_STEP_DB)
        self._spectrum = SpectralStatistics(len(grid.frame_transform.frequencies_hz))
        self._clipping = ClipCounter(num_channels)
        self._activity = ActivityDetector(grid)
        self._masked = MaskedStatistics(grid)
        self._intervals = IntervalTable(
            grid.sample_rate, grid.frame_length, round(_INTERVAL_S / FRAME_S)
        )
        self._sound = SoundMeter(grid)
        self._lag = LagEstimator(grid.sample_rate)
        self._new_silence = NewSilenceDetector(num_channels)
        self._stretches = StretchTable(grid.frame_length, num_channels)

    # ------------------------------------------------------------------ samples into blocks

    def update(
        self,
        input: Chunk,  # noqa: A002 - the pair input/output reads best
        output: Chunk | None,
        protected: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Take the next samples.

        Parameters
        ----------
        input : Chunk, shape (num_samples >= 0, num_channels)
        output : Chunk or None
            The same samples after processing, aligned (delay removed); ``None`` = the same.
            NaN and infinities are counted as 0 and reported in ``gate.all_finite``.
        protected : sequence of (start, stop)
            Protected stretches in samples from the beginning of the recording, final for these
            samples; what lies outside these samples is ignored.

        Raises
        ------
        InputError
            If the shapes differ, or after :meth:`compute`.
        """
        samples_in = check_chunk(input, self._grid.num_channels)
        samples_out = samples_in if output is None else check_chunk(output, self._grid.num_channels)
        if len(samples_in) != len(samples_out):
            msg = (
                f"input has {len(samples_in)} samples and output {len(samples_out)}; "
                "align them before they are measured"
            )
            raise InputError(msg)
        if self._result is not None:
            raise InputError("the meter was read; measure the next recording with a new one")
        start = self._num_samples
        self._num_samples += len(samples_in)
        self._queue.put(protected, start, self._num_samples)
        taken = 0
        while taken < len(samples_in):
            count = min(len(samples_in) - taken, self._block_in.shape[1] - self._filled)
            into = slice(self._filled, self._filled + count)
            self._block_in[:, into] = samples_in[taken : taken + count].T
            self._block_out[:, into] = samples_out[taken : taken + count].T
            self._is_same &= samples_out is samples_in
            self._filled += count
            taken += count
            if self._filled == self._block_in.shape[1]:
                self._measure_block()

    # ------------------------------------------------------------------ blocks into frames

    def _measure_block(self) -> None:
        grid = self._grid
        num_samples, self._filled = self._filled, 0
        first = self._block_start
        num_frames = -(-num_samples // grid.frame_length)
        length = num_frames * grid.frame_length
        # The recording's end is padded with zeros: sums do not notice, ``counts`` remembers.
        self._block_in[:, num_samples:length] = 0.0
        self._block_out[:, num_samples:length] = 0.0
        counts = np.full(num_frames, grid.frame_length, dtype=np.int64)
        counts[-1] -= length - num_samples

        samples_in, moments_in, _ = self._finite_moments(self._block_in[:, :length])
        spectra = grid.frame_powers(samples_in)
        whole_slots = samples_in[:, : num_samples // grid.slot_length * grid.slot_length]
        slots_in = grid.slot_powers(whole_slots)
        samples_out, moments_out, slots_out = samples_in, moments_in, slots_in
        if not self._is_same:
            samples_out, moments_out, finite = self._finite_moments(self._block_out[:, :length])
            self._all_finite &= finite
            slots_out = grid.slot_powers(samples_out[:, : whole_slots.shape[1]])
        self._is_same = True

        self._levels_in.add(num_samples, moments_in.sums, moments_in.squares, moments_in.peak)
        self._levels_out.add(num_samples, moments_out.sums, moments_out.squares, moments_out.peak)
        self._clipping.update(samples_in[:, :num_samples])
        self._sound.add(samples_in[:, :num_samples], samples_out[:, :num_samples])
        self._add_slot_levels(
            moments_in.squares[: num_samples // grid.slot_length * FRAMES_PER_SLOT]
        )
        protected = self._protect(
            (first, first + num_samples), samples_in, samples_out, moments_in, moments_out
        )
        self._offer_to_lag(samples_in, samples_out, moments_out.squares, protected)
        self._pending.append(
            MeasuredFrames(
                counts=counts,
                protected=protected,
                sums_in=moments_in.sums,
                squares_in=moments_in.squares,
                sums_out=moments_out.sums,
                squares_out=moments_out.squares,
                slots_in=slots_in,
                slots_out=slots_out,
            )
        )
        variance = _variances(moments_in.sums, moments_in.squares, grid.frame_length)
        audible = (variance > SILENCE_POWER).any(axis=1) & (counts == grid.frame_length)
        self._spectrum.update(spectra[audible])
        for decision in self._activity.push(spectra, audible):
            self._add_decided(decision)

    @property
    def _block_start(self) -> int:
        # Blocks before this one are whole, and every sample so far is in them or in this one.
        return self._levels_in.power.count

    def _finite_moments(self, samples: Samples) -> tuple[Samples, Moments, bool]:
        """Return the samples, repaired if need be, their moments, and if all were finite."""
        with np.errstate(invalid="ignore"):
            moments = self._grid.moments(samples)
        # A single NaN or infinity shows in the sum of squares; float32 cannot overflow float64.
        if np.isfinite(moments.squares).all():
            return samples, moments, True
        repaired = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        return repaired, self._grid.moments(repaired), False

    def _add_slot_levels(self, squares: Array) -> None:
        per_slot = squares.reshape(-1, FRAMES_PER_SLOT * self._grid.num_channels)
        scale = self._grid.slot_length * self._grid.num_channels
        self._slot_levels.update(power_to_db(per_slot.sum(axis=1) / scale))

    def _protect(
        self,
        block: Stretch,
        samples_in: Samples,
        samples_out: Samples,
        moments_in: Moments,
        moments_out: Moments,
    ) -> NDArray[np.int64]:
        """Measure the loss in protected stretches; return the protected samples per frame."""
        length = self._grid.frame_length
        protected = np.zeros(len(moments_in.squares), dtype=np.int64)
        for start, stop in self._queue.take(block[1]):
            self._protected_samples += stop - start
            low, high = start - block[0], stop - block[0]
            frames = slice(low // length, -(-high // length))
            energy_in = moments_in.squares[frames].copy()
            energy_out = moments_out.squares[frames].copy()
            edges = np.arange(frames.start, frames.stop + 1) * length
            clipped = np.clip(edges, low, high)
            inside = clipped[1:] - clipped[:-1]
            for frame in np.flatnonzero(inside < length):  # the first and the last at most
                piece = slice(max(low, edges[frame]), min(high, edges[frame + 1]))
                energy_in[frame] = _energy(samples_in[:, piece])
                energy_out[frame] = _energy(samples_out[:, piece])
            protected[frames] += inside
            self._stretches.add((start, stop), energy_in, energy_out)
        return protected

    def _offer_to_lag(
        self,
        samples_in: Samples,
        samples_out: Samples,
        squares: Array,
        protected: NDArray[np.int64],
    ) -> None:
        step = min(_FRAMES_PER_STRETCH, self._grid.frames_per_block)
        for first in range(0, len(squares), step):
            frames = slice(first, first + step)
            if protected[frames].any():
                continue  # passes untouched, so it would vouch for the rest
            energy = squares[frames].sum(axis=0)
            strongest = int(np.argmax(energy))
            samples = slice(
                first * self._grid.frame_length, (first + step) * self._grid.frame_length
            )
            self._lag.offer(
                float(energy[strongest]),
                samples_in[strongest, samples],
                samples_out[strongest, samples],
            )

    # ------------------------------------------------------------------ decided frames into sums

    def _add_decided(self, decision: Decision) -> None:
        frames, rest = join(self._pending).split(len(decision.classes))
        self._pending = [rest]
        free = frames.protected == 0
        self._masked.add_frames(
            decision.classes[free],
            (frames.sums_in[free], frames.squares_in[free]),
            (frames.sums_out[free], frames.squares_out[free]),
        )
        num_slots = len(frames.slots_in)
        free_slots = slots_of(free, num_slots).all(axis=1)
        self._masked.add_slots(
            slots_of(decision.classes, num_slots)[free_slots],
            slots_of(decision.speech_band, num_slots)[free_slots],
            slots_of(decision.noise_in_speech_band, num_slots)[free_slots],
            frames.slots_in[free_slots],
            frames.slots_out[free_slots],
        )
        length = self._grid.frame_length
        power_in = _variances(frames.sums_in, frames.squares_in, length)
        power_out = _variances(frames.sums_out, frames.squares_out, length)
        self._intervals.add(
            counts=frames.counts,
            protected=frames.protected,
            power_in=frames.squares_in.mean(axis=1),
            power_out=frames.squares_out.mean(axis=1),
            is_noise=decision.classes == FrameClass.NOISE,
            noise=power_in.mean(axis=1),
        )
        noise = self._masked.noise_in
        self._new_silence.update(
            power_in,
            power_out,
            decision.classes >= FrameClass.ACTIVE,
            noise.channel_power_about(self._levels_in.power.mean()),
        )

    # ------------------------------------------------------------------ sums into figures

    def compute(self) -> MeterResult:
        """Return the figures of the recording; it ends here, later updates are refused."""
        if self._result is None:
            if self._filled:
                self._measure_block()
            for decision in self._activity.flush():
                self._add_decided(decision)
            self._clipping.flush()
            self._stretches.close()
            self._result = self._summarise()
        return self._result

    def _summarise(self) -> MeterResult:
        grid = self._grid
        dc_in, dc_out = self._levels_in.power.mean(), self._levels_out.power.mean()
        masked = self._masked.figures(dc_in, dc_out)
        figures = self._level_figures()
        sound, why_none = self._sound.figures()
        reasons = figures.pop("null_reasons") | masked.pop("null_reasons") | why_none
        figures |= (
            sound
            | masked
            | {
                "protected_s": self._protected_samples / grid.sample_rate,
                "clipped_samples_in": int(self._clipping.counts.sum()),
                "null_reasons": reasons,
            }
        )
        return MeterResult(
            figures=figures,
            intervals=self._intervals.compute(),
            level_spans=self._sound.spans(),
            remarks=self._remarks(dc_in),
            gate=GateFigures(
                all_finite=self._all_finite,
                longest_new_silence_s=self._new_silence.longest_frames
                * grid.frame_length
                / grid.sample_rate,
                residual_lag_samples=self._lag.compute(),
                speech_level_change_db=figures["speech_level_change_db"],
            ),
            stretch_attenuation=self._stretches.compute(),
        )

    def _level_figures(self) -> dict[str, Any]:
        before, after = self._levels_in.compute(), self._levels_out.compute()
        figures: dict[str, float | None] = {
            "input_rms_dbfs": before.rms_dbfs,
            "output_rms_dbfs": after.rms_dbfs,
            "input_peak_dbfs": before.peak_dbfs,
            "output_peak_dbfs": after.peak_dbfs,
            # L10 is exceeded 10 % of the time: the 90th percentile.
            "input_l10_dbfs": self._slot_levels.quantile(0.9),
            "input_l50_dbfs": self._slot_levels.quantile(0.5),
            "input_l90_dbfs": self._slot_levels.quantile(0.1),
        }
        reasons = {
            name: _NO_RANK if "_l" in name else "digital silence"
            for name, value in figures.items()
            if value is None
        }
        return {**figures, "dc_offset": before.dc_offset, "null_reasons": reasons}

    def _remarks(self, dc_in: Array) -> tuple[Remark, ...]:
        found = (
            findings.clipped_remark(self._clipping.counts, self._num_samples),
            findings.dc_remark(dc_in, self._num_samples / self._grid.sample_rate),
            findings.dead_channel_remark(self._levels_in.power.channel_power_about(dc_in)),
            findings.narrowband_remark(self._spectrum.compute(), self._grid.sample_rate),
        )
        return tuple(remark for remark in found if remark is not None)


def _variances(sums: Array, squares: Array, length: int) -> Array:
    """Return mean squares without DC per frame and channel."""
    return np.asarray(np.maximum(squares / length - (sums / length) ** 2, 0.0))


def _energy(samples: Samples) -> Array:
    exact = samples.astype(np.float64)
    return np.asarray(np.einsum("cn,cn->c", exact, exact))
