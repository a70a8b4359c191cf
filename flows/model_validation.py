"""Validate a noise classifier as a Prefect flow: is it whole, does it answer as it did."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from anc_core.classifier.validation import ModelValidation
from anc_core.jobs.models import validate_classifier
from anc_core.settings import Settings
from flows.common import logged, logger, retry_options
from flows.forms import form


@flow(name="validate-model", flow_run_name="validate the classifier", validate_parameters=True)
@form()
def validate_model(model_path: Path | None = None) -> ModelValidation:
    """Check files, digests, card, feature schema, and that the model answers as when it was saved.

    Args:
        model_path: Folder of a bundle or the model.onnx in it; by default the classifier in use.

    Returns
    -------
    Whether it is valid, its version and categories, and every check with its finding.
    """
    options = retry_options(Settings.load())
    return check_model.with_options(**options)(model_path)


@task(
    name="check-model", task_run_name="check the model", cache_policy=NO_CACHE, persist_result=False
)
@logged
def check_model(model_path: Path | None) -> ModelValidation:
    """Ask every question; what was found is noted in the store and shown in Prefect."""
    result = validate_classifier(Settings.load(), model_path, actor="validate_model")
    for check in result.checks:
        if not check.ok:
            logger().error("%s: %s", check.name, check.message)
    create_table_artifact(
        [check.model_dump() for check in result.checks],
        key="model-validation",
        description=f"{result.model_id or 'no model'}: {'valid' if result.valid else 'not valid'}",
    )
    return result
