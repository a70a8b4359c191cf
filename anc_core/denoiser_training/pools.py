"""Decoded recordings in one flat file a kind, so that any second of them is read at no cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.training_clips import MIN_CLIP_S, read_clip
from anc_core.denoiser.features import SAMPLE_RATE
from anc_core.denoiser_training.synthetic import synthetic_noise
from anc_core.errors import AncError
from anc_core.files import atomic_path, write_text_atomic
from anc_core.training_recordings import TrainingRecording

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pool:
    """Clips of one kind, int16 at the network's rate, one after the other."""

    samples: NDArray[np.int16]
    starts: NDArray[np.int64]
    """Shape (num_clips + 1,): clip ``i`` is ``samples[starts[i]:starts[i + 1]]``."""
    groups: NDArray[np.int64]
    """Number of the clip's group."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def duration_s(self) -> float:
        """Seconds in all."""
        return float(self.starts[-1]) / SAMPLE_RATE

    def clip(self, index: int) -> NDArray[np.float32]:
        """Return clip ``index``, float32, unit RMS over its active parts."""
        raw = self.samples[self.starts[index] : self.starts[index + 1]].astype(np.float32)
        return raw / active_rms(raw)

    def excerpt(
        self, index: int, num_samples: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return a random stretch of clip ``index``, repeated where the clip is too short."""
        clip = self.clip(index)
        if len(clip) < num_samples:
            return np.resize(np.roll(clip, int(rng.integers(len(clip)))), num_samples)
        start = int(rng.integers(len(clip) - num_samples + 1))
        return clip[start : start + num_samples]


def active_rms(samples: NDArray[np.float32], frame: int = 320) -> float:
    """Return the RMS over the frames within 40 dB of the loudest: pauses do not count."""
    whole = samples[: max(1, len(samples) // frame) * frame]
    power = np.square(whole).reshape(-1, min(frame, len(whole))).mean(axis=1)
    active = power[power >= power.max() * 1e-4]
    return float(np.sqrt(active.mean())) + 1e-9


def build_pool(
    rows: Iterable[TrainingRecording],
    root: Path,
    folder: Path,
    name: str,
    report: Callable[[str], None],
) -> int:
    """Decode ``rows`` into ``folder/name``; return how many were usable.

    What can't be decoded is reported and left out: one bad file must not stop a training.
    """

    def clips() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for row in rows:
            try:
                clip = read_clip(root / row.path, SAMPLE_RATE)
            except AncError as error:
                report(f"{row.path}: left out: {error}")
                continue
            if len(clip) < MIN_CLIP_S * SAMPLE_RATE:
                report(f"{row.path}: left out: shorter than {MIN_CLIP_S} s")
                continue
            yield row.group, clip

    return _write(clips(), folder, name)


def build_synthetic_pool(
    num_clips: int, duration_s: float, seed: int, folder: Path, name: str
) -> int:
    """Fill a pool with synthetic noise; clip ``i`` depends on ``seed`` and ``i`` alone."""

    def clips() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for index in range(num_clips):
            yield synthetic_noise(duration_s, SAMPLE_RATE, np.random.default_rng([seed, index]))

    return _write(clips(), folder, name)


def open_pool(folder: Path, name: str) -> Pool:
    """Return the pool ``name``; its samples stay on disk until they are looked at."""
    index = json.loads((folder / f"{name}.json").read_text())
    samples = np.memmap(folder / f"{name}.i16", np.int16, mode="r")
    return Pool(samples, np.array(index["starts"]), np.array(index["groups"]))


def _write(clips: Iterable[tuple[str, NDArray[np.float32]]], folder: Path, name: str) -> int:
    index = folder / f"{name}.json"
    if index.exists():  # written last: the pool is whole
        return len(json.loads(index.read_text())["groups"])
    starts, groups = [0], list[int]()
    numbers: dict[str, int] = {}
    with atomic_path(folder / f"{name}.i16", token=name) as part, part.open("wb") as file:
        for group, clip in clips:
            peak = float(np.abs(clip).max()) + 1e-9
            # Full use of 16 bits: levels are set anew in every mixture.
            file.write((clip * (32_000.0 / peak)).astype(np.int16).tobytes())
            starts.append(starts[-1] + len(clip))
            groups.append(numbers.setdefault(group, len(numbers)))
    write_text_atomic(index, json.dumps({"starts": starts, "groups": groups}))
    return len(groups)
