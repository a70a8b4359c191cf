"""``anc train-suppressor``: the flow ``train_noise_suppressor`` from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flows.options import new_model_options

_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command("train-suppressor")
@click.option("--root", type=_FOLDER, required=True, help="Folder that the paths are below.")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Table of recordings: path, kind, group, split, licence, credit.",
)
@click.option("--speech", "speech_dirs", type=_FOLDER, multiple=True, help="Folder of speech.")
@click.option("--noise", "noise_dirs", type=_FOLDER, multiple=True, help="Folder of noise.")
@click.option("--steps", type=click.IntRange(1), default=20_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the training; name it again to resume one.",
)
@new_model_options
def train_suppressor(as_json: bool, **parameters: Any) -> None:  # noqa: ANN401
    """Train the learned suppressor on your own speech and noise.

    Needs the extra "train" (PyTorch). Runs for hours; stop it whenever you like and start it again
    with the same --work-dir.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        msg = "PyTorch is not installed; install the extra 'train'"
        raise click.ClickException(msg) from None
    from flows.suppressor_training import train_noise_suppressor

    for name in ("speech_dirs", "noise_dirs"):
        parameters[name] = list(parameters[name])
    result = train_noise_suppressor(**parameters)
    if as_json:
        click.echo(result.to_json())
        return
    state = "in use" if result.promoted else "registered, not in use"
    click.echo(f"{result.model_id}: {state}; {result.model_path}")
