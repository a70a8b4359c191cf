"""Figures that compare output with input under the mask: cancellation, SNR, speech level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.levels import SILENCE_DBFS, SILENCE_POWER, level_db, ratio_db
from anc_core.metrics.activity import SPEECH_SNR, FrameClass
from anc_core.metrics.frames import FRAMES_PER_SLOT, FrameGrid
from anc_core.metrics.statistics import PowerStatistics, SpectralStatistics

MIN_SECONDS = 0.5
"""With less than half a second of such frames a figure would be chance."""

_SILENT_NOISE = "output is digital silence in the noise-only frames"
_MIN_SLOTS = 2
_MIN_ACTIVE_PER_SLOT = 3
_LEAST_SNR = 1e-3
"""-30 dB: the epsilon of the SNR, where activity is not above the noise at all."""

Array = NDArray[np.float64]
_A_WEIGHTED, _SPEECH_BAND = -2, -1  # the last columns of FrameGrid.slot_powers


class MaskedStatistics:
    """Sums over frames and slots of noise alone, of activity and of speech.

    Parameters
    ----------
    grid : FrameGrid
    """

    def __init__(self, grid: FrameGrid) -> None:
        self._grid = grid
        self.noise_in = PowerStatistics(grid.num_channels)
        self.noise_out = PowerStatistics(grid.num_channels)
        self._active_in = PowerStatistics(grid.num_channels)
        self._active_out = PowerStatistics(grid.num_channels)
        num_columns = len(grid.third_octaves.labels) + 2
        self._noise_slots_in = SpectralStatistics(num_columns)
        self._noise_slots_out = SpectralStatistics(num_columns)
        self._speech_slots_in = SpectralStatistics(num_columns)
        self._speech_slots_out = SpectralStatistics(num_columns)
        self._speech_frames = 0

    def add_frames(
        self,
        classes: NDArray[np.int8],
        sums_in: tuple[Array, Array],
        sums_out: tuple[Array, Array],
    ) -> None:
        """Add unprotected frames.

        Parameters
        ----------
        classes : ndarray of int8, shape (num_frames,)
        sums_in, sums_out : (sums, squares), each of shape (num_frames, num_channels)
        """
        noise, active = classes == FrameClass.NOISE, classes >= FrameClass.ACTIVE
        self._speech_frames += int(np.count_nonzero(classes == FrameClass.SPEECH))
        for which, into, sums in (
            (noise, self.noise_in, sums_in),
            (noise, self.noise_out, sums_out),
            (active, self._active_in, sums_in),
            (active, self._active_out, sums_out),
        ):
            samples = int(np.count_nonzero(which)) * self._grid.frame_length
            into.add(samples, sums[0][which], sums[1][which])

    def add_slots(
        self,
        classes: NDArray[np.int8],
        speech_band: Array,
        noise_in_speech_band: Array,
        powers_in: Array,
        powers_out: Array,
    ) -> None:
        """Add unprotected slots.

        Parameters
        ----------
        classes, speech_band, noise_in_speech_band : ndarray, shape (num_slots, 5)
            What the mask says of the frames of each slot.
        powers_in, powers_out : ndarray, shape (num_slots, num_bands + 2)
            See :meth:`FrameGrid.slot_powers`.
        """
        noise = (classes == FrameClass.NOISE).all(axis=1)
        loud = speech_band.sum(axis=1) >= SPEECH_SNR * noise_in_speech_band.sum(axis=1)
        active = np.count_nonzero(classes >= FrameClass.ACTIVE, axis=1) >= _MIN_ACTIVE_PER_SLOT
        speech = loud & active & (classes != FrameClass.SILENCE).all(axis=1)
        self._noise_slots_in.update(powers_in[noise])
        self._noise_slots_out.update(powers_out[noise])
        self._speech_slots_in.update(powers_in[speech])
        self._speech_slots_out.update(powers_out[speech])

    def figures(self, dc_in: Array, dc_out: Array) -> dict[str, Any]:
        """Return the figures; ``dc_in`` and ``dc_out`` are the offsets of the whole recording."""
        reasons: dict[str, str] = {}
        noise_in = self.noise_in.power_about(dc_in)
        noise_out = self.noise_out.power_about(dc_out)
        found = self._cancellation(noise_in, noise_out, reasons)
        found |= self._snr(
            (self._active_in.power_about(dc_in), noise_in),
            (self._active_out.power_about(dc_out), noise_out),
            reasons,
        )
        change, reason = self._speech_level_change()
        if reason:
            reasons["speech_level_change_db"] = reason
        return {
            **found,
            "speech_level_change_db": change,
            "noise_only_s": self._noise_s,
            "speech_s": self._speech_frames * self._grid.frame_length / self._grid.sample_rate,
            "null_reasons": reasons,
        }

    @property
    def _noise_s(self) -> float:
        return self.noise_in.count / self._grid.sample_rate

    def _cancellation(
        self, noise_in: float, noise_out: float, reasons: dict[str, str]
    ) -> dict[str, Any]:
        figures: dict[str, Any] = {
            "cancellation_db": None,
            "cancellation_a_weighted_db": None,
            "cancellation_third_octave_db": {},
            "floor_limited": False,
        }
        missing = _too_little(self._noise_s, "noise-only")
        if missing:
            reasons |= dict.fromkeys(
                ("cancellation_db", "cancellation_a_weighted_db", "cancellation_third_octave_db"),
                missing,
            )
            return figures
        figures["floor_limited"] = noise_out < SILENCE_POWER
        figures["cancellation_db"] = ratio_db(noise_in, noise_out)
        if figures["cancellation_db"] is None:
            reasons["cancellation_db"] = _SILENT_NOISE
        return figures | self._spectral_cancellation(reasons)

    def _spectral_cancellation(self, reasons: dict[str, str]) -> dict[str, Any]:
        if self._noise_slots_in.num_frames < _MIN_SLOTS:
            missing = "fewer than 2 unbroken slots of 125 ms of noise-only frames"
            reasons |= dict.fromkeys(
                ("cancellation_a_weighted_db", "cancellation_third_octave_db"), missing
            )
            return {}
        powers_in = self._noise_slots_in.compute().tolist()
        powers_out = self._noise_slots_out.compute().tolist()
        labels = self._grid.third_octaves.labels
        ratios = zip(labels, map(ratio_db, powers_in, powers_out), strict=False)
        figures = {
            "cancellation_a_weighted_db": ratio_db(powers_in[_A_WEIGHTED], powers_out[_A_WEIGHTED]),
            "cancellation_third_octave_db": {
                label: ratio for label, ratio in ratios if ratio is not None
            },
        }
        reasons |= {name: _SILENT_NOISE for name, value in figures.items() if value in (None, {})}
        return figures

    def _snr(
        self,
        before: tuple[float, float],
        after: tuple[float, float],
        reasons: dict[str, str],
    ) -> dict[str, float | None]:
        active_s = self._active_in.count / self._grid.sample_rate
        missing = _too_little(self._noise_s, "noise-only") or _too_little(active_s, "active")
        figures: dict[str, float | None] = dict.fromkeys(
            ("snr_in_db", "snr_out_db", "snr_improvement_db")
        )
        if missing:
            reasons |= dict.fromkeys(figures, missing)
            return figures
        snr_in, snr_out = _snr_db(*before), _snr_db(*after)
        figures |= {"snr_in_db": snr_in, "snr_out_db": snr_out}
        if snr_in is None or snr_out is None:
            reasons |= {"snr_out_db": _SILENT_NOISE, "snr_improvement_db": _SILENT_NOISE}
        else:
            figures["snr_improvement_db"] = snr_out - snr_in
        return figures

    def _speech_level_change(self) -> tuple[float | None, str | None]:
        """Return (change in dB, reason why there is none)."""
        grid = self._grid
        seconds = self._speech_slots_in.num_frames * grid.slot_length / grid.sample_rate
        missing = _too_little(seconds, "speech")
        if missing:
            return None, missing
        change = ratio_db(
            float(self._speech_slots_out.compute()[_SPEECH_BAND]),
            float(self._speech_slots_in.compute()[_SPEECH_BAND]),
        )
        return change, None if change is not None else "output is digital silence under speech"


def slots_of(values: NDArray[Any], num_slots: int) -> NDArray[Any]:
    """Return frames as rows of five, (num_slots, 5); the frames of a cut slot are left out."""
    return values[: num_slots * FRAMES_PER_SLOT].reshape(num_slots, FRAMES_PER_SLOT)


def _snr_db(active: float, noise: float) -> float | None:
    if level_db(noise) is None:
        return None
    return ratio_db(max(active - noise, _LEAST_SNR * noise), noise)


def _too_little(seconds: float, what: str) -> str | None:
    # A tenth of a frame of slack: 20 frames of 25 ms are half a second, whatever the rounding.
    if seconds >= MIN_SECONDS - 0.0025:
        return None
    return (
        f"only {seconds:.2f} s of {what} frames (unprotected, above {SILENCE_DBFS:g} dBFS); "
        f"{MIN_SECONDS:g} s are needed"
    )
