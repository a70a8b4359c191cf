"""``anc train-emergency``: the learned head of the alarm detector from the command line."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

import click


@click.command("train-emergency")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder that the paths are below.",
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="Table of speech and noise: path, kind, group, split, licence, credit.",
)
@click.option("--scenes", type=click.IntRange(1), default=6_000, show_default=True)
@click.option("--validation-scenes", type=click.IntRange(1), default=400, show_default=True)
@click.option("--trees", type=click.IntRange(1, 5_000), default=300, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--protect", type=float, required=True, help="Log-odds from which to protect.")
@click.option("--hold", type=float, required=True, help="Log-odds while protection goes on.")
@click.option("--count", type=float, required=True, help="Log-odds from which to count.")
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--version", "version_name", required=True, help="Name of the new version.")
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Registry that the head goes to; by default this installation's.",
)
@click.option("--promote", is_flag=True, help="Put it into use.")
def train_emergency(
    root: Path,
    recordings: Path,
    scenes: int,
    validation_scenes: int,
    trees: int,
    seed: int,
    protect: float,
    hold: float,
    count: float,
    processes: int,
    version_name: str,
    models_dir: Path | None,
    promote: bool,
) -> None:
    """Train what tells alarms from other sounds, on synthetic alarms in your speech and noise.

    The same table, numbers and seed give the same head, however many processes draw its scenes.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError:
        msg = "scikit-learn is not installed; install the extra 'train'"
        raise click.ClickException(msg) from None
    from anc_core.bundles.registry import Registry
    from anc_core.emergency.choice import KIND, Thresholds
    from anc_core.emergency_training.fit import FitParameters
    from anc_core.emergency_training.training import TrainingParameters, train_head
    from anc_core.settings import Settings
    from anc_core.training_recordings import COLUMNS, read_table

    rows = read_table(recordings, required=COLUMNS)
    parameters = TrainingParameters(
        num_scenes=scenes,
        num_validation=validation_scenes,
        seed=seed,
        thresholds=Thresholds(protect=protect, hold=hold, count=count),
        fit=FitParameters(num_trees=trees, seed=seed),
    )
    numbers = {
        "scenes": scenes,
        "validation-scenes": validation_scenes,
        "trees": trees,
        "seed": seed,
        "protect": protect,
        "hold": hold,
        "count": count,
        "version": version_name,
    }
    words = ["anc", "train-emergency", "--root", root.name, "--recordings", recordings.name]
    words += [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    registry = Registry(models_dir or Settings.load().models_dir)
    with tempfile.TemporaryDirectory(prefix="anc-bundle-") as scratch:
        bundle = train_head(
            rows,
            root,
            Path(scratch) / "bundle",
            parameters,
            version_name=version_name,
            command=shlex.join(words),
            processes=processes,
            report=lambda line: click.echo(line, err=True),
        )
        registered = registry.add(bundle)
    if promote:
        registry.promote(KIND, version_name, reason="anc train-emergency --promote")
    state = "in use" if promote else "registered, not in use"
    click.echo(f"{registered.model_id}: {state}; {registered.path}")
