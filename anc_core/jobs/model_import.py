"""Make a bundle of a pickled model that the user vouches for, without ever reading it here."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anc_core.bundles.bundle import check_name, seal
from anc_core.bundles.registry import Registry
from anc_core.classifier.imports import digest_of, record_import
from anc_core.classifier.model import KIND
from anc_core.errors import ErrorCode, InputError, ModelBundleError
from anc_core.features import FEATURE_SCHEMA
from anc_core.jobs.model_rows import note_model
from anc_core.jobs.models import ModelVersion, described, refuse_invalid
from anc_core.jobs.naming import check_named
from anc_core.jobs.pickle_conversion import NEVER_NOVEL
from anc_core.settings import Settings

_TIMEOUT_S = 600.0
_START = (
    "import sys; sys.path[:] = sys.argv[4:]; "
    "from anc_core.jobs.pickle_conversion import main; main(*sys.argv[1:4])"
)


def import_model(
    settings: Settings,
    model: Path,
    scaler: Path | None = None,
    *,
    trust_pickle: bool,
    version: str | None = None,
    classes: Sequence[str] = (),
    actor: str,
) -> ModelVersion:
    """Convert a pickled scikit-learn classifier of these features; it is registered, not in use.

    From then on a path to the very file stands for its bundle, in ``ML_MODEL_PATH`` too.

    Parameters
    ----------
    settings : Settings
    model, scaler : Path
        Written with joblib or pickle: a classifier with ``predict_proba``, a StandardScaler.
    trust_pickle : bool
        Reading a pickle executes whatever its author put there, with the user's rights; only who
        knows where the files come from can say that they may be read.
    version : str, optional
        Name in the registry; by default made of the file's digest.
    classes : sequence of str, optional
        Names of the categories, in the model's order, if it only knows numbers.
    actor : str
        Who asks.

    Raises
    ------
    InputError
        If the number of names is not that of the classes.
    ModelBundleError
        MODEL_UNTRUSTED without ``trust_pickle``; FEATURE_SCHEMA if it can't be used with the
        features of this version; MODEL_MISSING if a file can't be read.
    SinkError
        PERMISSION: a file lies outside the allowed folders.
    """
    check_named([model, scaler], settings.allowed_roots)
    digest = digest_of(model)
    scaler_digest = None if scaler is None else digest_of(scaler)
    if not trust_pickle:
        msg = f"{model}: reading a pickle may execute anything; say --trust-pickle if it may"
        raise ModelBundleError(ErrorCode.MODEL_UNTRUSTED, msg)
    name = check_name(version or f"imported-{digest[:12]}", what="version")
    registry = Registry(settings.models_dir)
    with tempfile.TemporaryDirectory(prefix="anc-import-") as folder:
        facts = _convert(model, scaler, Path(folder))
        bundle = seal(Path(folder), _card(facts, name, classes))
        refuse_invalid(bundle)
        bundle = registry.add(bundle)
    record_import(settings.models_dir, name, digest, scaler_digest)
    note_model(
        settings,
        bundle,
        action="import-model",
        detail={"source": str(model)},
        actor=actor,
        promoted=False,
    )
    return described(bundle, in_use=registry.active(KIND) == bundle)


def _convert(model: Path, scaler: Path | None, folder: Path) -> dict[str, Any]:
    """Let a process of its own read the files and write those of a bundle; return its facts."""
    paths = [str(model.absolute()), "-" if scaler is None else str(scaler.absolute()), str(folder)]
    try:
        finished = subprocess.run(  # noqa: S603 - this very interpreter, its words in a list
            [sys.executable, "-c", _START, *paths, *sys.path],
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        msg = f"{model}: was not read within {_TIMEOUT_S:.0f} s"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg) from None
    try:
        answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = finished.stderr.decode(errors="replace").strip().splitlines()
        msg = f"{model}: could not be read: {said[-1] if said else finished.returncode}"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg) from None
    if "refused" in answer:
        msg = f"{model}: cannot be used here: {answer['refused']}"
        raise ModelBundleError(ErrorCode(answer["code"]), msg)
    return answer


def _card(facts: dict[str, Any], version: str, classes: Sequence[str]) -> dict[str, Any]:
    named = [str(name) for name in classes or facts["classes"]]
    if len(named) != len(facts["classes"]):
        msg = (
            f"{len(named)} names are given for the {len(facts['classes'])} classes of the model, "
            f"{', '.join(facts['classes'])}"
        )
        raise InputError(msg)
    return facts | {
        "kind": KIND,
        "version": version,
        "description": "Imported from a pickled scikit-learn model",
        "classes": named,
        "feature_schema": FEATURE_SCHEMA,
        "temperature": 1.0,
        "novelty_threshold": NEVER_NOVEL,
        "scores": {},
        "data": {"digest": None, "licences": {"unknown": 1}},
    }
