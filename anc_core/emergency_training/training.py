"""From a table of recordings to a bundle: draw scenes, describe their cells, fit, judge, seal."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.bundles.bundle import Bundle, seal
from anc_core.emergency.choice import KIND, MODEL_FILE, Thresholds
from anc_core.emergency.figure_names import HEAD_SCHEMA
from anc_core.emergency.head import Trees, trees_to_bytes
from anc_core.emergency_training.collect import cell_rows
from anc_core.emergency_training.fit import FitParameters, fit_trees
from anc_core.emergency_training.pool import Pool
from anc_core.emergency_training.scenes import scene
from anc_core.training_recordings import (
    NOISE,
    RECORDINGS_FILE,
    SPEECH,
    TRAIN,
    VALIDATION,
    TrainingRecording,
    chosen,
    data_digest,
    restricted_licences,
    write_table,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIGESTED = ("path", "kind", "split")
"""Groups say which splits are honest; a head does not depend on them."""
_LIBRARIES = ("numpy", "numba", "scikit-learn", "soxr")
_FAINT_DB, _FULL_DB = -14.0, -4.0
"""Between them the weight of an alarm's cells rises from a tenth to one: what nobody could hear
teaches that noise is an alarm."""
_SCENES_AT_ONCE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingParameters:
    """All that shapes a head.

    Attributes
    ----------
    num_scenes : int
        Scenes to learn from; half as long as they are many in minutes of sound.
    num_validation : int
        Scenes of held-out speakers and noises to judge by.
    seed : int
    thresholds : Thresholds
        Chosen on recordings that the head is not trained on.
    fit : FitParameters
    """

    num_scenes: int
    num_validation: int
    seed: int
    thresholds: Thresholds
    fit: FitParameters = field(default_factory=FitParameters)


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of many scenes, one after the other; all arrays have shape (num_cells, ...)."""

    figures: NDArray[np.float32]
    is_alarm: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    snr_db: NDArray[np.float32]
    has_speech: NDArray[np.bool_]
    kind: NDArray[np.str_]


def draw_cells(
    rows: Sequence[TrainingRecording],
    root: Path,
    *,
    split: str,
    num_scenes: int,
    seed: int,
    processes: int,
    report: Callable[[str], None],
) -> Cells:
    """Return the cells of the scenes 0 to ``num_scenes``; ``processes`` changes only the time."""
    speech = [root / row.path for row in chosen(rows, SPEECH, split)]
    noise = [root / row.path for row in chosen(rows, NOISE, split)]
    work = functools.partial(_some_cells, speech, noise, seed)
    starts = range(0, num_scenes, _SCENES_AT_ONCE)
    spans = [(start, min(start + _SCENES_AT_ONCE, num_scenes)) for start in starts]
    parts: list[Cells] = []
    with ProcessPoolExecutor(processes) as pool:
        for (_, stop), part in zip(spans, pool.map(work, spans), strict=True):
            parts.append(part)
            report(f"{split}: {stop} of {num_scenes} scenes")
    return joined(parts)


def joined(parts: Sequence[Cells]) -> Cells:
    """Return all cells, in order."""
    return Cells(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Cells))
    )


@functools.lru_cache(maxsize=2)
def _pool(paths: tuple[Path, ...]) -> Pool:
    return Pool(paths)


def _some_cells(
    speech: Iterable[Path], noise: Iterable[Path], seed: int, span: tuple[int, int]
) -> Cells:
    parts = []
    for number in range(*span):
        one = scene(number, seed, _pool(tuple(speech)), _pool(tuple(noise)))
        num = len(one.is_alarm)
        parts.append(
            Cells(
                figures=cell_rows(one.samples),
                is_alarm=one.is_alarm,
                counts=one.counts,
                snr_db=np.full(num, one.snr_db, np.float32),
                has_speech=np.full(num, one.has_speech),
                kind=np.full(num, one.kind),
            )
        )
    return joined(parts)


def fit_head(cells: Cells, parameters: FitParameters) -> Trees:
    """Return trees fitted to the cells that count, alarms and others weighing the same."""
    chosen = cells.counts
    is_alarm = cells.is_alarm[chosen]
    audible = np.clip((cells.snr_db[chosen] - _FAINT_DB) / (_FULL_DB - _FAINT_DB), 0.1, 1.0)
    weights = np.where(is_alarm, audible, 1.0).astype(np.float64)
    weights[is_alarm] *= np.count_nonzero(~is_alarm) / weights[is_alarm].sum()
    return fit_trees(cells.figures[chosen], is_alarm, weights, parameters)


def judge(trees: Trees, cells: Cells, thresholds: Thresholds) -> dict[str, Any]:
    """Return the share of cells above the threshold of protection: by alarm and SNR, by negative.

    Single cells, before averaging and closing of gaps: for comparing trainings with each other.
    """
    chosen = cells.counts
    above = trees.scores(np.ascontiguousarray(cells.figures[chosen])) >= thresholds.protect
    is_alarm, kind = cells.is_alarm[chosen], cells.kind[chosen]
    snr_db, has_speech = cells.snr_db[chosen], cells.has_speech[chosen]

    def share(mask: NDArray[np.bool_]) -> float | None:
        return round(float(above[mask].mean()), 3) if mask.any() else None

    return {
        "alarms": {k: share(is_alarm & (kind == k)) for k in sorted(set(kind[is_alarm]))},
        "alarms_by_snr_db": {
            f"{low} to {low + 10}": share(is_alarm & (snr_db >= low) & (snr_db < low + 10))
            for low in (-10, 0, 10, 20)
        },
        "alarms_under_speech": share(is_alarm & has_speech),
        "others": {k: share(~is_alarm & (kind == k)) for k in sorted(set(kind[~is_alarm]))},
    }


def train_head(
    rows: Sequence[TrainingRecording],
    root: Path,
    folder: Path,
    parameters: TrainingParameters,
    *,
    version_name: str,
    command: str,
    processes: int,
    report: Callable[[str], None],
) -> Bundle:
    """Train a head and write its bundle into ``folder`` (made anew).

    Parameters
    ----------
    rows : sequence of TrainingRecording
        From :func:`anc_core.training_recordings.read_table`.
    root : Path
        Folder that their paths are below.
    folder : Path
        Must not exist.
    parameters : TrainingParameters
    version_name, command : str
        Name of the version; how to train it again.
    processes : int
        That scenes are drawn in.
    report : callable
        Told in a sentence how far it is.
    """
    draw = functools.partial(draw_cells, rows, root, processes=processes, report=report)
    cells = draw(split=TRAIN, num_scenes=parameters.num_scenes, seed=parameters.seed)
    report(f"fitting to {np.count_nonzero(cells.counts)} cells")
    trees = fit_head(cells, parameters.fit)
    held_out = draw(
        split=VALIDATION, num_scenes=parameters.num_validation, seed=parameters.seed + 1
    )
    return package(
        trees,
        judge(trees, held_out, parameters.thresholds),
        rows,
        root,
        folder,
        parameters,
        version_name=version_name,
        command=command,
    )


def package(
    trees: Trees,
    scores: dict[str, Any],
    rows: Sequence[TrainingRecording],
    root: Path,
    folder: Path,
    parameters: TrainingParameters,
    *,
    version_name: str,
    command: str,
) -> Bundle:
    """Write the bundle of a fitted head; arguments as of :func:`train_head`."""
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(trees_to_bytes(trees))
    write_table(rows, folder / RECORDINGS_FILE)
    card = {
        "kind": KIND,
        "version": version_name,
        "description": "How much half a second, with 4 s around it, is like an alarm",
        "feature_schema": HEAD_SCHEMA,
        "thresholds": asdict(parameters.thresholds),
        "command": command,
        "parameters": asdict(parameters),
        "data": {
            "digest": data_digest(rows, root, _DIGESTED),
            "recordings": RECORDINGS_FILE,
            "num_recordings": len(rows),
            "licences": sorted({row.licence for row in rows}),
            "restricted_licences": restricted_licences(rows),
            "alarms": "synthetic, anc_core.emergency_training.sirens",
        },
        "scores": scores,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
    }
    return seal(folder, card)
