"""A handful of synthetic recordings, enough to train on for seconds."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio.synth import noise, voice

RATE = 16_000


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Speech of five voices and five noises, as folders."""
    root = tmp_path_factory.mktemp("recordings")
    for kind in ("speech", "noise"):
        (root / kind).mkdir()
    for number in range(5):
        speech = voice(3.0, RATE, seed=number, level_dbfs=-26.0)
        sf.write(root / "speech" / f"voice{number}-1.wav", speech, RATE)
        kind = ("fan", "rain", "engine", "pink", "typing")[number]
        hiss = noise(kind, 3.0, 22_050, seed=number, level_dbfs=-30.0)
        sf.write(root / "noise" / f"{kind}-1.wav", hiss, 22_050)
    return root


@pytest.fixture(scope="session")
def rows(recordings):
    """One row a file; the first of each kind is for validation."""
    from anc_core.training_recordings import TrainingRecording

    rows = []
    for kind in ("speech", "noise"):
        for number, path in enumerate(sorted((recordings / kind).iterdir())):
            rows.append(
                TrainingRecording(
                    path=path.relative_to(recordings).as_posix(),
                    kind=kind,
                    group=path.stem,
                    split="validation" if number == 0 else "train",
                    licence="CC0",
                )
            )
    return rows


@pytest.fixture
def rng():
    return np.random.default_rng(11)
