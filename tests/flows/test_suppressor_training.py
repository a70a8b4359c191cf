"""The training as a flow: from a table of recordings to a model in use."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("torch", reason="PyTorch is not installed (extra 'train')")
pytest.importorskip("onnx", reason="onnx is not installed (extra 'train')")

from anc_core.audio.synth import noise, voice
from anc_core.bundles.registry import Registry
from anc_core.errors import InputError
from anc_core.processors import Suppressor
from anc_core.training_recordings import TrainingRecording, write_table
from flows import train_noise_suppressor

pytestmark = pytest.mark.flow


@pytest.fixture
def table(tmp_path):
    rows = []
    for number, split in enumerate(("validation", "train")):
        clips = {
            "speech": voice(3.0, 16_000, seed=number, level_dbfs=-26.0),
            "noise": noise("fan", 3.0, 16_000, seed=number),
        }
        for kind, samples in clips.items():
            sf.write(tmp_path / f"{kind}{number}.wav", samples, 16_000)
            rows.append(
                TrainingRecording(
                    path=f"{kind}{number}.wav",
                    kind=kind,
                    group=str(number),
                    split=split,
                    licence="CC0",
                )
            )
    write_table(rows, tmp_path / "recordings.csv")
    return tmp_path / "recordings.csv"


@pytest.mark.long
def test_a_model_is_trained_registered_and_put_into_use(table, tmp_path, monkeypatch):
    monkeypatch.setenv("ANC_HOME", str(tmp_path / "home"))
    arguments = {
        "root": table.parent,
        "recordings": table,
        "steps": 2,
        "processes": 1,
        "synthetic_clips": 4,
        "evaluation_mixtures": 4,
        "version": "tiny",
        "models_dir": tmp_path / "models",
    }
    result = train_noise_suppressor(**arguments, promote="always")
    assert (result.version, result.steps, result.promoted) == ("tiny", 2, True)
    assert result.restricted_licences == []
    registry = Registry(tmp_path / "models")
    assert registry.active("suppressor").model_id == result.model_id
    engine = Suppressor(16_000, model=tmp_path / "models")
    assert engine.model_id == result.model_id
    assert len(engine.process(np.zeros((100, 1), np.float32))) >= 0
    # Once more in the same folder: nothing is trained again, and the same model comes out.
    again = train_noise_suppressor(**arguments, promote="never")
    assert again.data_digest == result.data_digest
    assert [entry["version"] for entry in registry.history("suppressor")] == ["tiny"]


def test_recordings_come_from_a_table_or_from_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("ANC_HOME", str(tmp_path / "home"))
    with pytest.raises(InputError, match="either a table of recordings, or folders"):
        train_noise_suppressor(root=tmp_path, steps=1)
