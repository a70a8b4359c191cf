"""Quality of a processed recording: against a clean reference, or by a listening model.

PESQ, ESTOI and SI-SDR need the clean signal; DNSMOS P.835 guesses what listeners would say without
one. PESQ, ESTOI and DNSMOS come from optional packages (extra ``compare``): where one is missing,
or the signal is nothing it can judge, the figure is ``None`` and its reason is given.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.finite import tame
from anc_core.dsp.levels import SILENCE_POWER
from anc_core.errors import AncError, InputError
from anc_core.metrics.si_sdr import si_sdr_db

REFERENCE_FIGURES = ("pesq", "estoi", "si_sdr_db")
"""What needs a clean reference."""
BLIND_FIGURES = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak")
"""What needs none."""
QUALITY_FIGURES = REFERENCE_FIGURES + BLIND_FIGURES

MAX_SEGMENT_S = 20.0
"""PESQ and ESTOI judge sentences: longer signals are cut into equal parts, whose mean counts.
P.862.3 asks for 8 to 30 s, and the reference code of P.862 knows at most 50 utterances."""

MAX_LAG_S = 0.1
_LAG_WINDOW_S = 10.0
_MAX_CODE_RATE_HZ = 16_000

_DNSMOS_RATE_HZ = 16_000
_DNSMOS_WINDOW_S = 9.01
# Polynomials of the published scripts (Reddy et al. 2022), highest power first.
_DNSMOS_POLYNOMIALS = {
    "dnsmos_sig": (-0.08397278, 1.22083953, 0.0052439),
    "dnsmos_bak": (-0.13166888, 1.60915514, -0.39604546),
    "dnsmos_ovrl": (-0.06766283, 1.11546468, 0.04602535),
}

Samples = NDArray[np.floating[Any]]


class FigureUnavailableError(AncError):
    """A figure cannot be had; the message says why, and what would help."""


def _install_hint(package: str) -> FigureUnavailableError:
    return FigureUnavailableError(
        f"{package} is not installed; pip install 'anc-platform[compare]'"
    )


# --------------------------------------------------------------------------- with a reference


def pesq_mos(estimate: Samples, target: Samples, sample_rate: int) -> float:
    """Return the PESQ score.

    Parameters
    ----------
    estimate, target : ndarray, shape (num_samples,)
        Processed and clean signal of one channel.
    sample_rate : int
        Hz. Narrow band at 8 kHz; wide band at all others, brought to 16 kHz.

    Returns
    -------
    float
        MOS-LQO, about 1.0 to 4.6.

    Raises
    ------
    FigureUnavailableError
        If the package is missing or finds no speech.

    References
    ----------
    ITU-T P.862 (2001), P.862.2 (2007).
    """
    estimate, target = _pair(estimate, target)
    try:
        from pesq import PesqError, pesq
    except ImportError as err:
        raise _install_hint("pesq") from err
    _refuse_silence(target, "reference")
    _refuse_silence(estimate, "signal")
    rate = 8_000 if sample_rate == 8_000 else 16_000
    mode = "nb" if rate == 8_000 else "wb"
    signals = [_resampled(signal, sample_rate, rate) for signal in (target, estimate)]
    try:
        return float(pesq(rate, *signals, mode))
    except PesqError as err:
        text = err.args[0] if err.args else err
        text = text.decode() if isinstance(text, bytes) else text
        raise FigureUnavailableError(f"PESQ: {text}") from err


def estoi(estimate: Samples, target: Samples, sample_rate: int) -> float:
    """Return the extended short-time objective intelligibility.

    Parameters
    ----------
    estimate, target : ndarray, shape (num_samples,)
        Processed and clean signal of one channel, aligned.
    sample_rate : int
        Hz.

    Returns
    -------
    float
        About 0 to 1.

    Raises
    ------
    FigureUnavailableError
        If the package is missing or there is less than 0.4 s of speech.

    References
    ----------
    J. Jensen and C. H. Taal, IEEE/ACM Trans. Audio Speech Lang. Process. 24(11), 2016.
    """
    estimate, target = _pair(estimate, target)
    try:
        from pystoi import stoi
    except ImportError as err:
        raise _install_hint("pystoi") from err
    _refuse_silence(target, "reference")
    _refuse_silence(estimate, "signal")
    rate = min(sample_rate, _MAX_CODE_RATE_HZ)  # it goes on to 10 kHz itself, slowly
    signals = [_resampled(signal, sample_rate, rate) for signal in (target, estimate)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(stoi(*signals, rate, extended=True))
        except (RuntimeWarning, ValueError) as err:  # too few frames; an empty spectrogram
            raise FigureUnavailableError("ESTOI: less than 0.4 s of speech") from err


def zero_mean_si_sdr_db(estimate: Samples, target: Samples) -> float:
    """Return :func:`anc_core.metrics.si_sdr_db` of the signals without their means.

    Raises
    ------
    FigureUnavailableError
        If either is silent, or nothing is wrong with the estimate.
    """
    estimate, target = _pair(estimate, target)
    _refuse_silence(target, "reference")
    value = si_sdr_db(estimate - np.mean(estimate), target - np.mean(target))
    if value is None:
        msg = "SI-SDR: the signal holds nothing of the reference, or nothing else"
        raise FigureUnavailableError(msg)
    return value


def speech_gain_db(output: Samples, noisy: Samples, target: Samples) -> float:
    """Return by how many dB the clean component is louder in ``output`` than in ``noisy``.

    Parameters
    ----------
    output, noisy, target : ndarray, shape (num_samples,)
        Processed, unprocessed and clean signal, aligned.

    Notes
    -----
    Both are projected on the clean signal, so what is left of the noise counts in neither.

    Raises
    ------
    FigureUnavailableError
        If either holds nothing of the clean signal.
    """
    _, clean = _pair(noisy, target)
    output, _ = _pair(output, target)
    before, after = float(np.dot(noisy.astype(np.float64), clean)), float(np.dot(output, clean))
    if before <= 0.0 or after <= 0.0:
        msg = "speech level: the signal holds nothing of the reference"
        raise FigureUnavailableError(msg)
    return 20.0 * math.log10(after / before)


# --------------------------------------------------------------------------- without a reference


class Dnsmos:
    """DNSMOS P.835: what listeners would say of the voice, the background and the whole.

    Raises
    ------
    FigureUnavailableError
        If the package that holds the model (speechmos) or its runtime is missing.

    Notes
    -----
    The model and its polynomials are those of the package; its code is not used, since that needs
    librosa. Windows of 9.01 s every second, as there; shorter signals are repeated. A network's
    guess: compare before and after, never absolutes, and never alone - it rewards silence.

    References
    ----------
    C. K. A. Reddy, V. Gopal, R. Cutler, "DNSMOS P.835", ICASSP 2022.
    """

    def __init__(self) -> None:
        spec = find_spec("speechmos")
        if spec is None or spec.origin is None:
            raise _install_hint("speechmos")
        model = Path(spec.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
        try:
            import onnxruntime
        except ImportError as err:
            raise _install_hint("onnxruntime") from err
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, audio: Samples, sample_rate: int) -> dict[str, float]:
        """Return the scores by the names of :data:`BLIND_FIGURES`, 1 to 5.

        Parameters
        ----------
        audio : ndarray, shape (num_samples,)
        sample_rate : int
            Hz.

        Raises
        ------
        FigureUnavailableError
            If there is not one sample, or all are silent.
        """
        audio = tame(audio)
        _refuse_silence(audio, "signal")
        signal = _resampled(audio, sample_rate, _DNSMOS_RATE_HZ).astype(np.float32)
        signal /= max(1.0, float(np.max(np.abs(signal))))
        length = int(_DNSMOS_WINDOW_S * _DNSMOS_RATE_HZ)
        if len(signal) < length:
            signal = np.resize(signal, length)
        starts = range(0, len(signal) - length + 1, _DNSMOS_RATE_HZ)
        raw = [
            self._session.run(None, {"input_1": signal[np.newaxis, start : start + length]})[0][0]
            for start in starts
        ]
        columns = dict(
            zip(("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl"), np.transpose(raw), strict=True)
        )
        return {
            name: float(np.mean(np.polyval(polynomial, columns[name])))
            for name, polynomial in _DNSMOS_POLYNOMIALS.items()
        }


# --------------------------------------------------------------------------- all of them


@dataclass(frozen=True, slots=True)
class Quality:
    """What could be measured.

    Attributes
    ----------
    figures : dict
        Every name of :data:`QUALITY_FIGURES`; ``None`` = not to be had.
    null_reasons : dict
        Name -> why it is ``None``.
    """

    figures: dict[str, float | None]
    null_reasons: dict[str, str]


class QualityMeter:
    """Measure all figures that can be had; models are loaded once."""

    def __init__(self) -> None:
        self._dnsmos: Dnsmos | FigureUnavailableError | None = None

    def measure(
        self, estimate: Samples, sample_rate: int, *, target: Samples | None = None
    ) -> Quality:
        """Return the quality of ``estimate``.

        Parameters
        ----------
        estimate : ndarray, shape (num_samples,)
            One channel, aligned with ``target``.
        sample_rate : int
            Hz.
        target : ndarray, shape (num_samples,), optional
            The clean signal. Without it the figures of :data:`REFERENCE_FIGURES` are ``None``.
        """
        check_sample_rate(sample_rate)
        figures: dict[str, float | None] = dict.fromkeys(QUALITY_FIGURES)
        reasons: dict[str, str] = {}
        if target is None:
            reasons |= dict.fromkeys(REFERENCE_FIGURES, "no clean reference")
        else:
            for name, function in _REFERENCE_FUNCTIONS.items():
                try:
                    figures[name] = _over_segments(function, estimate, target, sample_rate)
                except FigureUnavailableError as err:
                    reasons[name] = str(err)
        try:
            figures |= self._blind(estimate, sample_rate)
        except FigureUnavailableError as err:
            reasons |= dict.fromkeys(BLIND_FIGURES, str(err))
        return Quality(figures, reasons)

    def _blind(self, estimate: Samples, sample_rate: int) -> dict[str, float]:
        if self._dnsmos is None:
            try:
                self._dnsmos = Dnsmos()
            except FigureUnavailableError as err:
                self._dnsmos = err
        if isinstance(self._dnsmos, FigureUnavailableError):
            raise FigureUnavailableError(str(self._dnsmos))
        return self._dnsmos(estimate, sample_rate)


def _si_sdr(estimate: Samples, target: Samples, _: int) -> float:
    return zero_mean_si_sdr_db(estimate, target)


_REFERENCE_FUNCTIONS: dict[str, Callable[[Samples, Samples, int], float]] = {
    "pesq": pesq_mos,
    "estoi": estoi,
    "si_sdr_db": _si_sdr,
}


def _over_segments(
    function: Callable[[Samples, Samples, int], float],
    estimate: Samples,
    target: Samples,
    sample_rate: int,
) -> float:
    """Return the mean over the segments that the figure can be had of.

    Raises
    ------
    FigureUnavailableError
        If it can be had of none; that of the first.
    """
    estimate, target = _pair(estimate, target)
    values, failures = [], []
    for part in segments(len(target), sample_rate):
        try:
            values.append(function(estimate[part], target[part], sample_rate))
        except FigureUnavailableError as err:
            failures.append(err)
    if not values:
        raise failures[0] if failures else FigureUnavailableError("no samples")
    return float(np.mean(values))


def segments(num_samples: int, sample_rate: int) -> Iterator[slice]:
    """Yield the equal parts of at most :data:`MAX_SEGMENT_S` that a signal is judged in.

    Examples
    --------
    >>> [(part.start, part.stop) for part in segments(500_000, 16_000)]
    [(0, 250000), (250000, 500000)]
    """
    count = math.ceil(num_samples / (MAX_SEGMENT_S * sample_rate))
    edges = np.linspace(0, num_samples, count + 1).astype(int) if count else np.zeros(0, int)
    for start, stop in itertools.pairwise(edges):
        yield slice(int(start), int(stop))


# --------------------------------------------------------------------------- alignment


def lag_samples(output: Samples, noisy: Samples, sample_rate: int) -> int:
    """Return by how many samples ``output`` comes late (negative: early), within 100 ms.

    Parameters
    ----------
    output, noisy : ndarray, shape (num_samples,)
        Processed and unprocessed signal.
    sample_rate : int
        Hz.

    Notes
    -----
    The peak of the plain cross-correlation over the 10 s where the output is loudest. 0 where
    there is nothing to correlate.
    """
    output, noisy = _pair(output, noisy)
    window = _loudest(output, round(_LAG_WINDOW_S * sample_rate))
    heard, before = output[window], noisy[window]
    reach = min(round(MAX_LAG_S * sample_rate), len(heard) - 1)
    if reach < 1 or not heard.any() or not before.any():
        return 0
    n_fft = 1 << (2 * len(heard) - 1).bit_length()
    spectrum = np.conj(np.fft.rfft(before, n_fft)) * np.fft.rfft(heard, n_fft)
    correlation = np.fft.irfft(spectrum, n_fft)
    near = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    return int(np.argmax(near)) - reach


def without_lag(output: Samples, lag: int) -> Samples:
    """Return ``output`` moved ``lag`` samples to the front; zeros take the place of what is cut."""
    if lag == 0:
        return output
    moved = np.zeros_like(output)
    if lag > 0:
        moved[: len(output) - lag] = output[lag:]
    else:
        moved[-lag:] = output[:lag]
    return moved


def _loudest(signal: Samples, length: int) -> slice:
    if len(signal) <= length:
        return slice(0, len(signal))
    energy = np.concatenate([[0.0], np.cumsum(signal.astype(np.float64) ** 2)])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return slice(start, start + length)


# --------------------------------------------------------------------------- helpers


def _pair(estimate: Samples, target: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if estimate.ndim != 1 or estimate.shape != target.shape:
        msg = (
            f"estimate has shape {estimate.shape} and target {target.shape}; "
            "both must be (num_samples,)"
        )
        raise InputError(msg)
    return tame(estimate).astype(np.float64), tame(target).astype(np.float64)


def _refuse_silence(signal: Samples, what: str) -> None:
    if len(signal) == 0 or float(np.mean(np.square(signal, dtype=np.float64))) < SILENCE_POWER:
        raise FigureUnavailableError(f"the {what} is silent")


def _resampled(signal: Samples, sample_rate: int, rate: int) -> NDArray[np.float64]:
    exact = np.asarray(signal, dtype=np.float64)
    if sample_rate == rate:
        return exact
    import soxr

    return np.asarray(soxr.resample(exact, sample_rate, rate, quality="HQ"), dtype=np.float64)


@functools.cache
def metric_versions() -> dict[str, str]:
    """Return the versions of the optional packages that are installed: a figure's pedigree."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("pesq", "pystoi", "speechmos", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
