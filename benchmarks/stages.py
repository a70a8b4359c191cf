"""How fast each stage is, in seconds of audio per CPU second, on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.stages

The peer in the same run is a forward and backward FFT of every frame (50 % overlap): what any
method in the time-frequency plane must at least do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from anc_core.arrays import Chunk
from anc_core.audio.synth import mix, noise, voice
from anc_core.emergency import AlarmDetector
from anc_core.metrics import SessionMeter
from anc_core.processors import EmergencyGuard, ReferenceCanceller, Suppressor

DURATION_S = 120.0
REPEATS = 3


def main() -> None:
    """Measure and print a table."""
    print(f"{'stage':<28}{'16 kHz mono':>14}{'48 kHz stereo':>15}   x real time, one core")
    signals = [_signal(16_000, 1), _signal(48_000, 2)]
    for name, build in STAGES.items():
        figures = [_speed(build, audio, rate) for audio, rate in signals]
        print(f"{name:<28}{figures[0]:>14.0f}{figures[1]:>15.0f}")


def _signal(rate: int, channels: int) -> tuple[Chunk, int]:
    speech = voice(20.0, rate, seed=1)
    mixture, _ = mix(speech, noise("fan", 20.0, rate, seed=2), 8.0, sample_rate=rate)
    whole = np.tile(mixture.astype(np.float32), int(DURATION_S / 20.0))
    return np.repeat(whole[:, np.newaxis], channels, axis=1), rate


def _speed(
    build: Callable[[int, int], Callable[[Chunk], object]], audio: Chunk, rate: int
) -> float:
    best = np.inf
    for _ in range(REPEATS + 1):  # the first run loads the kernels
        process = build(rate, audio.shape[1])
        started = time.process_time()
        for start in range(0, len(audio), rate):
            process(audio[start : start + rate])
        best = min(best, time.process_time() - started)
    return len(audio) / rate / best


def _fft_only(rate: int, _: int) -> Callable[[Chunk], object]:
    length = 512 * max(1, round(rate / 16_000))

    def process(chunk: Chunk) -> object:
        for offset in (0, length // 2):  # two sets of frames: 50 % overlap
            usable = (len(chunk) - offset) // length * length
            frames = chunk[offset : offset + usable].T.reshape(chunk.shape[1], -1, length)
            np.fft.irfft(np.fft.rfft(frames))
        return None

    return process


def _suppressor(rate: int, channels: int) -> Callable[[Chunk], object]:
    return Suppressor(rate, channels).process


def _detector(rate: int, channels: int) -> Callable[[Chunk], object]:
    return AlarmDetector(rate, channels).process


def _guarded(rate: int, channels: int) -> Callable[[Chunk], object]:
    inner, detector = Suppressor(rate, channels), AlarmDetector(rate, channels, keep_ridges=True)
    return EmergencyGuard(inner, detector, sample_rate=rate).process


def _meter(rate: int, channels: int) -> Callable[[Chunk], object]:
    meter = SessionMeter(rate, channels)
    return lambda chunk: meter.update(chunk, chunk)


def _canceller(rate: int, _: int, num_taps: int | None = 1024) -> Callable[[Chunk], object]:
    """Cancel in the first channel; how fast that is does not depend on what the reference hears."""
    canceller = ReferenceCanceller(rate, num_taps=num_taps)
    heard = noise("fan", 1.0, rate, seed=3).astype(np.float32)[:, np.newaxis]
    return lambda chunk: canceller.process(chunk[:, :1], heard[: len(chunk)])


def _long_canceller(rate: int, channels: int) -> Callable[[Chunk], object]:
    return _canceller(rate, channels, num_taps=None)


STAGES = {
    "FFT and back, nothing else": _fft_only,
    "Suppressor": _suppressor,
    "AlarmDetector": _detector,
    "guarded suppression (both)": _guarded,
    "SessionMeter": _meter,
    "Canceller, 1024 taps": _canceller,
    "Canceller, 0.5 s": _long_canceller,
}

if __name__ == "__main__":
    main()
