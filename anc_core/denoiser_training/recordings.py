"""The recordings of a learned suppressor: a table, or folders that a table is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from anc_core.training_recordings import (
    AUDIO_SUFFIXES,
    NOISE,
    SPEECH,
    TRAIN,
    VALIDATION,
    TrainingRecording,
    checked,
)

COLUMNS = ("path", "kind", "group", "split")
"""What a table must have, and what the digest of the data is of."""

_VALIDATION_SHARE = 10
"""One group in ten is for validation, where the table does not say."""


def scan_folders(
    root: Path, speech: Sequence[Path], noise: Sequence[Path]
) -> list[TrainingRecording]:
    """Return a table of all audio files below the folders, one group a folder or file-name stem.

    The group of a file is what stands before the first ``-`` or ``_`` of its name (a speaker in
    LibriSpeech, a source recording in many noise collections), together with its folder. One group
    in ten, chosen by a digest of its name, is for validation.
    """
    rows = []
    for kind, folders in ((SPEECH, speech), (NOISE, noise)):
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("."):
                    stem = path.stem.replace("_", "-").split("-")[0]
                    group = f"{path.parent.name}/{stem}"
                    rows.append(
                        TrainingRecording(
                            path=path.absolute().relative_to(root.absolute()).as_posix(),
                            kind=kind,
                            group=group,
                            split=split_of(group),
                        )
                    )
    return checked(rows, name="the folders")


def split_of(group: str) -> str:
    """Return the split of a group: by a digest of its name, so the same on every machine."""
    digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
    is_validation = int.from_bytes(digest, "big") % _VALIDATION_SHARE == 0
    return VALIDATION if is_validation else TRAIN
