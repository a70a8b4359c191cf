"""A voice made by rule: glottal pulses and breath through a vocal tract that moves.

Source and filter (Fant 1960): every closing of the vocal folds sends a pulse through the formants
as they stand at that moment; hisses are noise, shaped anew every 5 ms. All pulses are computed at
once in the frequency domain and added where they belong, so there is no loop over samples, no
aliasing and no filter that could ring on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.synth.mixing import active_speech
from anc_core.audio.synth.phones import SILENT_DB, Accent, Score, Segment, plan_speech
from anc_core.audio.synth.signals import (
    Audio,
    Samples,
    Seed,
    at_level,
    bins_hz,
    count_samples,
    fade_edges,
    filter_spectrum,
    resample,
    rms,
    scatter_add,
    wander,
)
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RATE = 24_000  # speech has next to nothing above 12 kHz; every sample rate gets the same utterance
_HOP = 120  # 5 ms: the organs of speech move more slowly
_FRAMES_HZ = _RATE / _HOP
_PULSE_LENGTH = 1_024
_PULSE_CENTRE = 256  # the opening phase of the folds lies before the closing instant
_HISS_LENGTH = 512
_MALE_PITCH_HZ = 120.0
_BANDWIDTHS_HZ = (70.0, 90.0, 130.0)
_UPPER_HZ = (3_450.0, 4_400.0)  # F4, F5: they belong to the talker, not to the vowel
_UPPER_BANDWIDTHS_HZ = (200.0, 280.0)

# Long-term average speech spectrum, men and women, 12 languages: Byrne et al. (1994), Table II.
LTASS_HZ = (
    *(100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1_000, 1_250, 1_600, 2_000, 2_500),
    *(3_150, 4_000, 5_000, 6_300, 8_000, 10_000),
)
LTASS_DB = (
    *(54.4, 57.7, 56.8, 60.2, 60.3, 59.0, 62.1, 62.1, 60.5, 56.8, 53.7, 53.0, 52.0, 48.7, 48.1),
    *(46.8, 45.6, 44.5, 44.3, 43.7, 43.4),
)

# What the rules above leave to correct, from long utterances of both pitches against the LTASS.
_MOUTH_HZ = (100.0, 400.0, 700.0, 1_200.0, 2_500.0, 3_500.0, 4_500.0, 8_000.0)
_MOUTH_DB = (0.0, 1.0, -3.5, -2.5, -0.5, 1.0, 4.0, 4.0)


def voice(
    duration_s: float,
    sample_rate: int,
    *,
    seed: Seed,
    pitch_hz: float = _MALE_PITCH_HZ,
    level_dbfs: float = -26.0,
    tract_scale: float | None = None,
) -> Audio:
    """Speak meaningless sentences.

    Parameters
    ----------
    duration_s : float
        Length in s.
    sample_rate : int
        Hz. The same seed says the same at every rate, as far as the bandwidth goes.
    seed : int or Generator
        What is said and how.
    pitch_hz : float
        Median pitch, 60 to 500 Hz: about 120 for men, 210 for women, 300 for children.
    level_dbfs : float
        Level of the active speech (ITU-T P.56), full-scale square = 0. Peaks are about 18 dB above.
    tract_scale : float, optional
        Formants relative to a man's, 0.7 to 1.6; default: what goes with the pitch.

    Returns
    -------
    ndarray of float32, shape (num_samples,)
        Pauses between phrases are silent but for a breath.

    Raises
    ------
    InputError
        If a number is out of range.

    References
    ----------
    Fant (1960), *Acoustic Theory of Speech Production*; Klatt (1980), JASA 67, 971 (resonators);
    Doval, d'Alessandro & Henrich (2003), VOQUAL (causal-anticausal glottal pulse);
    Byrne et al. (1994), JASA 96, 2108 (long-term spectrum).
    """
    num_samples = count_samples(duration_s, sample_rate)
    if not 60.0 <= pitch_hz <= 500.0:
        msg = f"pitch_hz is {pitch_hz}; it must be from 60 to 500 Hz"
        raise InputError(msg)
    scale = (pitch_hz / _MALE_PITCH_HZ) ** 0.3 if tract_scale is None else tract_scale
    if not 0.7 <= scale <= 1.6:
        msg = f"tract_scale is {scale}; it must be from 0.7 to 1.6"
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    score = plan_speech(duration_s, rng)
    tracks = _tracks(score, round(duration_s * _FRAMES_HZ) + 1, pitch_hz, scale, rng)
    dry = _pulses(tracks, rng) + _hisses(tracks, rng)
    spoken = filter_spectrum(dry, _RATE, _mouth)
    samples = fade_edges(resample(spoken, _RATE, sample_rate, num_samples), sample_rate)
    active = active_speech(samples, sample_rate)
    return at_level(samples, level_dbfs, reference_rms=rms(samples[active]))


@dataclass(frozen=True, slots=True)
class _Tracks:
    """What the organs of speech do, one row every 5 ms."""

    pitch_hz: Samples
    voicing: Samples
    """Amplitudes, shape (num_frames,)."""
    aspiration: Samples
    frication: Samples
    tilt_hz: Samples
    formants_hz: Samples
    """F1 to F3, shape (num_frames, 3)."""
    band: Samples
    """Shape (num_frames, 3): centre in Hz, dB an octave below and above."""
    tract_scale: float


def _tracks(
    score: Score, num_frames: int, pitch_hz: float, scale: float, rng: np.random.Generator
) -> _Tracks:
    lengths = np.array([segment.duration_s for segment in score.segments])
    ends = np.cumsum(lengths)
    frame_s = np.arange(num_frames) / _FRAMES_HZ
    which = np.minimum(np.searchsorted(ends, frame_s, side="right"), len(ends) - 1)
    progress = np.clip(1.0 - (ends[which] - frame_s) / np.maximum(lengths[which], 1e-9), 0.0, 1.0)

    depth = np.array([segment.swell for segment in score.segments])[which]
    swell = 1.0 - depth * (1.0 - np.sin(np.pi * progress**0.7) ** 2)

    def level(name: str) -> Samples:
        levels_db = np.array([getattr(segment, name) for segment in score.segments])
        # Absolute zero for what is meant to be silent, so that a pause is digital silence.
        amplitudes = np.where(levels_db > SILENT_DB / 2.0, 10.0 ** (levels_db / 20.0), 0.0)
        track: Samples = amplitudes[which] * swell
        return track

    tilt = np.array([segment.tilt_hz for segment in score.segments])[which]
    return _Tracks(
        pitch_hz=_melody(score, frame_s, pitch_hz, rng),
        voicing=_smooth(level("voicing_db"), 0.03),
        aspiration=_smooth(level("aspiration_db"), 0.02),
        frication=_smooth(level("frication_db"), 0.015),
        tilt_hz=np.exp(_smooth(np.log(tilt), 0.03)),
        formants_hz=_formants(score.segments, which, progress, scale),
        band=np.array([segment.band for segment in score.segments])[which],
        tract_scale=scale,
    )


def _smooth(track: Samples, width_s: float) -> Samples:
    """Return ``track`` (frames first) under a raised cosine of that full width."""
    half = max(1, round(0.5 * width_s * _FRAMES_HZ))
    weights = np.hanning(2 * half + 1)[1:-1] if half > 1 else np.array([0.25, 0.5, 0.25])
    weights = weights / weights.sum()
    reach = len(weights) // 2
    padded = np.pad(track, reach, mode="edge")
    return np.convolve(padded, weights, mode="valid")


def _formants(
    segments: tuple[Segment, ...],
    which: NDArray[np.int64],
    progress: Samples,
    scale: float,
) -> Samples:
    starts = np.array([segment.formants_hz for segment in segments])
    ends = np.array([segment.end_formants_hz or segment.formants_hz for segment in segments])
    blend = (0.5 - 0.5 * np.cos(np.pi * progress))[:, np.newaxis]
    moving = starts[which] * (1.0 - blend) + ends[which] * blend
    moving = np.stack([_smooth(column, 0.08) for column in moving.T], axis=1)
    return scale * moving


def _melody(score: Score, frame_s: Samples, pitch_hz: float, rng: np.random.Generator) -> Samples:
    """Return the pitch: falling over the phrase, rising on accents, never quite still.

    Sums in semitones, as in Fujisaki's model (1984): declination, accents, slow drift.
    """
    semitones = np.zeros(len(frame_s))
    for start_s, end_s in score.phrases:
        inside = (frame_s >= start_s) & (frame_s < end_s)
        semitones[inside] += 1.5 - 4.5 * (frame_s[inside] - start_s) / (end_s - start_s)
    for accent in score.accents:
        semitones += _hill(accent, frame_s)
    semitones = _smooth(semitones, 0.06)
    semitones += 0.3 * wander(len(frame_s), _FRAMES_HZ, rng, period_s=0.12)
    return pitch_hz * np.exp2(semitones / 12.0)


def _hill(accent: Accent, frame_s: Samples) -> Samples:
    part = np.clip((frame_s - accent.start_s) / (accent.end_s - accent.start_s), 0.0, 1.0)
    return accent.semitones * np.sin(np.pi * part) ** 2


def _pulses(tracks: _Tracks, rng: np.random.Generator) -> Samples:
    """Return the voiced part: one glottal pulse a period through the tract of that moment."""
    num_frames = len(tracks.pitch_hz)
    cycles = np.cumsum(tracks.pitch_hz) / _FRAMES_HZ
    frames = np.interp(np.arange(1, int(cycles[-1])), cycles, np.arange(num_frames))
    # Jitter and shimmer of a healthy voice: 0.6 % of the period, 4 % of the amplitude.
    period = _FRAMES_HZ / np.interp(frames, np.arange(num_frames), tracks.pitch_hz)
    frames = frames + 0.006 * period * rng.standard_normal(len(frames))
    shimmer = 1.0 + 0.04 * rng.standard_normal(len(frames))

    index = np.clip(np.rint(frames).astype(np.int64), 0, num_frames - 1)
    sounding = tracks.voicing[index] > 1e-3
    frames, shimmer, index = frames[sounding], shimmer[sounding], index[sounding]
    frequency_hz = bins_hz(_PULSE_LENGTH, _RATE)
    spectra = _glottal_pulse(frequency_hz, tracks.pitch_hz[index], tracks.tilt_hz[index])
    spectra *= _tract(frequency_hz, tracks.formants_hz[index], tracks.tract_scale)
    loudness = shimmer * tracks.voicing[index] / _unevenness(spectra, tracks.pitch_hz[index])
    spectra *= loudness[:, np.newaxis].astype(np.float32)
    position = frames * _HOP
    start = np.floor(position).astype(np.int64)
    delay = (position - start + _PULSE_CENTRE) / _RATE
    spectra *= np.exp(-2j * np.pi * frequency_hz * delay[:, np.newaxis]).astype(np.complex64)
    grains = np.fft.irfft(spectra, _PULSE_LENGTH)
    return scatter_add(num_frames * _HOP, start - _PULSE_CENTRE, grains)


def _unevenness(spectra: NDArray[np.complex64], pitch_hz: Samples) -> Samples:
    """Return by what to divide pulses so that running speech has about unit RMS.

    A cascade of formants makes close vowels too quiet; talkers make up for half of that in dB.
    """
    energy = 2.0 * np.sum(np.square(np.abs(spectra)), axis=1) / _PULSE_LENGTH
    power = energy * pitch_hz / _RATE
    typical = np.median(power) if len(power) else 1.0
    unevenness: Samples = np.sqrt(np.sqrt(power * typical))
    return unevenness


def _glottal_pulse(
    frequency_hz: Samples, pitch_hz: Samples, tilt_hz: Samples
) -> NDArray[np.complex64]:
    """Return spectra (num_pulses, num_bins) of the derivative of the glottal flow.

    A maximum-phase resonance just below the pitch (the opening folds) and a first-order lowpass
    (how softly they close); lip radiation is the derivative.
    """
    ratio = (frequency_hz / (0.9 * pitch_hz)[:, np.newaxis]).astype(np.float32)
    softness = (frequency_hz / tilt_hz[:, np.newaxis]).astype(np.float32)
    flow: NDArray[np.complex64] = (
        1j * ratio / ((1.0 - ratio**2 - 1j * ratio / 0.8) * (1.0 + 1j * softness))
    )
    return flow


def _tract(frequency_hz: Samples, formants_hz: Samples, scale: float) -> NDArray[np.complex64]:
    """Return responses (num_pulses, num_bins) of the formants in cascade (Klatt 1980, Eq. 2).

    The upper ones stand still. Those above the fifth stand every 1000 Hz (times ``scale``) up to
    the Nyquist frequency; without them a cascade of digital resonators would fall off too steeply.
    """
    response = np.ones((1, len(frequency_hz)), dtype=np.complex64)
    for formant_hz, bandwidth_hz in zip(_UPPER_HZ, _UPPER_BANDWIDTHS_HZ, strict=True):
        response = response * _resonator(frequency_hz, np.array([scale * formant_hz]), bandwidth_hz)
    for formant_hz in np.arange(5_500.0 * scale, _RATE / 2.0 - 300.0, 1_000.0 * scale):
        response = response * _resonator(frequency_hz, np.array([formant_hz]), 0.08 * formant_hz)
    for column, bandwidth_hz in zip(formants_hz.T, _BANDWIDTHS_HZ, strict=True):
        response = response * _resonator(frequency_hz, column, bandwidth_hz)
    return response


def _resonator(
    frequency_hz: Samples, formants_hz: Samples, bandwidth_hz: float
) -> NDArray[np.complex64]:
    """Return responses (num_formants, num_bins), 1 at 0 Hz."""
    delay = np.exp(-2j * np.pi * frequency_hz / _RATE).astype(np.complex64)
    radius = np.float32(np.exp(-np.pi * bandwidth_hz / _RATE))
    angle = 2.0 * np.pi * formants_hz[:, np.newaxis] / _RATE
    first = (2.0 * radius * np.cos(angle)).astype(np.float32)
    resonance: NDArray[np.complex64] = (1.0 - first + radius**2) / (
        1.0 - first * delay + (radius * delay) ** 2
    )
    return resonance


def _hisses(tracks: _Tracks, rng: np.random.Generator) -> Samples:
    """Return breath and hiss: noise in overlapping frames, each shaped by its own spectrum."""
    num_frames = len(tracks.pitch_hz)
    sounding = np.flatnonzero((tracks.aspiration > 1e-4) | (tracks.frication > 1e-4))
    noise = rng.standard_normal((num_frames + 1) * _HOP)
    window = np.hanning(2 * _HOP + 1)[:-1]
    frames = noise[sounding[:, np.newaxis] * _HOP + np.arange(2 * _HOP)] * window
    frequency_hz = bins_hz(_HISS_LENGTH, _RATE)
    breath = _tract(frequency_hz, tracks.formants_hz[sounding], tracks.tract_scale)
    # Noise of the glottis is flat; radiation lifts it by 6 dB an octave, here up to 1 kHz.
    breath *= (np.minimum(frequency_hz / 1_000.0, 1.0)).astype(np.complex64)
    shape = breath * tracks.aspiration[sounding, np.newaxis]
    shape += _band(frequency_hz, tracks.band[sounding]) * tracks.frication[sounding, np.newaxis]
    length = _HISS_LENGTH
    lead = (length - 2 * _HOP) // 4
    padded = np.zeros((len(sounding), length))
    padded[:, lead : lead + 2 * _HOP] = frames
    grains = np.fft.irfft(np.fft.rfft(padded) * shape, length)
    return scatter_add(num_frames * _HOP, (sounding - 1) * _HOP - lead, grains)


def _band(frequency_hz: Samples, band: Samples) -> Samples:
    """Return amplitudes (num_frames, num_bins) of the hisses, about 1 at their centre."""
    octaves = np.log2(np.maximum(frequency_hz, 1.0) / band[:, :1])
    fall_db = np.where(octaves < 0.0, -octaves * band[:, 1:2], octaves * band[:, 2:3])
    amplitudes: Samples = 10.0 ** (-fall_db / 20.0)
    return amplitudes


def _mouth(frequency_hz: Samples) -> Samples:
    """Return the gain that brings the average of male and female voices to the LTASS."""
    gain_db = np.interp(np.log2(np.maximum(frequency_hz, 1.0)), np.log2(_MOUTH_HZ), _MOUTH_DB)
    amplitudes: Samples = 10.0 ** (gain_db / 20.0)
    return amplitudes
