"""Noisy speech with clean references, built from a folder of recordings or synthesised.

The recipe for recordings keeps to the evaluation side of a fixed split, so that what is trained or
tuned on the rest never meets it: every 5th LibriSpeech speaker, ESC-10 fold 5, UrbanSound8K fold 2;
twelve groups of noise at 0, 5, 10 and 15 dB. The folder needs a ``manifest.csv`` with the columns
path, kind, category and speaker_or_fold. Without a folder: synthetic voices in synthetic noises.

A set is a folder ``noisy/NNN.wav``, ``clean/NNN.wav``, ``recipe.csv``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

RATE_HZ = 16_000
SNRS_DB = (0, 5, 10, 15)
MAX_CLIP_S = 9.0
SEED = 20261125

_RECIPE = ("id", "noise", "type", "snr", "seconds", "speech_src", "noise_src")
_PAUSE = 3_200  # samples between two utterances
_MIN_SPEECH_S = 4.2
_NUM_TALKERS = 12  # kept for babble

Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mixture:
    """One clip of a set."""

    id: str
    noise: str
    type: str
    """``stationary`` or ``nonstationary``."""
    snr_db: float
    noisy: Path
    clean: Path


def read_set(folder: Path) -> list[Mixture]:
    """Return the clips of a set that was built before."""
    with (folder / "recipe.csv").open(encoding="utf-8", newline="") as file:
        return [
            Mixture(
                row["id"],
                row["noise"],
                row["type"],
                float(row["snr"]),
                folder / "noisy" / f"{row['id']}.wav",
                folder / "clean" / f"{row['id']}.wav",
            )
            for row in csv.DictReader(file)
        ]


def build_set(folder: Path, data: Path | None, *, per_group: int = 1) -> list[Mixture]:
    """Write a set to ``folder`` and return it; ``data`` None = synthetic."""
    rng = np.random.default_rng(SEED)
    for name in ("noisy", "clean"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    clips = _synthetic(rng, per_group) if data is None else _recorded(data, rng, per_group)
    rows = []
    for index, (row, speech, sound, snr_db) in enumerate(clips):
        name = f"{index:03d}"
        level = 10 ** (rng.uniform(-30, -20) / 20)
        clean = speech / active_rms(speech) * level
        noise = sound / np.sqrt((sound**2).mean()) * level * 10 ** (-snr_db / 20)
        scale = min(1.0, 0.98 / float(np.abs(clean + noise).max()))
        sf.write(folder / f"noisy/{name}.wav", (clean + noise) * scale, RATE_HZ, subtype="PCM_16")
        sf.write(folder / f"clean/{name}.wav", clean * scale, RATE_HZ, subtype="PCM_16")
        rows.append({"id": name, "snr": snr_db, "seconds": len(clean) / RATE_HZ, **row})
    with (folder / "recipe.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _RECIPE)
        writer.writeheader()
        writer.writerows(rows)
    return read_set(folder)


def active_rms(audio: Samples, frame: int = 320) -> float:
    """Return the RMS over the frames within 40 dB of the loudest: speech without its pauses."""
    energy = (audio[: len(audio) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1)
    return float(np.sqrt(energy[energy > energy.max() * 1e-4].mean()))


# --------------------------------------------------------------------------- recordings

Clip = tuple[dict[str, str], Samples, Samples, int]


def _recorded(data: Path, rng: np.random.Generator, per_group: int) -> Iterator[Clip]:
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        manifest = list(csv.DictReader(file))
    speech = _evaluation_speech(manifest)
    speech = [speech[index] for index in rng.permutation(len(speech))]
    speech, talkers = speech[:-_NUM_TALKERS], speech[-_NUM_TALKERS:]
    index = 0
    for group, (kind, clips) in _noise_groups(manifest).items():
        for snr_db in SNRS_DB * per_group:
            parts, sources = [np.zeros(8_000)], []
            while sum(map(len, parts)) < _MIN_SPEECH_S * RATE_HZ:
                source = speech[(index * 3 + len(sources)) % len(speech)]
                parts += [_load(data / source), np.zeros(_PAUSE)]
                sources.append(source)
            clean = np.concatenate(parts)[: int(MAX_CLIP_S * RATE_HZ)]
            if group == "babble":
                names = [talkers[i] for i in rng.permutation(len(talkers))[:6]]
                voices = [np.resize(_load(data / name), len(clean)) for name in names]
                noise = np.sum(
                    [np.roll(v, int(rng.integers(len(v)))) / active_rms(v) for v in voices], axis=0
                )
            else:
                names = [clips[int(rng.integers(len(clips)))]]
                noise = _load(data / names[0])
                loud = np.flatnonzero(np.abs(noise) > 1e-4)  # some are padded with silence
                noise = np.resize(noise[loud[0] : loud[-1] + 1], len(clean))
            row = {
                "noise": group,
                "type": kind,
                "speech_src": ";".join(sources),
                "noise_src": ";".join(names),
            }
            index += 1
            yield row, clean, noise, snr_db


def _evaluation_speech(manifest: list[dict[str, str]]) -> list[str]:
    def of(*categories: str) -> list[str]:
        return sorted(row["path"] for row in manifest if row["category"] in categories)

    return of("librispeech_train-clean-100")[::5] + of("voicebank_train", "cmu_arctic")


def _noise_groups(manifest: list[dict[str, str]]) -> dict[str, tuple[str, list[str]]]:
    def esc(*categories: str) -> list[str]:
        return sorted(
            row["path"]
            for row in manifest
            if row["category"] in categories
            and row["kind"] == "esc10"
            and re.search(r"/5-\d", row["path"])
        )

    def urban(*categories: str) -> list[str]:
        return sorted(
            row["path"]
            for row in manifest
            if row["category"] in categories and row["speaker_or_fold"].startswith("fold2")
        )

    steady, changing = "stationary", "nonstationary"
    groups = {
        "air_conditioner": (steady, urban("air_conditioner")),
        "engine": (steady, urban("engine_idling")),
        "rain": (steady, esc("rain")),
        "sea_waves": (changing, esc("sea_waves")),
        "helicopter": (changing, esc("helicopter")),
        "chainsaw": (changing, esc("chainsaw")),
        "drilling": (changing, urban("drilling", "jackhammer")),
        "babble": (changing, []),
        "ticks_crackle": (changing, esc("clock_tick", "fire_crackling")),
        "street_music": (changing, urban("street_music")),
        "children": (changing, urban("children_playing")),
        "dog_rooster": (changing, esc("dog_bark", "rooster")),
    }
    return {name: group for name, group in groups.items() if group[1] or name == "babble"}


def _load(path: Path) -> Samples:
    audio, rate = sf.read(path, dtype="float64", always_2d=True)
    return soxr.resample(audio.mean(axis=1), rate, RATE_HZ)


# --------------------------------------------------------------------------- synthetic


def _synthetic(rng: np.random.Generator, per_group: int) -> Iterator[Clip]:
    from anc_core.audio.synth import NOISE_KINDS, noise, voice

    for kind in sorted(NOISE_KINDS):
        for snr_db in SNRS_DB * per_group:
            seed = int(rng.integers(1 << 30))
            clean = voice(6.0, RATE_HZ, seed=seed).astype(np.float64)
            sound = noise(kind, 6.0, RATE_HZ, seed=seed + 1).astype(np.float64)
            row = {
                "noise": kind,
                "type": "synthetic",
                "speech_src": f"voice {seed}",
                "noise_src": f"{kind} {seed + 1}",
            }
            yield row, clean, sound, snr_db
