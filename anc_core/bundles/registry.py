"""Which version of a model is in use, and which was when.

A registry is a folder: ``<kind>/<version>/`` bundles and ``<kind>/active.json`` with the history.
Two are looked at: the installation's own (``ANC_HOME/models``), then the one that ships.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anc_core.bundles.bundle import Bundle, check_name, open_bundle, parse_object
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.files import write_text_atomic

_ACTIVE = "active.json"


def shipped_models() -> Path:
    """Return the folder of the models that come with this program."""
    package = Path(__file__).parent.parent
    inside = package / "_models"  # in a wheel
    return inside if inside.is_dir() else package.parent / "models"


class Registry:
    """The models in one folder.

    Parameters
    ----------
    folder : Path
        Need not exist until something is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def versions(self, kind: str) -> list[str]:
        """Return the versions of ``kind`` that lie here, sorted by name."""
        parent = self.folder / check_name(kind, what="kind")
        if not parent.is_dir():
            return []
        return sorted(path.name for path in parent.iterdir() if (path / "manifest.json").is_file())

    def get(self, kind: str, version: str) -> Bundle:
        """Return one version, or raise :class:`ModelBundleError`."""
        folder = self.folder / check_name(kind, what="kind") / check_name(version, what="version")
        return open_bundle(folder, kind=kind)

    def active(self, kind: str) -> Bundle | None:
        """Return the version in use, None where none was promoted.

        Raises
        ------
        ModelBundleError
            If it was promoted but is missing or damaged.
        """
        history = self.history(kind)
        return self.get(kind, history[-1]["version"]) if history else None

    def history(self, kind: str) -> list[dict[str, Any]]:
        """Return what was in use when, oldest first: ``version``, ``at`` (UTC), ``reason``."""
        path = self.folder / check_name(kind, what="kind") / _ACTIVE
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return []
        history = parse_object(content, path).get("history")
        if not isinstance(history, list) or not all(map(_is_entry, history)):
            msg = f"{path}: is no history of versions; move it away and promote a version again"
            raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
        return history

    def add(self, bundle: Bundle) -> Bundle:
        """Copy a bundle here; the same version again must be the same bundle.

        The folder appears complete or not at all.
        """
        parent = self.folder / check_name(bundle.kind, what="kind")
        target = parent / check_name(bundle.version, what="version")
        if target.exists():
            present = open_bundle(target, kind=bundle.kind)
            if present.digest != bundle.digest:
                msg = f"{target}: holds another model of that name; choose another version"
                raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
            return present
        parent.mkdir(parents=True, exist_ok=True)
        part = parent / f".{bundle.version}.{os.getpid()}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for name in bundle.files:
            (part / name).write_bytes(bundle.read(name))
        shutil.copyfile(bundle.path / "manifest.json", part / "manifest.json")
        part.rename(target)
        return open_bundle(target, kind=bundle.kind)

    def promote(self, kind: str, version: str, *, reason: str) -> Bundle:
        """Put a version into use; it must be whole."""
        bundle = self.get(kind, version)
        for name in bundle.files:
            bundle.read(name)
        entry = {
            "version": version,
            "digest": bundle.digest,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "reason": reason,
        }
        history = {"history": [*self.history(kind), entry]}
        write_text_atomic(self.folder / kind / _ACTIVE, json.dumps(history, indent=2) + "\n")
        return bundle

    def rollback(self, kind: str) -> Bundle:
        """Put the version before the present one back into use.

        Raises
        ------
        ModelBundleError
            MODEL_MISSING where there was none before.
        """
        history = self.history(kind)
        current = history[-1]["version"] if history else None
        for entry in reversed(history):
            if entry["version"] != current:
                return self.promote(kind, entry["version"], reason=f"rollback from {current}")
        msg = f"{self.folder / kind}: there is no version before {current}"
        raise ModelBundleError(ErrorCode.MODEL_MISSING, msg)

    @contextmanager
    def undone_on_error(self, kind: str) -> Iterator[None]:
        """Take back what is added and promoted in the body, if the body ends with an exception.

        What others add meanwhile under other names is taken for the body's: one process registers
        models of a kind at a time.
        """
        parent = self.folder / check_name(kind, what="kind")
        active = parent / _ACTIVE
        before = set(self.versions(kind))
        history = active.read_text() if active.exists() else None
        try:
            yield
        except BaseException:
            # What is in use first: it must never name a version that is gone.
            if history is None:
                active.unlink(missing_ok=True)
            else:
                write_text_atomic(active, history)
            for version in set(self.versions(kind)) - before:
                shutil.rmtree(parent / version)
            raise


def active_bundle(kind: str, folders: Iterable[Path]) -> Bundle:
    """Return the version in use in the first registry that has one.

    Raises
    ------
    ModelBundleError
        If none has one, or the one found is missing or damaged: a damaged model is never replaced
        by another behind the user's back.
    """
    folders = list(folders)
    for folder in folders:
        bundle = Registry(folder).active(kind)
        if bundle is not None:
            return bundle
    places = ", ".join(map(str, folders))
    msg = f"no {kind} is in use in {places}; train one, or reinstall the bundled models"
    raise ModelBundleError(ErrorCode.MODEL_MISSING, msg)


def _is_entry(value: object) -> bool:
    """Return whether ``value`` says which version was put into use, when and why."""
    names = ("version", "at", "reason")
    return isinstance(value, dict) and all(isinstance(value.get(name), str) for name in names)
