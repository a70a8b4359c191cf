"""The figures of a simulated ANC run: what was cancelled, where, how soon, at what cost.

Definitions: ``docs/metrics.md``, section "Simulated ANC".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from anc_core.arrays import check_sample_rate
from anc_core.dsp.levels import level_db, ratio_db
from anc_core.dsp.misalignment import misalignment_db
from anc_core.dsp.paths import MAX_TAP
from anc_core.errors import InputError
from anc_core.metrics.anc_measure import (
    FRAMES_PER_LEVEL,
    AncGrid,
    SignalMeasure,
    columns,
    count_non_finite,
    frame_energies,
    frame_length_of,
    measure_signal,
    running_sums,
)
from anc_core.records import METRICS_VERSION, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Signal = NDArray[np.floating[Any]]
    Array = NDArray[np.float64]

SETTLE_S = 4.0
"""The steady stretch at the end of a recording; a third of it where it is shorter than 12 s."""

CONVERGED_DB = 3.0
"""As near to the final attenuation as counts as converged."""

_FIRST_AIM_DB = 10.0
_CONFIRM_FRAMES = 20
"""Half a second: what is reached for 125 ms by luck is not reached."""

_ONSET_SHARE = 1e-4
"""A frame with this share of the mean energy (-40 dB) is where the disturbance sets in."""

_WORST_BAND_SHARE = 1e-6
"""A band in which neither signal has this share of the disturbance (-60 dB) is never the worst."""

_BAND_SHARE = 1e-10
"""A band with less than this of the disturbance (-100 dB) holds nothing to cancel."""


class AncFigures(Record):
    """The figures of one ANC run. ``None`` = not to be had, see ``null_reasons``.

    *Whole* is the recording from its first sample, *steady* its last stretch (from
    ``steady_start_s``). Positive attenuation = quieter.
    """

    metrics_version: str = METRICS_VERSION
    sample_rate: int
    duration_s: float
    num_error_mics: int
    steady_start_s: float
    """Beginning of the steady stretch; it ends with the recording."""

    disturbance_rms_dbfs: float | None = None
    error_rms_dbfs: float | None = None
    """Whole, mean over the error microphones, each about its own mean (no DC)."""
    cancellation_db: float | None = None
    """Whole, broadband."""
    cancellation_a_weighted_db: float | None = None
    cancellation_third_octave_db: dict[str, float | None] = Field(default_factory=dict)
    """Band centre in Hz -> dB, whole; ``None`` where the band holds nothing to cancel."""
    steady_cancellation_db: float | None = None
    """The final attenuation."""
    steady_a_weighted_db: float | None = None
    steady_third_octave_db: dict[str, float | None] = Field(default_factory=dict)
    worst_band_hz: float | None = None
    """Centre of the band with the least steady attenuation."""
    worst_band_amplification_db: float | None = None
    """How much louder that band became; negative = no band became louder."""
    peak_amplification_db: float | None = None
    """Loudest 125 ms of the error over the loudest 125 ms of the disturbance."""

    convergence_s: float | None = None
    """From the onset of the disturbance until within 3 dB of the final attenuation."""
    time_to_10_db_s: float | None = None
    """From the onset of the disturbance until 10 dB of attenuation."""
    change_s: float | None = None
    """When a path or the noise changed; convergence is then measured before it."""
    before_change_cancellation_db: float | None = None
    reconvergence_s: float | None = None
    """From the change until within 3 dB of the final attenuation."""

    anti_noise_rms_dbfs: float | None = None
    drive_rms_dbfs: float | None = None
    drive_peak_dbfs: float | None = None
    drive_saturated_share: float | None = None
    """Share of the samples of the drive signal at or above the limit, 0 to 1."""
    misalignment_db: float | None = None
    """Distance of the taps from the true ones, relative to those."""

    wiener_db: float | None = None
    """What the best causal filter reaches in the steady stretch."""
    wiener_a_weighted_db: float | None = None
    wiener_third_octave_db: dict[str, float | None] = Field(default_factory=dict)
    wiener_gap_db: float | None = None
    """``wiener_db - steady_cancellation_db``; negative = tracking beat every fixed filter."""

    non_finite_samples: int = 0
    """In disturbance and error; with any, their figures are null."""
    null_reasons: dict[str, str] = Field(default_factory=dict)


def anc_figures(
    disturbance: Signal,
    error_signal: Signal,
    sample_rate: int,
    *,
    anti_noise: Signal | None = None,
    taps: Signal | None = None,
    true_taps: Signal | None = None,
    drive: Signal | None = None,
    saturation: float | None = None,
    wiener_error: Signal | None = None,
    wiener_db: float | None = None,
    change_s: float | None = None,
    settle_s: float = SETTLE_S,
) -> AncFigures:
    """Return the figures of an ANC run.

    Parameters
    ----------
    disturbance, error_signal : ndarray, shape (num_samples,) or (num_samples, num_error_mics)
        What is heard at the error microphones without and with ANC. Energies of the microphones
        are added up.
    sample_rate : int
        Hz.
    anti_noise : ndarray, like ``disturbance``, optional
        What the loudspeakers bring to the error microphones.
    taps, true_taps : ndarray, shape (..., num_taps), optional
        The filter at the end and the one that cancels perfectly, where that is known; the shorter
        one counts as zero beyond its end.
    drive : ndarray, shape (num_samples,) or (num_samples, num_sources), optional
        What the filter asks of the loudspeakers.
    saturation : float, optional
        Limit of the loudspeakers, full scale 1.
    wiener_error : ndarray, like ``disturbance``, optional
        What the best causal filter leaves (:func:`anc_core.dsp.wiener.wiener_residual`).
    wiener_db : float, optional
        Instead of ``wiener_error``: its attenuation over the steady stretch.
    change_s : float, optional
        A path or the noise changed at this time, within the recording.
    settle_s : float
        Length of the steady stretch in seconds, > 0; at most a third of the recording (of what
        follows the change).

    Returns
    -------
    AncFigures

    Raises
    ------
    InputError
        If shapes, lengths or times do not fit.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    >>> figures = anc_figures(noise, noise / 2, 8000)
    >>> round(figures.cancellation_db, 2), figures.steady_third_octave_db["1000"].__round__(2)
    (6.02, 6.02)
    """
    before = columns(disturbance, "disturbance")
    after = _like(error_signal, before, "error_signal")
    check_sample_rate(sample_rate)
    change = _change_sample(change_s, len(before), sample_rate)
    start = _steady_start(change or 0, len(before), sample_rate, settle_s)
    grid = AncGrid(sample_rate, len(before), start)
    d, e = measure_signal(before, grid), measure_signal(after, grid)

    found = _Found()
    _levels(found, grid, d, e, before.shape[1])
    _worst_band(found, grid, d, e)
    _convergence(found, grid, d, e, change, settle_s)
    _bound(found, grid, d, _bound_measure(wiener_error, wiener_db, before, grid), wiener_db)
    _effort(found, drive, saturation, sample_rate)
    found.put("anti_noise_rms_dbfs", *_rms(anti_noise, before, sample_rate))
    found.put("misalignment_db", *_misalignment(taps, true_taps))
    return AncFigures(
        sample_rate=sample_rate,
        duration_s=len(before) / sample_rate,
        num_error_mics=before.shape[1],
        steady_start_s=start / sample_rate,
        change_s=change_s,
        non_finite_samples=d.non_finite + e.non_finite,
        null_reasons=found.reasons,
        **found.values,
    )


class _Found:
    """Figures by name, and why one could not be had."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: float | Mapping[str, float | None] | None, why: str) -> None:
        """Take a figure; ``why`` is kept if it is ``None`` or empty."""
        self.values[name] = value
        if value is None or value == {}:
            self.reasons[name] = why


# --------------------------------------------------------------------------- attenuation


def _levels(
    found: _Found, grid: AncGrid, d: SignalMeasure, e: SignalMeasure, num_mics: int
) -> None:
    count = max(grid.num_samples, 1) * num_mics
    found.put("disturbance_rms_dbfs", level_db(_sum(d.frame_energies) / count), _silent(d))
    found.put("error_rms_dbfs", level_db(_sum(e.frame_energies) / count), _silent(e))
    why = _why(d, e)
    steady = slice(grid.steady_start // grid.frame_length, None)
    found.put("cancellation_db", _attenuation(d, e, slice(None), grid), why)
    found.put("steady_cancellation_db", _attenuation(d, e, steady, grid), why)
    short = "too short for a spectrum" if not grid.bands.labels else why
    for prefix, before, after in (
        ("cancellation", d.spectrum, e.spectrum),
        ("steady", d.steady_spectrum, e.steady_spectrum),
    ):
        found.put(f"{prefix}_a_weighted_db", _weighted(grid, before, after), short)
        found.put(f"{prefix}_third_octave_db", _by_band(grid, before, after), short)
    loudest = [_loudest(signal.frame_energies) / grid.frame_length for signal in (e, d)]
    found.put("peak_amplification_db", ratio_db(*loudest), why)


def _attenuation(d: SignalMeasure, e: SignalMeasure, frames: slice, grid: AncGrid) -> float | None:
    count = max(grid.num_samples, 1)
    return ratio_db(_sum(d.frame_energies[frames]) / count, _sum(e.frame_energies[frames]) / count)


def _weighted(grid: AncGrid, before: Array, after: Array) -> float | None:
    return ratio_db(float(before @ grid.a_weights), float(after @ grid.a_weights))


def _by_band(grid: AncGrid, before: Array, after: Array) -> dict[str, float | None]:
    if not before.any() or not after.any():
        return {}
    floor = _BAND_SHARE * float(before.sum())
    return {
        label: ratio_db(float(p_in), float(p_out)) if p_in > floor else None
        for label, p_in, p_out in zip(
            grid.bands.labels, grid.band_powers(before), grid.band_powers(after), strict=True
        )
    }


def _worst_band(found: _Found, grid: AncGrid, d: SignalMeasure, e: SignalMeasure) -> None:
    bands = found.values["steady_third_octave_db"]
    floor = _WORST_BAND_SHARE * float(d.steady_spectrum.sum())
    loud = np.maximum(grid.band_powers(d.steady_spectrum), grid.band_powers(e.steady_spectrum))
    judged = {
        label: bands[label]
        for label, power in zip(grid.bands.labels, loud, strict=True)
        if power > floor and bands.get(label) is not None
    }
    why = found.reasons.get("steady_third_octave_db", "no band that could be compared")
    worst = min(judged, key=lambda label: judged[label]) if judged else None
    found.put("worst_band_hz", None if worst is None else float(worst), why)
    found.put("worst_band_amplification_db", None if worst is None else -judged[worst], why)


def _bound_measure(
    wiener_error: Signal | None, wiener_db: float | None, like: Signal, grid: AncGrid
) -> SignalMeasure | None:
    if wiener_error is None:
        return None
    if wiener_db is not None:
        raise InputError("wiener_error and wiener_db say the same thing; give one of them")
    return measure_signal(_like(wiener_error, like, "wiener_error"), grid)


def _bound(
    found: _Found,
    grid: AncGrid,
    d: SignalMeasure,
    best: SignalMeasure | None,
    wiener_db: float | None,
) -> None:
    if best is None:
        why = "the residual of the Wiener filter was not given"
        found.put("wiener_db", wiener_db if _is_finite(wiener_db) else None, why)
        found.put("wiener_a_weighted_db", None, why)
        found.put("wiener_third_octave_db", {}, why)
    else:
        why = _why(d, best)
        steady = slice(grid.steady_start // grid.frame_length, None)
        spectra = d.steady_spectrum, best.steady_spectrum
        found.put("wiener_db", _attenuation(d, best, steady, grid), why)
        found.put("wiener_a_weighted_db", _weighted(grid, *spectra), why)
        found.put("wiener_third_octave_db", _by_band(grid, *spectra), why)
    bound, reached = found.values["wiener_db"], found.values["steady_cancellation_db"]
    gap = None if bound is None or reached is None else bound - reached
    found.put("wiener_gap_db", gap, found.reasons.get("wiener_db", "no final attenuation"))


# --------------------------------------------------------------------------- time


def _convergence(
    found: _Found,
    grid: AncGrid,
    d: SignalMeasure,
    e: SignalMeasure,
    change: int | None,
    settle_s: float,
) -> None:
    before, after, why = d.frame_energies, e.frame_energies, _why(d, e)
    if len(before) != len(after) or not len(before):
        for name in ("convergence_s", "time_to_10_db_s", "reconvergence_s"):
            found.put(name, None, why)
        found.put("before_change_cancellation_db", None, why)
        return
    final = found.values["steady_cancellation_db"]
    second = grid.sample_rate / grid.frame_length
    if change is None:
        first = slice(None)
        for name in ("before_change_cancellation_db", "reconvergence_s"):
            found.put(name, None, "no change was named")
        first_final = final
    else:
        at = change // grid.frame_length
        first = slice(0, at)
        settled = _steady_start(0, change, grid.sample_rate, settle_s) // grid.frame_length
        first_final = _attenuation(d, e, slice(settled, at), grid)
        found.put("before_change_cancellation_db", first_final, why)
        again = _time_to_final(before[at:], after[at:], final, second)
        found.put("reconvergence_s", *again)
    onset = _onset(before[first])
    heard = before[first][onset:], after[first][onset:]
    found.put("convergence_s", *_time_to_final(*heard, first_final, second))
    found.put(
        "time_to_10_db_s",
        _time_to(*heard, _FIRST_AIM_DB, second),
        f"{_FIRST_AIM_DB:g} dB were never reached",
    )


def _time_to_final(
    before: Array, after: Array, final_db: float | None, frames_per_s: float
) -> tuple[float | None, str]:
    if final_db is None:
        return None, "no final attenuation to converge to"
    if final_db < CONVERGED_DB:
        return None, f"the final attenuation is below {CONVERGED_DB:g} dB: there is no way to it"
    return (
        _time_to(before, after, final_db - CONVERGED_DB, frames_per_s),
        "shorter than 125 ms, or never near the final attenuation for half a second",
    )


def _time_to(before: Array, after: Array, aim_db: float, frames_per_s: float) -> float | None:
    """Return when the first 125 ms begin that reach ``aim_db``, as the half second then does."""
    factor = 10.0 ** (aim_db / 10.0)
    quiet = running_sums(before) >= factor * running_sums(after)
    quiet &= running_sums(before) > 0.0
    rest = [np.append(energies, np.zeros(_CONFIRM_FRAMES - 1)) for energies in (before, after)]
    confirmed = running_sums(rest[0], _CONFIRM_FRAMES) >= factor * running_sums(
        rest[1], _CONFIRM_FRAMES
    )
    reached = np.flatnonzero(quiet & confirmed[: len(quiet)])
    return float(reached[0] / frames_per_s) if len(reached) else None


def _onset(energies: Array) -> int:
    """Return the first frame in which there is something to cancel."""
    return int(np.argmax(energies > _ONSET_SHARE * np.mean(energies))) if len(energies) else 0


def _loudest(energies: Array) -> float:
    levels = running_sums(energies)
    return float((levels if len(levels) else energies).max(initial=0.0)) / FRAMES_PER_LEVEL


def _steady_start(first: int, stop: int, sample_rate: int, settle_s: float) -> int:
    """Return the first sample of the steady stretch of ``first`` to ``stop``, on a frame."""
    if not 0.0 < settle_s < np.inf:
        msg = f"settle_s is {settle_s}; it must be a time above 0 seconds"
        raise InputError(msg)
    length = frame_length_of(sample_rate)
    num_samples = min(settle_s * sample_rate, (stop - first) / 3.0)
    start = -(-first // length) * length
    return max(start, int((stop - num_samples) // length) * length) if stop > start else first


def _change_sample(change_s: float | None, num_samples: int, sample_rate: int) -> int | None:
    if change_s is None:
        return None
    if not 0.0 < change_s < num_samples / sample_rate:
        msg = (
            f"change_s is {change_s}; it must lie within the recording, "
            f"0 to {num_samples / sample_rate:g} s"
        )
        raise InputError(msg)
    return round(change_s * sample_rate)


# --------------------------------------------------------------------------- effort and taps


def _effort(
    found: _Found, drive: Signal | None, saturation: float | None, sample_rate: int
) -> None:
    names = ("drive_rms_dbfs", "drive_peak_dbfs", "drive_saturated_share")
    if saturation is not None and not saturation > 0.0:
        msg = f"saturation is {saturation}; it must be above 0 (full scale is 1)"
        raise InputError(msg)
    why = "the drive signal was not given"
    values: tuple[float | None, ...] = (None, None, None)
    if drive is not None:
        asked = columns(drive, "drive")
        why = "the drive signal is digital silence or not finite"
        if asked.size and not count_non_finite(asked):
            # abs() of the two extremes: no copy of the whole signal.
            peak = max(abs(float(asked.max())), abs(float(asked.min())))
            power = _sum(frame_energies(asked, sample_rate)) / asked.size
            values = level_db(power), level_db(peak * peak), _saturated(asked, saturation)
    for name, value in zip(names, values, strict=True):
        found.put(name, value, why)
    if drive is not None and saturation is None:
        found.put("drive_saturated_share", None, "the loudspeaker has no limit")


def _saturated(asked: Signal, saturation: float | None) -> float | None:
    if saturation is None:
        return None
    # A signal that was limited lies on the limit to within the rounding of float32.
    limit = saturation * (1.0 - 1e-6)
    return (np.count_nonzero(asked >= limit) + np.count_nonzero(asked <= -limit)) / asked.size


def _rms(samples: Signal | None, like: Signal, sample_rate: int) -> tuple[float | None, str]:
    if samples is None:
        return None, "the anti-noise was not given"
    heard = _like(samples, like, "anti_noise")
    if not heard.size or count_non_finite(heard):
        return None, "the anti-noise is empty or not finite"
    power = _sum(frame_energies(heard, sample_rate)) / heard.size
    return level_db(power), "the anti-noise is digital silence"


def _misalignment(taps: Signal | None, true_taps: Signal | None) -> tuple[float | None, str]:
    if taps is None or true_taps is None:
        return None, "the true taps are not known"
    if not all(np.all(np.abs(w) <= MAX_TAP) for w in (taps, true_taps)):  # NaN compares as false
        return None, f"some taps are not finite or above {MAX_TAP:g}"
    if not np.any(true_taps):
        return None, "the true taps are 0 throughout"
    return misalignment_db(taps, true_taps), "no difference"


# --------------------------------------------------------------------------- checks and reasons


def _like(samples: Signal, other: Signal, name: str) -> Signal:
    checked = columns(samples, name)
    if checked.shape != other.shape:
        msg = f"{name} has shape {checked.shape} and disturbance {other.shape}; they must agree"
        raise InputError(msg)
    return checked


def _why(d: SignalMeasure, e: SignalMeasure) -> str:
    for name, signal in (("disturbance", d), ("error signal", e)):
        if signal.non_finite:
            return f"the {name} holds {signal.non_finite} samples that are NaN or infinite"
        if not np.isfinite(_sum(signal.frame_energies)):
            return f"the {name} is too loud to have an energy"
    if not d.frame_energies.any():
        return "the disturbance is digital silence"
    return "digital silence: nothing is left, or nothing was there in this stretch"


def _silent(signal: SignalMeasure) -> str:
    if signal.non_finite:
        return f"it holds {signal.non_finite} samples that are NaN or infinite"
    return "digital silence"


def _sum(energies: Array) -> float:
    with np.errstate(over="ignore"):
        return float(np.sum(energies))


def _is_finite(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))
