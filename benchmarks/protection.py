"""What ridge protection saves of a siren, and what that costs: both layers, one run, one core.

    python -m benchmarks.protection --data DATA

Sirens: all recordings of the folder, stitched from their clips, alone, in noise and under speech;
every second recording was there when the numbers were chosen ("tune"), the rest not ("held out").
Loss: energy of the siren in its tracks, in dB. A cell's gain is what the processor took of the
siren's own spectrum there, ``1 - <s, in - out> / <s, s>`` over 3 bins and 5 frames, so that the
noise around does not count. The tracks are found in the clean recording with other frames, another
background and another linking than the platform's: partly circular all the same, and blind to what
no track holds. Synthesised alarms need no tracks: there the whole signal counts.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

RATE_HZ = 16_000
LONGEST_S = 20.0
_FRAME, _HOP = 1_024, 256
_HIGHEST_HZ, _LOWEST_HZ = 7_500.0, 250.0
_MIN_TRACK = 16  # frames of 16 ms
_REACH_OCTAVES = 0.1

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scene:
    """A siren and what is heard with it, both as they are in the mixture."""

    name: str
    condition: str
    is_tune: bool
    siren: Samples
    other: Samples


def siren_scenes(data: Path) -> Iterator[Scene]:
    """Yield every recording in every condition."""
    noises = _noises(data)
    voices = sorted((data / "clean_speech").glob("librispeech_train*/*"))
    for index, (name, siren) in enumerate(stitched_sirens(data / "emergency" / "siren").items()):
        noise = _as_long(_load(noises[(7 * index) % len(noises)]), len(siren))
        spoken = [_load(voices[(5 * index + i) % len(voices)]) for i in range(4)]
        voice = _as_long(np.concatenate(spoken), len(siren))
        yield Scene(name, "clean", index % 2 == 0, siren, np.zeros(len(siren)))
        for condition, other, snr_db in (
            ("noise 0 dB", noise, 0.0),
            ("noise -5 dB", noise, -5.0),
            ("speech 5 dB", voice, 5.0),
            ("speech 0 dB", voice, 0.0),
            ("speech -5 dB", voice, -5.0),
        ):
            scaled = other * _rms(siren) / _rms(other) * 10 ** (-snr_db / 20)
            scale = min(1.0, 0.9 / float(np.abs(siren + scaled).max()))
            yield Scene(name, condition, index % 2 == 0, siren * scale, scaled * scale)


def stitched_sirens(folder: Path) -> dict[str, Samples]:
    """Return every recording, its clips joined where they overlap, as far as it lasts 20 s."""
    clips: dict[str, list[tuple[int, int, Path]]] = defaultdict(list)
    for path in folder.iterdir():
        recording, _, occurrence, part = path.stem.rsplit("-", 3)
        clips[recording].append((int(occurrence), int(part), path))
    return {name: _stitched(parts) for name, parts in sorted(clips.items())}


def _stitched(parts: list[tuple[int, int, Path]]) -> Samples:
    whole = np.zeros(0)
    for _, _, path in sorted(parts):
        clip = _load(path)
        whole = np.concatenate([whole, clip[_overlap(whole, clip) :]])
    return whole[: int(LONGEST_S * RATE_HZ)]


def _overlap(whole: Samples, clip: Samples) -> int:
    """Return how many samples of ``clip`` the end of ``whole`` holds already: clips hop by 0.5 s."""
    for half_seconds in range(7, 0, -1):
        length = half_seconds * RATE_HZ // 2
        if length <= min(len(whole), len(clip)):
            likeness = np.corrcoef(whole[-length:], clip[:length])[0, 1]
            if likeness > 0.8:
                return length
    return 0


def _noises(data: Path) -> list[Path]:
    """Return steady noises, none of them a siren: rain, sea, wind, helicopters, machines."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {"rain", "sea_waves", "helicopter", "air_conditioner", "engine_idling", "jackhammer"}
    wanted = [r["path"] for r in rows if r["category"] in kinds and not _is_held_back(r)]
    return [data / path for path in sorted(wanted)]


def _is_held_back(row: dict[str, str]) -> bool:
    """Return whether the suppression benchmark judges on this one."""
    return bool(re.search(r"/5-\d", row["path"])) or row["speaker_or_fold"].startswith("fold2")


def _load(path: Path) -> Samples:
    audio, rate = sf.read(path, dtype="float64", always_2d=True)
    return soxr.resample(audio.mean(axis=1), rate, RATE_HZ)


def _as_long(audio: Samples, length: int) -> Samples:
    loud = np.flatnonzero(np.abs(audio) > 1e-4)  # some are padded with silence
    return np.resize(audio[loud[0] : loud[-1] + 1], length)


def _rms(audio: Samples) -> float:
    return float(np.sqrt(np.mean(audio**2)))


# --------------------------------------------------------------------------- loss


def spectra(audio: Samples) -> NDArray[np.complex128]:
    """Return the spectra of frames of 64 ms every 16 ms."""
    padded = np.pad(audio, _FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    return np.fft.rfft(frames * np.hanning(_FRAME), axis=1)


def siren_tracks(siren: Samples) -> NDArray[np.bool_]:
    """Return which cells of :func:`spectra` are on a lasting tonal track of a clean siren."""
    level = 20 * np.log10(np.abs(spectra(siren)) + 1e-9)
    bin_hz = RATE_HZ / _FRAME
    low, high = int(_LOWEST_HZ / bin_hz), int(_HIGHEST_HZ / bin_hz)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(level, ((0, 0), (40, 40))), 81, axis=1)
    background = np.repeat(np.median(near[:, ::8], axis=2), 8, axis=1)[:, : level.shape[1]]
    is_peak = np.zeros(level.shape, bool)
    middle = level[:, 1:-1]
    is_peak[:, 1:-1] = (middle > level[:, :-2]) & (middle >= level[:, 2:])
    is_peak &= (level > background + 12.0) & (level > level.max() - 45.0)
    is_peak[:, :low] = is_peak[:, high:] = False
    cells = np.zeros(level.shape, bool)
    for track in _linked([np.flatnonzero(row) for row in is_peak]):
        if len(track) >= _MIN_TRACK:
            frames, bins = np.array(track).T
            for offset in (-1, 0, 1):
                cells[frames, bins + offset] = True
    return cells


def _linked(peaks: list[NDArray[np.intp]]) -> list[list[tuple[int, int]]]:
    """Return the peaks of all frames, each with the nearest of the frame before."""
    done: list[list[tuple[int, int]]] = []
    open_tracks: list[list[tuple[int, int]]] = []
    for frame, bins in enumerate(peaks):
        free = set(bins.tolist())
        going_on = []
        for track in sorted(open_tracks, key=len, reverse=True):
            nearest = min(free, key=lambda k: abs(np.log2(k / track[-1][1])), default=None)  # noqa: B023
            if nearest and abs(np.log2(nearest / track[-1][1])) <= max(
                _REACH_OCTAVES, 1.5 / track[-1][1]
            ):
                free.discard(nearest)
                track.append((frame, nearest))
                going_on.append(track)
            else:
                done.append(track)
        open_tracks = going_on + [[(frame, k)] for k in free]
    return done + open_tracks


@dataclass(frozen=True, slots=True)
class Loss:
    """What a siren lost."""

    mean_db: float
    share_over_3_db: float
    """Of the seconds in which it sounds."""


def track_loss(scene: Scene, output: Samples, cells: NDArray[np.bool_]) -> Loss:
    """Return what ``output`` lacks of the siren of ``scene`` in ``cells``."""
    siren = spectra(scene.siren)
    taken = spectra(scene.siren + scene.other - output)
    own = _around(np.abs(siren) ** 2)
    gain = 1.0 - _around((np.conj(siren) * taken).real) / np.maximum(own, 1e-20)
    power = np.where(cells, np.abs(siren) ** 2, 0.0)
    left = power * np.maximum(gain, 0.0) ** 2
    second = len(power) // 62 * 62
    by_second = power[:second].reshape(-1, 62, power.shape[1]).sum(axis=(1, 2))
    left_by_second = left[:second].reshape(-1, 62, power.shape[1]).sum(axis=(1, 2))
    sounding = by_second > 1e-3 * by_second.max()
    losses = _db(left_by_second[sounding] / by_second[sounding])
    return Loss(float(_db(left.sum() / power.sum())), float(np.mean(losses < -3.0)))


def _around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums over 5 frames and 3 bins."""
    padded = np.pad(values, ((2, 2), (1, 1)))
    over_time = sum(padded[i : i + len(values)] for i in range(5))
    return sum(over_time[:, k : k + values.shape[1]] for k in range(3))


def _db(ratio: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return 10 * np.log10(np.maximum(ratio, 1e-10))
