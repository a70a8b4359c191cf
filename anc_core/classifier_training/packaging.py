"""A finished training as a bundle: model, scaler, novelty, golden clips, card."""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np

from anc_core.bundles.bundle import Bundle, seal
from anc_core.classifier.model import (
    FILES,
    GOLDEN_FILE,
    KIND,
    NoiseModel,
    read_arrays,
)
from anc_core.classifier_training.final import final_folder
from anc_core.classifier_training.recordings import data_digest
from anc_core.classifier_training.records import Comparison, NoiseEvaluation, TrainingSpec
from anc_core.classifier_training.steps import LIBRARIES, open_trials, split_digest
from anc_core.features import FEATURE_SCHEMA
from anc_core.records import Record


def build_bundle(
    folder: Path,
    spec: TrainingSpec,
    evaluation: NoiseEvaluation,
    comparison: Comparison | None,
    *,
    version_name: str,
    command: str,
) -> Bundle:
    """Write the bundle of a fitted and evaluated model into ``folder`` (made anew) and return it.

    Parameters
    ----------
    folder : Path
        Must not exist.
    spec, evaluation, comparison
        The training; its scores; those of the model in use.
    version_name, command : str
        Name of the version; how to train it again.
    """
    made = final_folder(evaluation.model, open_trials(spec))
    folder.mkdir(parents=True)
    for name in (*FILES, GOLDEN_FILE):
        shutil.copyfile(made / name, folder / name)
    card = {
        "kind": KIND,
        "version": version_name,
        "description": "Which noise is this: clips, and windows of 1 s",
        "model": evaluation.model,
        "classes": spec.data.categories,
        "feature_schema": FEATURE_SCHEMA,
        "temperature": evaluation.temperature,
        "novelty_threshold": evaluation.novelty_threshold,
        "command": command,
        "seed": spec.seed,
        "num_trees": spec.num_trees,
        "split_rule": f"{evaluation.num_folds} folds by recording: {spec.data.grouping}",
        "scores": _json(evaluation),
        "compared_with": None if comparison is None else _json(comparison),
        "data": {
            "digest": data_digest(spec.data.clips),
            "split_digest": split_digest(spec),
            "num_clips": len(spec.data.clips),
            "num_clips_left_out": len(spec.data.skipped),
            "num_recordings": {
                scores.category: scores.num_recordings for scores in evaluation.classes
            },
            "licences": dict(
                sorted(Counter(clip.licence or "unknown" for clip in spec.data.clips).items())
            ),
        },
        "libraries": {name: version(name) for name in (*LIBRARIES, "onnxruntime")},
        "python": platform.python_version(),
    }
    # Sealed twice: the golden answers are those of the very bundle.
    unfinished = seal(folder, card)
    model, golden = NoiseModel(unfinished), read_arrays(unfinished, GOLDEN_FILE)
    with (folder / GOLDEN_FILE).open("wb") as file:
        np.savez(
            file,
            features=golden["features"],
            labels=golden["labels"],
            probabilities=model.probabilities(golden["features"]).astype(np.float32),
        )
    return seal(folder, card)


def _json(record: Record) -> dict[str, object]:
    return record.model_dump(mode="json")
