"""``anc train``: the flow ``train_noise_classifier`` from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import load_settings, new_model_options

if TYPE_CHECKING:
    from flows.training_artifacts import NoiseTrainingResult


@click.command("train")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--prepare-from",
    "data",
    metavar="DATA",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Fill FOLDER first, as that of the model that ships was: from the recordings of "
    "DATA/manifest.csv whose licence is free, and computed sounds.",
)
@click.option(
    "--model",
    type=click.Choice(["random_forest", "lda", "extra_trees", "vote", "auto"]),
    default="random_forest",
    show_default=True,
    help="vote is the mean of the others; auto the best of them on held-out recordings.",
)
@click.option("--folds", type=click.IntRange(2), help="By default 5, or fewer for few recordings.")
@click.option(
    "--groups",
    metavar="REGEX",
    help="Finds the recording's name in a file name, as its one group; by default what precedes "
    'the first "-", "_" or ".".',
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--trees", type=click.IntRange(1, 5000), default=300, show_default=True, help="Of each forest."
)
@new_model_options
def train(folder: Path, data: Path | None, as_json: bool, **parameters: Any) -> None:  # noqa: ANN401
    """Train the noise classifier on FOLDER, which has a folder of clips for each category.

    It is judged by recordings it never met. Stop it whenever you like and start it again: it goes
    on where it was.
    """
    from anc_core.classifier_training.recordings import scan
    from anc_core.jobs.naming import check_named, is_allowed

    roots = load_settings(None).allowed_roots
    check_named([folder, data], roots)
    if data is not None:
        from anc_core.classifier_training.default_folder import prepare

        prepare(data, folder)
    # What is wrong with the folder is said in one sentence, before Prefect has a server to start.
    scan(folder, parameters["groups"], may_read=lambda path: is_allowed(path, roots))
    from flows.console import print_json
    from flows.model_training import train_noise_classifier

    result = train_noise_classifier(folder, **parameters)
    if as_json:
        print_json(result)
    else:
        _print_result(result)


def _print_result(result: NoiseTrainingResult) -> None:
    from flows.console import safe

    evaluation, unknown = result.evaluation, result.evaluation.unknown
    low, high = evaluation.accuracy_interval
    rows = {
        "accuracy": f"{evaluation.accuracy:.3f} ({low:.3f} to {high:.3f})",
        "macro-F1": f"{evaluation.macro_f1:.3f}",
        "windows of 1 s": f"{evaluation.window_accuracy:.3f}",
        **{
            f"pink noise, {db} dB": f"{share:.3f}"
            for db, share in evaluation.noise_accuracy.items()
        },
        "same at +-20 dB": f"{evaluation.gain_agreement:.3f}",
        "calibration error": f"{evaluation.calibration_error:.3f} clips, "
        f"{evaluation.window_calibration_error:.3f} windows",
        "unknown rejected": "-"
        if unknown.rejected is None
        else f"{unknown.rejected:.3f} at 90 % of known kept",
    }
    click.echo(
        f"{result.model}: {result.num_samples} clips, {len(result.categories)} categories, "
        f"{evaluation.num_folds} folds; figures of recordings it never met"
    )
    for name, value in rows.items():
        click.echo(f"  {name:<20} {value}")
    click.echo(f"  {'category':<28} {'clips':>5} {'precision':>9} {'recall':>7}  95 %")
    for scores in evaluation.classes:
        precision = "-" if scores.precision is None else f"{scores.precision:.3f}"
        low, high = scores.recall_interval
        click.echo(
            f"  {safe(scores.category).plain:<28} {scores.num_clips:>5} {precision:>9} "
            f"{scores.recall:>7.3f}  {low:.3f} to {high:.3f}"
        )
    for one in result.skipped:
        click.echo(f"left out: {safe(one.path).plain}: {safe(one.reason).plain}", err=True)
    if result.comparison is not None:
        click.echo(
            f"in use before: {result.comparison.active_model_id}, accuracy "
            f"{result.comparison.active_accuracy:.3f} ({result.comparison.basis})"
        )
    state = "in use" if result.promoted else "registered, not in use"
    click.echo(f"{result.model_id}: {state}; {safe(str(result.model_path.parent)).plain}")
