"""Pickled models of others that somebody here vouched for, by digest.

Context: ``ML_MODEL_PATH`` used to name a ``.joblib`` file, and loading one executes whatever its
author put there. Decision: ``anc model import --trust-pickle`` reads it once, in a process of its
own, and makes a bundle of it; the digests of the files are kept beside the bundles. Consequence: at
work such a path only says which bundle is meant, and no pickle is ever loaded.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anc_core.bundles.bundle import Bundle, parse_object
from anc_core.bundles.registry import Registry
from anc_core.classifier.model import KIND
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.files import write_text_atomic

_IMPORTED = "imported.json"
_CURE = "import it with 'anc model import --trust-pickle' if you know where it comes from"


def record_import(models: Path, version: str, model: str, scaler: str | None) -> None:
    """Note that files of these digests are the version ``version`` of the registry ``models``.

    Parameters
    ----------
    models : Path
        Folder of the registry; it holds the version.
    version : str
    model, scaler : str
        SHA-256 of the files; no scaler if the model scales for itself.
    """
    entries = _entries(models)
    entries[model] = {
        "version": version,
        "scaler": scaler,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path = models / KIND / _IMPORTED
    write_text_atomic(path, json.dumps({"imported": entries}, indent=2, sort_keys=True) + "\n")


def imported_bundle(models: Path, model: Path, scaler: Path | None) -> Bundle:
    """Return the bundle that was made of a pickled model; the files are only hashed.

    Parameters
    ----------
    models : Path
        Folder of this installation's registry.
    model, scaler : Path
        Files of the predecessor.

    Raises
    ------
    ModelBundleError
        MODEL_UNTRUSTED if they were not imported as they are, MODEL_MISSING if they can't be read.
    """
    entry = _entries(models).get(digest_of(model))
    if entry is None:
        msg = f"{model}: is no model bundle, and a pickle may execute anything; {_CURE}"
        raise ModelBundleError(ErrorCode.MODEL_UNTRUSTED, msg)
    if (None if scaler is None else digest_of(scaler)) != entry["scaler"]:
        given = "no scaler" if scaler is None else str(scaler)
        msg = f"{model}: was imported with another scaler; {given} is given: {_CURE}"
        raise ModelBundleError(ErrorCode.MODEL_UNTRUSTED, msg)
    return Registry(models).get(KIND, entry["version"])


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises
    ------
    ModelBundleError
        MODEL_MISSING if it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise ModelBundleError(ErrorCode.MODEL_MISSING, msg) from None


def _entries(models: Path) -> dict[str, dict[str, Any]]:
    path = models / KIND / _IMPORTED
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    entries = parse_object(content, path).get("imported")
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
        msg = f"{path}: is no list of imported models; move it away and import them again"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    return entries


def _is_entry(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("version"), str) and "scaler" in value
