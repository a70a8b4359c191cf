"""What a training of the noise classifier gives, and what it shows in Prefect's pages."""

from __future__ import annotations

from pathlib import Path

from prefect.artifacts import create_table_artifact

from anc_core.classifier_training.records import (
    Comparison,
    NoiseEvaluation,
    Skipped,
    TrainingSpec,
)
from anc_core.records import Record
from anc_core.reports.wording import inert
from flows.artifacts import MAX_TABLE_ROWS


class NoiseTrainingResult(Record):
    """What a training gave. All scores but ``train_accuracy`` are of held-out recordings."""

    version: str
    model_id: str
    model: str
    """random_forest, lda, extra_trees or vote."""
    test_accuracy: float
    train_accuracy: float
    macro_f1: float
    num_samples: int
    """Clips."""
    num_features: int
    categories: list[str]
    confusion_matrix: list[list[int]]
    """Row: what it is; column: what it was taken for; both in the order of ``categories``."""
    model_path: Path
    """In the registry; the value for ML_MODEL_PATH."""
    scaler_path: Path
    """The value for ML_SCALER_PATH."""
    promoted: bool
    """Whether it is in use now."""
    comparison: Comparison | None
    """With the model in use before; None where there was none."""
    evaluation: NoiseEvaluation
    data_digest: str
    skipped: list[Skipped]
    """Files that were left out."""
    confusion_picture: Path
    """PNG."""


class Judged(Record):
    """What is known of a model before it is registered."""

    evaluation: NoiseEvaluation
    comparison: Comparison | None
    picture: Path


def publish_scores(spec: TrainingSpec, judged: Judged) -> None:
    """Write the tables of scores, of confusions and of files that were left out."""
    evaluation = judged.evaluation
    described = (
        f"{evaluation.model}: accuracy {evaluation.accuracy:.3f}, macro-F1 "
        f"{evaluation.macro_f1:.3f} on recordings it never met"
    )
    create_table_artifact(
        [
            {
                "category": inert(scores.category),
                "clips": scores.num_clips,
                "recordings": scores.num_recordings,
                "precision": _share(scores.precision),
                "precision 95 %": _interval(scores.precision_interval),
                "recall": _share(scores.recall),
                "recall 95 %": _interval(scores.recall_interval),
            }
            for scores in evaluation.classes
        ],
        key="noise-classifier-scores",
        description=described,
    )
    names = [inert(name) for name in spec.data.categories]
    create_table_artifact(
        [
            {"is": name, **dict(zip(names, row, strict=True))}
            for name, row in zip(names, evaluation.confusion, strict=True)
        ],
        key="noise-classifier-confusion",
        description="Row: what it is; column: what it was taken for",
    )
    if spec.data.skipped:
        create_table_artifact(
            [
                {"file": inert(one.path), "why": inert(one.reason)}
                for one in spec.data.skipped[:MAX_TABLE_ROWS]
            ],
            key="noise-classifier-left-out",
            description=f"{len(spec.data.skipped)} files were left out",
        )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def training_markdown(result: NoiseTrainingResult) -> str:
    """Return the page of a training; text from folder names is inert in it."""
    evaluation, comparison = result.evaluation, result.comparison
    unknown = evaluation.unknown.rejected
    lines = [
        f"## {inert(result.model_id)}",
        "",
        f"It {'is in use now' if result.promoted else 'is registered, but not in use'}.",
        "",
        "| of recordings it never met | |",
        "|---|---|",
        f"| accuracy | {evaluation.accuracy:.3f} ({_interval(evaluation.accuracy_interval)}) |",
        f"| macro-F1 | {evaluation.macro_f1:.3f} |",
        f"| accuracy of windows of 1 s | {evaluation.window_accuracy:.3f} |",
        *(
            f"| accuracy in pink noise at {db} dB | {share:.3f} |"
            for db, share in evaluation.noise_accuracy.items()
        ),
        f"| the same answer 20 dB louder and softer | {evaluation.gain_agreement:.3f} |",
        f"| calibration error, clips | {evaluation.calibration_error:.3f} |",
        f"| calibration error, windows | {evaluation.window_calibration_error:.3f} |",
        f"| unknown categories rejected at 90 % of known kept | {_share(unknown)} |",
        "",
        f"- {result.num_samples} clips, {evaluation.num_folds} folds",
        f"- {len(result.skipped)} files left out",
    ]
    if comparison is not None:
        lines.append(
            f"- in use before: {inert(comparison.active_model_id)}, accuracy "
            f"{comparison.active_accuracy:.3f} ({comparison.basis})"
        )
    return "\n".join(lines)
