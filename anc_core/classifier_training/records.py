"""What passes between the steps of a training, and what is known of a model before it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from anc_core.records import Record

ModelName: TypeAlias = Literal["random_forest", "lda", "extra_trees", "vote"]

_SECONDS_A_CLIP = 0.1
"""CPU time of reading, varying and measuring a clip of 5 s."""


class Clip(Record):
    """A recording of one noise."""

    path: str
    """Below the root, with forward slashes."""
    category: str
    recording: str
    """Clips of the same recording are never on both sides of a test."""
    digest: str
    """SHA-256 of the content."""
    licence: str = ""
    """From ``licences.csv``; empty where it says nothing."""

    @property
    def estimate_s(self) -> float:
        """CPU seconds of its features, roughly."""
        return _SECONDS_A_CLIP


class Skipped(Record):
    """A file that is not trained on."""

    path: str
    reason: str


class TrainingData(Record):
    """All clips of a training and those that were left out."""

    root: Path
    clips: tuple[Clip, ...]
    skipped: tuple[Skipped, ...] = ()
    grouping: str
    """How the recording of a clip was found, in words."""

    @property
    def categories(self) -> list[str]:
        """Names of the categories, sorted; their places are the labels."""
        return sorted({clip.category for clip in self.clips})

    @property
    def recordings(self) -> list[str]:
        """Names of the recordings, sorted."""
        return sorted({clip.recording for clip in self.clips})


class TrainingSpec(Record):
    """All that decides what comes out of a training, and where it keeps what it has found."""

    data: TrainingData
    num_folds: int | None
    """None: 5, or as many as the category with the fewest recordings has."""
    seed: int
    num_trees: int
    workers: int
    """Decides the time and nothing else."""
    home: Path
    """Features and trials are kept below it, by content."""

    def __str__(self) -> str:
        """Return a line for logs: thousands of clips are none."""
        return f"{len(self.data.clips)} clips of {self.data.root}, seed {self.seed}"


class ClassScores(Record):
    """How well one category is told from the others, on recordings the model never met."""

    category: str
    num_clips: int
    num_recordings: int
    precision: float | None
    """None where nothing was taken for this category."""
    precision_interval: tuple[float, float] | None
    """95 %, for clips that are not independent within a recording."""
    recall: float
    recall_interval: tuple[float, float]


class UnknownScores(Record):
    """How well noises of no trained category are recognised as such."""

    rejected: float | None
    """Share of the clips of categories left out of the training that are beyond it, when it is set
    to keep 90 % of the known clips; None with fewer than 3 categories."""
    auroc: float | None
    """Chance that an unknown clip is farther off than a known one."""


class Comparison(Record):
    """The new model and the one in use, on the same clips."""

    active_model_id: str
    active_accuracy: float
    candidate_accuracy: float
    basis: str
    """What was compared with what, in words."""

    @property
    def is_not_worse(self) -> bool:
        """Whether the new model may take the place of the one in use."""
        return self.candidate_accuracy >= self.active_accuracy


class NoiseEvaluation(Record):
    """All figures but ``train_accuracy`` are of clips whose recording the model never met."""

    model: ModelName
    accuracy: float
    accuracy_interval: tuple[float, float]
    macro_f1: float
    train_accuracy: float
    """Of the final model on its own clips: what it knows by heart."""
    window_accuracy: float
    """Of single windows of 1 s in which something sounds."""
    calibration_error: float
    """Of clips; expected, 15 bins, temperature from the other folds."""
    window_calibration_error: float
    temperature: float
    noise_accuracy: dict[str, float]
    """Accuracy with pink noise, by dB under the clip's active level."""
    gain_agreement: float
    """Share of clips with the same answer 20 dB louder and 20 dB softer."""
    novelty_threshold: float
    unknown: UnknownScores
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Row: what it is; column: what it was taken for."""
    num_folds: int
    candidates: dict[str, float]
    """Accuracy of every model that was tried; of several, the best is a little flattered."""
