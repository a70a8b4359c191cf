"""Train the noise classifier as a Prefect flow.

``train_noise_classifier`` reads: scan the clips -> extract their features -> fit -> evaluate ->
save -> register. Features are measured in shards by worker processes and kept by content; every
step finds what it did before, so a run that was killed goes on where it was, and the same training
again takes seconds.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID, uuid4

from prefect import flow, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from anc_core.bundles.bundle import Bundle
from anc_core.bundles.registry import Registry, active_bundle, shipped_models
from anc_core.classifier.model import KIND, MODEL_FILE, SCALER_FILE
from anc_core.classifier_training.comparison import compare
from anc_core.classifier_training.estimators import NUM_TREES
from anc_core.classifier_training.extraction import FeatureCache, extract
from anc_core.classifier_training.packaging import build_bundle
from anc_core.classifier_training.recordings import scan, without
from anc_core.classifier_training.records import (
    Clip,
    Comparison,
    NoiseEvaluation,
    Skipped,
    TrainingData,
    TrainingSpec,
)
from anc_core.classifier_training.steps import (
    Fitted,
    ModelChoice,
    cache_of,
    evaluate_model,
    fit_model,
    fold_of_clips,
    missing_clips,
)
from anc_core.errors import ModelBundleError
from anc_core.features import NUM_FEATURES
from anc_core.jobs.model_rows import note_model
from anc_core.jobs.naming import check_named, is_allowed
from anc_core.jobs.pool import PoolStoppedError, WorkerPool, available_workers
from anc_core.jobs.shards import cut_shards
from anc_core.settings import Settings
from flows.artifacts import UPDATE_EVERY_S
from flows.common import logged, logger, retry_options
from flows.forms import form
from flows.training_artifacts import (
    Judged,
    NoiseTrainingResult,
    publish_scores,
    training_markdown,
)

PromoteName = Literal["if_better", "always", "never"]

_SHARDS_A_WORKER = 4

CONFUSION_PICTURE = "confusion.png"


class _ShardRunner(ThreadPoolTaskRunner[Any]):
    """A thread for every worker process; the number is read when the flow starts."""

    def duplicate(self) -> _ShardRunner:
        return _ShardRunner(max_workers=available_workers(Settings.load().workers))


_POOLS: dict[str, WorkerPool] = {}
"""Of the trainings that run in this process; tasks find theirs by name, so that none carries it."""


def _run_name() -> str:
    parameters = flow_run.get_parameters()
    folder = Path(str(parameters.get("training_data_dir", "?"))).name
    return f"train {parameters.get('model', 'random_forest')} on {folder}"


@flow(
    name="train-noise-classifier",
    flow_run_name=_run_name,
    task_runner=cast("Any", _ShardRunner()),
    validate_parameters=True,
)
@form(titles={"training_data_dir": "Training data", "folds": "Folds of the test"})
def train_noise_classifier(
    training_data_dir: Path,
    model: ModelChoice = "random_forest",
    folds: int | None = None,
    promote: PromoteName = "if_better",
    groups: str | None = None,
    seed: int = 1,
    trees: int = NUM_TREES,
    version: str | None = None,
    models_dir: Path | None = None,
) -> NoiseTrainingResult:
    """Train a classifier on folders of noises, judge it by recordings it never met, register it.

    Args:
        training_data_dir: One folder of clips for each category; licences.csv (path, licence) may
            lie beside them.
        model: random_forest, lda, extra_trees, vote (their mean), or auto for the best of them.
        folds: How often the data are split; empty for 5, or fewer where a category has fewer
            recordings.
        promote: if_better puts it into use unless the model in use does better on the same clips;
            always and never do not ask.
        groups: Regular expression with one group that finds the name of the recording in a file
            name; empty takes what precedes the first "-", "_" or ".".
        seed: The same seed and data give the same model.
        trees: Of each forest.
        version: Name of the new version; by default the time.
        models_dir: Registry the model goes to; by default this installation's.

    Returns
    -------
    Version, places, scores, and whether it is in use now.
    """
    settings = Settings.load()
    options = retry_options(settings)
    name = version or datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    registry_dir = models_dir or settings.models_dir
    named = (training_data_dir, models_dir)
    check_named(named, settings.allowed_roots, own=[settings.models_dir])

    data = scan_clips.with_options(**options)(training_data_dir, groups)
    spec = TrainingSpec(
        data=data,
        num_folds=folds,
        seed=seed,
        num_trees=trees,
        workers=available_workers(settings.workers),
        home=(settings.home / "training").expanduser().absolute(),
    )
    fold_of_clips(spec)  # refused before hours of measuring
    spec = _with_features(spec, settings)
    fitted = fit_classifier.with_options(**options)(spec, model)
    judged = evaluate_classifier.with_options(**options)(spec, fitted, registry_dir)
    command = _command(training_data_dir, groups, model, folds, seed, trees, name)
    with tempfile.TemporaryDirectory(prefix="anc-bundle-") as temporary:
        bundle = save_classifier.with_options(**options)(
            spec, judged, Path(temporary), name, command
        )
        return register_classifier.with_options(**options)(
            spec, judged, bundle, registry_dir, promote
        )


@task(
    name="scan-clips", task_run_name="scan the clips", cache_policy=NO_CACHE, persist_result=False
)
@logged
def scan_clips(root: Path, groups: str | None) -> TrainingData:
    """Find the clips, their categories and their recordings."""
    roots = Settings.load().allowed_roots
    data = scan(root, groups, may_read=lambda path: is_allowed(path, roots))
    logger().info(
        "%d clips of %d recordings in %d categories; a recording is named by %s",
        len(data.clips),
        len(data.recordings),
        len(data.categories),
        data.grouping,
    )
    return data


@task(name="extract-features", cache_policy=NO_CACHE, persist_result=False)
@logged
def extract_features(
    training: str, root: Path, clips: Sequence[Clip], cache: FeatureCache
) -> list[Skipped]:
    """Measure some clips in a worker process; what is measured already is left alone."""
    pool = _POOLS.get(training)
    if pool is None:
        msg = "the training was stopped before these clips were measured"
        raise PoolStoppedError(msg)
    skipped = pool.run(extract, root, clips, cache)
    for one in skipped:
        logger().warning("%s: left out: %s", one.path, one.reason)
    return skipped


@task(name="fit-classifier", task_run_name="fit", cache_policy=NO_CACHE, persist_result=False)
@logged
def fit_classifier(spec: TrainingSpec, model: ModelChoice) -> Fitted:
    """Fit the model once for every fold and once on all clips."""
    return fit_model(spec, model)


@task(
    name="evaluate-classifier",
    task_run_name="evaluate",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def evaluate_classifier(spec: TrainingSpec, fitted: Fitted, registry_dir: Path) -> Judged:
    """Score the model on recordings it never met, and the model in use on the same clips."""
    evaluation = evaluate_model(spec, fitted)
    active = _active(registry_dir)
    judged = Judged(
        evaluation=evaluation,
        comparison=None if active is None else _compared(active, spec, evaluation),
        picture=_drawn(spec, evaluation),
    )
    publish_scores(spec, judged)
    return judged


@task(name="save-classifier", task_run_name="save", cache_policy=NO_CACHE, persist_result=False)
@logged
def save_classifier(
    spec: TrainingSpec, judged: Judged, folder: Path, name: str, command: str
) -> Bundle:
    """Write the bundle: model, scaler, novelty, golden clips, card."""
    return build_bundle(
        Path(tempfile.mkdtemp(dir=folder)) / name,  # a repetition begins with an empty one
        spec,
        judged.evaluation,
        judged.comparison,
        version_name=name,
        command=command,
    )


@task(
    name="register-classifier",
    task_run_name="register",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def register_classifier(
    spec: TrainingSpec, judged: Judged, bundle: Bundle, registry_dir: Path, promote: PromoteName
) -> NoiseTrainingResult:
    """Put the bundle into the registry and, if it may, into use; note both in the store.

    If any of it fails, all of it is undone: the model in use is the one that was.
    """
    registry = Registry(registry_dir)
    comparison = judged.comparison
    is_wanted = promote == "if_better" and (comparison is None or comparison.is_not_worse)
    promoted = promote == "always" or is_wanted
    with registry.undone_on_error(KIND):
        bundle = _present(registry, bundle) or registry.add(bundle)
        if promoted:
            registry.promote(KIND, bundle.version, reason=f"promote={promote}")
        result = _result(spec, judged, bundle, promoted=promoted)
        create_markdown_artifact(
            training_markdown(result), key="noise-classifier", description=bundle.model_id
        )
        # The last: a commit cannot be undone.
        note_model(
            Settings.load(),
            bundle,
            action="promote-model" if promoted else "register-model",
            detail={"promote": promote},
            actor="train_noise_classifier",
            promoted=promoted,
        )
    return result


def _with_features(spec: TrainingSpec, settings: Settings) -> TrainingSpec:
    """Measure what is missing and show the progress; return the training without bad clips."""
    cache, missing = cache_of(spec), missing_clips(spec)
    if not missing:
        return spec
    workers = min(spec.workers, len(missing))
    # A few for each worker, so that none waits long for the last.
    shard_s = sum(clip.estimate_s for clip in missing) / (_SHARDS_A_WORKER * workers)
    shards = cut_shards(missing, shard_s=min(settings.shard_s, shard_s), workers=workers)
    options = retry_options(settings)
    skipped: list[Skipped] = []
    with _pool(workers) as training:
        bar = cast(
            "UUID",
            create_progress_artifact(
                0.0, key="noise-features", description=f"features of {len(missing)} clips"
            ),
        )
        futures: list[PrefectFuture[list[Skipped]]] = [
            extract_features.with_options(
                task_run_name=f"features {number} of {len(shards)}: {len(shard)} clips", **options
            ).submit(training, spec.data.root, shard, cache)
            for number, shard in enumerate(shards, 1)
        ]
        pending = set(futures)
        while pending:
            pending = set(wait(list(pending), timeout=UPDATE_EVERY_S).not_done)
            left = len(missing_clips(spec)) if pending else 0
            update_progress_artifact(
                bar,
                100.0 * (1 - left / len(missing)),
                description=f"features of {len(missing) - left} of {len(missing)} clips",
            )
        for future in futures:
            skipped += future.result()
    return spec.model_copy(update={"data": without(spec.data, skipped)})


@contextmanager
def _pool(workers: int) -> Iterator[str]:
    name = uuid4().hex
    with WorkerPool(workers) as pool:
        _POOLS[name] = pool
        try:
            yield name
        finally:
            del _POOLS[name]


def _active(registry_dir: Path) -> Bundle | None:
    """Return what the new model must not be worse than, None where nothing is in use."""
    try:
        return active_bundle(KIND, [registry_dir, shipped_models()])
    except ModelBundleError as error:
        logger().warning("nothing to compare with: %s", error)
        return None


def _compared(active: Bundle, spec: TrainingSpec, evaluation: NoiseEvaluation) -> Comparison | None:
    try:
        return compare(active, spec, evaluation)
    except ModelBundleError as error:
        logger().warning("%s can't be compared with: %s", active.model_id, error)
        return None


def _present(registry: Registry, bundle: Bundle) -> Bundle | None:
    """Return the version of that name if it is this model: a repeated call registers nothing.

    Its card may differ: the model in use, which it is compared with, may be itself.
    """
    if bundle.version not in registry.versions(KIND):
        return None
    present = registry.get(KIND, bundle.version)
    is_same = all(
        present.files.get(name) == bundle.files[name] for name in (MODEL_FILE, SCALER_FILE)
    )
    return present if is_same else None


def _drawn(spec: TrainingSpec, evaluation: NoiseEvaluation) -> Path:
    from anc_core.reports.confusion_plot import draw_confusion

    path = spec.home / "noise-classifier" / f"{flow_run.get_id() or 'direct'}-{CONFUSION_PICTURE}"
    draw_confusion(evaluation.confusion, spec.data.categories, path)
    return path


def _result(
    spec: TrainingSpec, judged: Judged, bundle: Bundle, *, promoted: bool
) -> NoiseTrainingResult:
    evaluation = judged.evaluation
    return NoiseTrainingResult(
        version=bundle.version,
        model_id=bundle.model_id,
        model=evaluation.model,
        test_accuracy=evaluation.accuracy,
        train_accuracy=evaluation.train_accuracy,
        macro_f1=evaluation.macro_f1,
        num_samples=len(spec.data.clips),
        num_features=NUM_FEATURES,
        categories=spec.data.categories,
        confusion_matrix=[list(row) for row in evaluation.confusion],
        model_path=bundle.path / MODEL_FILE,
        scaler_path=bundle.path / SCALER_FILE,
        promoted=promoted,
        comparison=judged.comparison,
        evaluation=evaluation,
        data_digest=str(bundle.card["data"]["digest"]),
        skipped=list(spec.data.skipped),
        confusion_picture=judged.picture,
    )


def _command(
    root: Path,
    groups: str | None,
    model: str,
    folds: int | None,
    seed: int,
    trees: int,
    name: str,
) -> str:
    """Return the command line that trains the same again; folders of this machine by name only."""
    words = ["anc", "train", root.name, "--model", model]
    words += [] if folds is None else ["--folds", str(folds)]
    words += [] if groups is None else ["--groups", groups]
    words += ["--seed", str(seed), "--trees", str(trees), "--version", name]
    return shlex.join(words)
