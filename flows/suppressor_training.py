"""Train the learned suppressor as a Prefect flow.

``train_noise_suppressor`` reads: scan the recordings -> prepare a folder to train in -> train ->
evaluate -> register. Every task may be repeated: what is done already is found in the training's
folder, so a run that was killed goes on where its last checkpoint was taken.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from anc_core.bundles.bundle import Bundle
from anc_core.bundles.registry import Registry, active_bundle, shipped_models
from anc_core.denoiser.inference import KIND, MODEL_FILE, GainModel, load_gain_model
from anc_core.denoiser_training.parameters import TrainingParameters
from anc_core.denoiser_training.recordings import COLUMNS, scan_folders
from anc_core.denoiser_training.records import Evaluation, Scores
from anc_core.errors import InputError, ModelBundleError
from anc_core.jobs.model_rows import note_model
from anc_core.jobs.naming import check_named
from anc_core.records import Record
from anc_core.settings import Settings
from anc_core.training_recordings import (
    TrainingRecording,
    data_digest,
    read_table,
    restricted_licences,
)
from flows.common import logged, logger, retry_options
from flows.forms import form

PromoteName = Literal["if_better", "always", "never"]

_PROGRESS_EVERY_S = 10.0


class SuppressorTrainingResult(Record):
    """What a training gave."""

    version: str
    model_id: str
    model_path: Path
    """Folder of the bundle in the registry."""
    promoted: bool
    steps: int
    data_digest: str
    scores: dict[str, Any]
    """Candidate, spectral engine and model in use on held-out speakers and noises."""
    restricted_licences: list[str]
    """Not empty: the model may be used here, but must not be given away."""


def _run_name() -> str:
    parameters = flow_run.get_parameters()
    return f"train suppressor {parameters.get('version') or ''}".strip()


@flow(name="train-noise-suppressor", flow_run_name=_run_name, validate_parameters=True)
@form()
def train_noise_suppressor(
    root: Path,
    recordings: Path | None = None,
    speech_dirs: list[Path] = [],  # noqa: B006 - Prefect shows it, nobody changes it
    noise_dirs: list[Path] = [],  # noqa: B006
    steps: int = 20_000,
    seed: int = 1,
    version: str | None = None,
    work_dir: Path | None = None,
    models_dir: Path | None = None,
    promote: PromoteName = "if_better",
    processes: int = 2,
    synthetic_clips: int = 1600,
    evaluation_mixtures: int = 48,
) -> SuppressorTrainingResult:
    """Train a suppressor on speech and noise, and put it into use if it is better.

    Args:
        root: Folder that the paths of the recordings are below.
        recordings: Table (path, kind, group, split, licence, credit); or give folders.
        speech_dirs: Folders of clean speech, where there is no table.
        noise_dirs: Folders of noise, where there is no table.
        steps: Batches to train on; two cores do about 6000 an hour.
        seed: The same seed, recordings and steps give the same training.
        version: Name of the new version; by default the time.
        work_dir: Folder of the training; by default below ANC_HOME. Name it to resume a training.
        models_dir: Registry the model goes to; by default this installation's.
        promote: if_better asks the held-out mixtures; always and never do not.
        processes: Part of the recipe: each process adds 8 mixtures to a step.
        synthetic_clips: Synthetic noises of 5 s to make once.
        evaluation_mixtures: Held-out mixtures to judge by.

    Returns
    -------
    Version, place, scores, and whether it is in use now.
    """
    settings = Settings.load()
    name = version or datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    own = settings.home / "training"
    named = (root, recordings, *speech_dirs, *noise_dirs, work_dir, models_dir)
    check_named(named, settings.allowed_roots, own=[own, settings.models_dir])
    folder = (work_dir or own / name).expanduser().absolute()
    parameters = TrainingParameters(
        seed=seed, num_steps=steps, num_processes=processes, num_synthetic=synthetic_clips
    )
    options = retry_options(settings)

    rows, digest = scan_recordings.with_options(**options)(
        root, recordings, speech_dirs, noise_dirs
    )
    prepare_training.with_options(**options)(folder, rows, root, digest, parameters)
    train_network.with_options(**options)(folder)
    evaluation = evaluate_network.with_options(**options)(
        folder, name, models_dir, evaluation_mixtures
    )
    return register_model.with_options(**options)(
        folder,
        rows,
        evaluation,
        name,
        digest,
        _command(root, recordings, speech_dirs, noise_dirs, steps, seed, processes, name),
        models_dir,
        promote,
    )


@task(name="scan-recordings", cache_policy=NO_CACHE, persist_result=False)
@logged
def scan_recordings(
    root: Path, recordings: Path | None, speech_dirs: Sequence[Path], noise_dirs: Sequence[Path]
) -> tuple[list[TrainingRecording], str]:
    """Read the table or the folders; return the rows and the digest of all that is in them."""
    if (recordings is None) == (not speech_dirs and not noise_dirs):
        msg = "give either a table of recordings, or folders of speech and of noise"
        raise InputError(msg)
    if recordings is not None:
        rows = read_table(recordings, required=COLUMNS)
    else:
        rows = scan_folders(root, speech_dirs, noise_dirs)
    # Rows may climb out of the root, links may lead out of it.
    check_named((root / row.path for row in rows), Settings.load().allowed_roots)
    digest = data_digest(rows, root, COLUMNS)
    logger().info("%d recordings, data digest %s", len(rows), digest)
    return rows, digest


@task(name="prepare-training", cache_policy=NO_CACHE, persist_result=False)
@logged
def prepare_training(
    folder: Path,
    rows: Sequence[TrainingRecording],
    root: Path,
    digest: str,
    parameters: TrainingParameters,
) -> dict[str, int]:
    """Decode the recordings and make the synthetic noise; bad clips are reported and left out."""
    from anc_core.denoiser_training.preparation import prepare_run

    counts = prepare_run(folder, rows, root, digest, parameters, logger().warning)
    create_table_artifact(
        [{"pool": name, "clips": count} for name, count in counts.items()],
        key="suppressor-training-data",
        description="What the network is trained on",
    )
    return counts


@task(name="train-network", cache_policy=NO_CACHE, persist_result=False)
@logged
def train_network(folder: Path) -> int:
    """Train to the last step; a repeated call goes on from the last checkpoint."""
    from anc_core.denoiser_training.fit import finished_steps, read_config, train

    num_steps = read_config(folder).num_steps
    bar = cast(
        "UUID",
        create_progress_artifact(
            100.0 * finished_steps(folder) / num_steps,
            key="suppressor-training",
            description="training",
        ),
    )
    shown = [0.0]

    def report(line: Mapping[str, Any]) -> None:
        logger().info("%s", " ".join(f"{key}={value:.4g}" for key, value in line.items()))
        if time.monotonic() - shown[0] >= _PROGRESS_EVERY_S:
            shown[0] = time.monotonic()
            update_progress_artifact(
                bar,
                100.0 * line["step"] / num_steps,
                description=f"step {line['step']} of {num_steps}",
            )

    train(folder, report)
    update_progress_artifact(bar, 100.0, description=f"{num_steps} steps")
    return finished_steps(folder)


@task(name="evaluate-network", cache_policy=NO_CACHE, persist_result=False)
@logged
def evaluate_network(
    folder: Path, name: str, models_dir: Path | None, num_mixtures: int
) -> Evaluation:
    """Measure the candidate, the spectral engine and the model in use on held-out mixtures."""
    from anc_core.denoiser_training.evaluation import evaluate
    from anc_core.denoiser_training.fit import read_config
    from anc_core.denoiser_training.packaging import exported_model

    _, candidate = exported_model(folder, model_id=name)
    active = _active_model(models_dir)
    evaluation = evaluate(
        candidate,
        active,
        folder,
        read_config(folder),
        num_mixtures=num_mixtures,
        report=logger().info,
    )
    create_table_artifact(
        _score_rows(evaluation),
        key="suppressor-training-scores",
        description="Mean improvement over unprocessed, held-out speakers and noises",
    )
    return evaluation


@task(name="register-model", cache_policy=NO_CACHE, persist_result=False)
@logged
def register_model(
    folder: Path,
    rows: Sequence[TrainingRecording],
    evaluation: Evaluation,
    name: str,
    digest: str,
    command: str,
    models_dir: Path | None,
    promote: PromoteName,
) -> SuppressorTrainingResult:
    """Put the bundle into the registry and, if it may, into use; both are noted in the store."""
    from anc_core.denoiser_training.fit import finished_steps
    from anc_core.denoiser_training.packaging import (
        build_bundle,
        exported_model,
        temporary_folder,
    )

    settings = Settings.load()
    registry = Registry(models_dir or settings.models_dir)
    content, _ = exported_model(folder, model_id=name)
    bundle = _present(registry, name, content)
    if bundle is None:
        with temporary_folder() as temporary:
            bundle = build_bundle(
                folder,
                Path(temporary) / name,
                rows,
                evaluation,
                content,
                version_name=name,
                data_digest=digest,
                command=command,
            )
            bundle = registry.add(bundle)
    promoted = promote == "always" or (promote == "if_better" and evaluation.is_better)
    if promoted:
        registry.promote(bundle.kind, bundle.version, reason=f"promote={promote}")
    note_model(
        settings,
        bundle,
        action="promote-model" if promoted else "register-model",
        detail={"promote": promote},
        actor="train_noise_suppressor",
        promoted=promoted,
    )
    result = SuppressorTrainingResult(
        version=bundle.version,
        model_id=bundle.model_id,
        model_path=bundle.path,
        promoted=promoted,
        steps=finished_steps(folder),
        data_digest=digest,
        scores=evaluation.model_dump(mode="json"),
        restricted_licences=restricted_licences(rows),
    )
    create_markdown_artifact(_markdown(result), key="suppressor-model", description=bundle.model_id)
    return result


def _present(registry: Registry, name: str, content: bytes) -> Bundle | None:
    """Return the version ``name`` if it holds these weights: a repeated call registers nothing.

    Its card may differ from the one that would be written now: the model in use, which it is
    compared with, may be itself.
    """
    if name not in registry.versions(KIND):
        return None
    present = registry.get(KIND, name)
    is_same = present.files.get(MODEL_FILE) == hashlib.sha256(content).hexdigest()
    return present if is_same else None


def _active_model(models_dir: Path | None) -> GainModel | None:
    """Return the model that the new one must beat, None where there is none."""
    folders = [models_dir or Settings.load().models_dir, shipped_models()]
    try:
        return load_gain_model(active_bundle(KIND, folders))
    except ModelBundleError as error:
        logger().warning("nothing to compare with: %s", error)
        return None


def _command(
    root: Path,
    recordings: Path | None,
    speech_dirs: Sequence[Path],
    noise_dirs: Sequence[Path],
    steps: int,
    seed: int,
    processes: int,
    name: str,
) -> str:
    """Return the command line that trains the same again; folders of this machine by name only."""
    words = ["anc", "train-suppressor", "--root", root.name]
    if recordings is not None:
        words += ["--recordings", recordings.name]
    for option, folders in (("--speech", speech_dirs), ("--noise", noise_dirs)):
        for folder in folders:
            words += [option, folder.name]
    words += ["--steps", str(steps), "--seed", str(seed), "--processes", str(processes)]
    return shlex.join([*words, "--version", name])


def _score_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    systems: dict[str, Scores | None] = {
        "candidate": evaluation.candidate,
        "spectral": evaluation.spectral,
        "in use": evaluation.active,
    }
    return [
        {"system": name, **scores.model_dump(mode="json")}
        for name, scores in systems.items()
        if scores is not None
    ]


def _markdown(result: SuppressorTrainingResult) -> str:
    use = "is in use now" if result.promoted else "is registered, but not in use"
    restricted = (
        f"\n\n**May not be given away**: trained under {', '.join(result.restricted_licences)}."
        if result.restricted_licences
        else ""
    )
    scores = result.scores["candidate"]
    figures = ", ".join(f"{key} {value}" for key, value in scores.items() if value is not None)
    return f"`{result.model_id}` {use}. {result.steps} steps. Gains: {figures}.{restricted}"
