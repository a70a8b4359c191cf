"""A folder to train the noise classifier on: synthetic, small, quickly told apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import soundfile as sf

from anc_core.audio.synth import noise

KINDS = ("fan", "rain", "typing")


def write_clips(
    root: Path, kinds: Sequence[str] = KINDS, recordings: int = 4, duration_s: float = 1.5
) -> Path:
    """Write a clip of each of ``recordings`` recordings of each kind, a folder a kind."""
    for kind in kinds:
        (root / kind).mkdir(parents=True, exist_ok=True)
        for number in range(recordings):
            clip = noise(kind, duration_s, 16_000, seed=number)
            sf.write(root / kind / f"{kind}{number}-a.wav", clip, 16_000)
    return root
