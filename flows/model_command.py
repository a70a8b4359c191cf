"""``anc validate`` and ``anc model``: look at the models, put another into use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.options import EXIT_FAILED, database_option, load_settings, use_database

if TYPE_CHECKING:
    from anc_core.classifier.validation import ModelValidation
    from anc_core.jobs.models import ModelComparison, ModelList, ModelVersion

_ACTOR = "anc model"

_kind_option = click.option(
    "--kind",
    type=click.Choice(["noise-classifier", "suppressor"]),
    default="noise-classifier",
    show_default=True,
)
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")


@click.command()
@click.argument("model_path", required=False, type=click.Path(path_type=Path))
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@_json_option
def validate(
    model_path: Path | None, database_url: str | None, as_flow: bool, as_json: bool
) -> None:
    """Check the noise classifier in use, or the one at MODEL_PATH."""
    settings = load_settings(database_url)
    if as_flow:
        from flows.model_validation import validate_model
        from flows.parameters import check_names

        check_names(model_path or "")
        use_database(settings)
        result: ModelValidation = validate_model(model_path)
    else:
        from anc_core.jobs.models import validate_classifier

        result = validate_classifier(settings, model_path, actor="anc validate")
    if as_json:
        _print_json(result)
    else:
        _print_validation(result)
    if not result.valid:
        sys.exit(EXIT_FAILED)


@click.group()
def model() -> None:
    """Look at the models, put another into use."""


@model.command("list")
@click.option("--kind", type=click.Choice(["noise-classifier", "suppressor"]), help="Only these.")
@_json_option
def list_(kind: str | None, as_json: bool) -> None:
    """Show the versions, which is in use, and which was when."""
    from anc_core.jobs.models import list_models

    found = list_models(load_settings(None), kind)
    if as_json:
        _print_json(found)
    else:
        _print_list(found)


@model.command()
@click.argument("version")
@_kind_option
@click.option("--reason", default="by hand", show_default=True, help="Kept in the history.")
@database_option
@_json_option
def promote(version: str, kind: str, reason: str, database_url: str | None, as_json: bool) -> None:
    """Put VERSION into use, if it is whole and answers as when it was saved."""
    from anc_core.jobs.models import promote_model

    settings = load_settings(database_url)
    _print_in_use(
        promote_model(settings, kind, version, reason=reason, actor=_ACTOR), as_json=as_json
    )


@model.command()
@_kind_option
@database_option
@_json_option
def rollback(kind: str, database_url: str | None, as_json: bool) -> None:
    """Put the version before the present one back into use."""
    from anc_core.jobs.models import rollback_model

    settings = load_settings(database_url)
    _print_in_use(rollback_model(settings, kind, actor=_ACTOR), as_json=as_json)


@model.command()
@click.argument("version")
@click.argument("other", required=False)
@_kind_option
@_json_option
def compare(version: str, other: str | None, kind: str, as_json: bool) -> None:
    """Compare the scores of VERSION with those of OTHER, by default of the one in use."""
    from anc_core.jobs.models import compare_models

    found = compare_models(load_settings(None), kind, version, other)
    if as_json:
        _print_json(found)
    else:
        _print_comparison(found)


@model.command("import")
@click.argument("model_path", type=_FILE)
@click.option("--scaler", type=_FILE, help="StandardScaler that belongs to it.")
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Reading these files may execute whatever their author put there: you know who that was.",
)
@click.option("--classes", help="Names of the categories, with commas, in the model's order.")
@click.option("--version", help="Name in the registry; by default made of the file's digest.")
@database_option
@_json_option
def import_(
    model_path: Path,
    scaler: Path | None,
    trust_pickle: bool,
    classes: str | None,
    version: str | None,
    database_url: str | None,
    as_json: bool,
) -> None:
    """Make a safe bundle of a scikit-learn classifier written with joblib or pickle.

    It must have been trained on the features of this version. Afterwards ML_MODEL_PATH (and
    ML_SCALER_PATH) may name the very files: the bundle is loaded, they are not.
    """
    from anc_core.jobs.model_import import import_model

    imported = import_model(
        load_settings(database_url),
        model_path,
        scaler,
        trust_pickle=trust_pickle,
        version=version,
        classes=[name.strip() for name in classes.split(",")] if classes else (),
        actor=_ACTOR,
    )
    if as_json:
        _print_json(imported)
    else:
        _say(f"{imported.model_id} is registered; 'anc model promote {imported.version}' uses it")


# --------------------------------------------------------------------------- words


def _print_validation(result: ModelValidation) -> None:
    from flows.console import print_table

    print_table(
        ("", "check", "finding"),
        [
            (
                "ok" if check.ok else "" if check.error_code is None else check.error_code,
                check.name,
                check.message,
            )
            for check in result.checks
        ],
    )
    if result.categories:
        _say(f"{result.model_id} knows {', '.join(result.categories)}")
    _say("valid" if result.valid else "not valid: it will not be used")


def _print_list(found: ModelList) -> None:
    from flows.console import print_table

    rows = []
    for one in found.models:
        scores = ", ".join(f"{name} {value:.3g}" for name, value in list(one.scores.items())[:3])
        use = "in use" if one.in_use else ""
        rows.append((one.kind, one.version, one.place, use, one.fault or scores))
    print_table(("kind", "version", "where", "", "scores"), rows)
    print_table(
        ("in use from (UTC)", "kind", "version", "where", "reason"),
        [(h.at, h.kind, h.version, h.place, h.reason) for h in found.history],
    )
    if found.named is not None:
        _say(f"ML_MODEL_PATH names {found.named}: it is the classifier, whatever is promoted")


def _print_in_use(one: ModelVersion, *, as_json: bool) -> None:
    if as_json:
        _print_json(one)
    else:
        _say(f"{one.model_id} is in use now")


def _print_comparison(found: ModelComparison) -> None:
    from flows.console import print_table

    rows = [
        (row.name, *(_number(value) for value in (row.first, row.second, row.difference)))
        for row in found.scores
    ]
    print_table(("score", found.first, found.second, "difference"), rows)
    for version, names in ((found.first, found.only_first), (found.second, found.only_second)):
        if names:
            _say(f"only {version} knows {', '.join(names)}")
    if not found.same_data:
        _say("they were judged on different recordings: the scores cannot be compared")


def _say(words: str) -> None:
    from flows.console import safe, stdout

    stdout().print(safe(words))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _print_json(record: ModelValidation | ModelList | ModelVersion | ModelComparison) -> None:
    from flows.console import print_json

    print_json(record)
