"""From a table of recordings to a folder that can be trained in: pinned numbers, decoded pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from anc_core.denoiser_training.fit import write_config
from anc_core.denoiser_training.parameters import TrainingParameters
from anc_core.denoiser_training.pools import build_pool, build_synthetic_pool
from anc_core.errors import InputError
from anc_core.training_recordings import (
    NOISE,
    SPEECH,
    TRAIN,
    VALIDATION,
    TrainingRecording,
    chosen,
)

_NUM_SYNTHETIC_VALIDATION = 100


def prepare_run(
    run_dir: Path,
    rows: Sequence[TrainingRecording],
    root: Path,
    data_digest: str,
    parameters: TrainingParameters,
    report: Callable[[str], None],
) -> dict[str, int]:
    """Pin what is trained and decode what it is trained on; what is done already is kept.

    Parameters
    ----------
    run_dir : Path
        Folder of the training, made if need be.
    rows : sequence of TrainingRecording
        Their paths are below ``root``.
    data_digest : str
        Of ``rows`` and their contents.
    parameters : TrainingParameters
    report : callable
        Gets a line for every recording that had to be left out.

    Returns
    -------
    dict of str to int
        Clips of every pool.

    Raises
    ------
    InputError
        If the folder holds another training, or nothing usable is left of a kind.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    write_config(run_dir, parameters, data_digest)
    counts = {}
    for kind in (SPEECH, NOISE):
        for split in (TRAIN, VALIDATION):
            name = f"{kind}-{split}"
            counts[name] = build_pool(chosen(rows, kind, split), root, run_dir, name, report)
    for split, number, seed in (
        (TRAIN, parameters.num_synthetic, parameters.seed),
        (VALIDATION, _NUM_SYNTHETIC_VALIDATION, parameters.seed + 1),
    ):
        name = f"synthetic-{split}"
        counts[name] = build_synthetic_pool(number, parameters.synthetic_s, seed, run_dir, name)
    empty = [name for name, count in counts.items() if count == 0]
    if empty:
        msg = f"nothing usable is left for {', '.join(empty)}; add recordings of 0.5 s or more"
        raise InputError(msg)
    return counts
