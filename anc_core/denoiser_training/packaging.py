"""A finished training as a bundle: weights, card, the table of what it was trained on."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from anc_core.bundles.bundle import Bundle, seal
from anc_core.denoiser.features import FEATURE_SCHEMA, SAMPLE_RATE
from anc_core.denoiser.inference import GAIN_EXPONENT, KIND, MODEL_FILE, GainModel
from anc_core.denoiser_training.export import to_onnx
from anc_core.denoiser_training.fit import finished_steps, read_config, trained_network
from anc_core.denoiser_training.quantise import quantised
from anc_core.denoiser_training.records import Evaluation
from anc_core.errors import InputError
from anc_core.training_recordings import (
    RECORDINGS_FILE,
    TrainingRecording,
    restricted_licences,
    write_table,
)

_MAX_DIFFERENCE = 1e-4
_LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "soxr")


def exported_model(run_dir: Path, *, model_id: str) -> tuple[bytes, GainModel]:
    """Return the trained network as ONNX with integer weights and ready to run.

    Raises
    ------
    InputError
        If graph and network disagree before the rounding of the weights: then ``export.py`` no
        longer fits ``network.py``.
    """
    import torch

    network = trained_network(run_dir)
    content = to_onnx(network)
    probe = np.random.default_rng(1).normal(0.5, 0.4, (3, 2, 300, 256)).astype(np.float32)
    with torch.no_grad():
        compressed = network(torch.from_numpy(probe)).numpy()
    expected = np.clip(compressed, 0.0, 1.0) ** GAIN_EXPONENT
    graph = GainModel(content, model_id=model_id)
    exported = np.stack([graph.gains(features) for features in probe])
    difference = float(np.abs(exported - expected).max())
    if difference > _MAX_DIFFERENCE:
        msg = f"the exported graph differs from the network by {difference:.2g}; see export.py"
        raise InputError(msg)
    content = quantised(content)
    return content, GainModel(content, model_id=model_id)


def build_bundle(
    run_dir: Path,
    folder: Path,
    rows: Sequence[TrainingRecording],
    evaluation: Evaluation,
    content: bytes,
    *,
    version_name: str,
    data_digest: str,
    command: str,
) -> Bundle:
    """Write the bundle of a training into ``folder`` (made anew) and return it.

    Parameters
    ----------
    run_dir : Path
        The finished training.
    rows : sequence of TrainingRecording
        Written beside the weights: credits, and half of the recipe.
    evaluation : Evaluation
        Scores on held-out speakers and noises.
    content : bytes
        The ONNX graph.
    version_name, data_digest, command : str
        Name of the version; what it was trained on; how to train it again.
    """
    folder.mkdir(parents=True, exist_ok=False)
    (folder / MODEL_FILE).write_bytes(content)
    write_table(rows, folder / RECORDINGS_FILE)
    parameters = read_config(run_dir)
    card: dict[str, Any] = {
        "kind": KIND,
        "version": version_name,
        "description": "Gains for speech in noise, 16 kHz band, half a second of look-ahead",
        "sample_rate": SAMPLE_RATE,
        "feature_schema": FEATURE_SCHEMA,
        "command": command,
        "steps": finished_steps(run_dir),
        "parameters": parameters.as_dict(),
        "data": {
            "digest": data_digest,
            "recordings": RECORDINGS_FILE,
            "num_recordings": len(rows),
            "licences": sorted({row.licence for row in rows}),
            "restricted_licences": restricted_licences(rows),
            "split": "by speaker and by source recording; see the column 'split'",
        },
        "scores": evaluation.model_dump(mode="json"),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
    }
    return seal(folder, card)


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for a bundle on its way into a registry."""
    return tempfile.TemporaryDirectory(prefix="anc-bundle-")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
