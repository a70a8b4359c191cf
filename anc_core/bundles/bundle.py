"""One model in one folder: nothing is loaded from it before its digest was checked.

::

    <version>/
      card.json       what it is: kind, data, licences, command, scores, versions
      model.onnx      or any other file of a format that cannot execute code
      manifest.json   SHA-256 of every file; its own SHA-256 is the digest of the bundle
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.files import write_text_atomic

MANIFEST = "manifest.json"
CARD = "card.json"

_FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose manifest was read and whose card was checked against it."""

    path: Path
    digest: str
    """SHA-256 of the manifest, and so of everything."""
    card: dict[str, Any]
    files: dict[str, str]
    """File name to SHA-256."""

    @property
    def kind(self) -> str:
        """What the model is for."""
        return str(self.card["kind"])

    @property
    def version(self) -> str:
        """Name of this version."""
        return str(self.card["version"])

    @property
    def model_id(self) -> str:
        """Kind, version and the head of the digest: what sessions remember."""
        return f"{self.kind}/{self.version}@{self.digest[:12]}"

    def read(self, name: str) -> bytes:
        """Return the content of a file, checked against the manifest as it is read.

        Raises
        ------
        ModelBundleError
            MODEL_MISSING if it is not there or not listed, MODEL_HASH if it was changed.
        """
        if name not in self.files:
            msg = f"{self.path}: {name} is not part of the bundle"
            raise ModelBundleError(ErrorCode.MODEL_MISSING, msg)
        content = _read(self.path / name)
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.files[name]:
            msg = (
                f"{self.path / name}: its digest is {digest[:12]}, the manifest says "
                f"{self.files[name][:12]}; the file was changed or damaged: fetch the bundle again"
            )
            raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
        return content


def seal(folder: Path, card: dict[str, Any]) -> Bundle:
    """Write card and manifest of the files in ``folder`` and return the finished bundle.

    Parameters
    ----------
    folder : Path
        Holds the bundle's files, no subfolders.
    card : dict
        At least ``kind`` and ``version``; JSON types only.
    """
    for key in ("kind", "version"):
        check_name(str(card.get(key, "")), what=key)
    write_text_atomic(folder / CARD, json.dumps(card, indent=2, sort_keys=True) + "\n")
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
    files = {name: hashlib.sha256(_read(folder / name)).hexdigest() for name in names}
    manifest = {"format": _FORMAT, "files": files}
    write_text_atomic(folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return open_bundle(folder, kind=str(card["kind"]))


def open_bundle(folder: Path, *, kind: str, digest: str | None = None) -> Bundle:
    """Return the bundle in ``folder``; its files are checked when they are read.

    Raises
    ------
    ModelBundleError
        MODEL_MISSING if it is no bundle, MODEL_HASH if its card was changed, it is another kind, or
        no longer the one with ``digest``.
    """
    content = _read(folder / MANIFEST)
    manifest = parse_object(content, folder / MANIFEST)
    try:
        files = {check_name(str(n), what="file"): str(d) for n, d in manifest["files"].items()}
        readable = manifest["format"] == _FORMAT
    except (KeyError, AttributeError) as error:
        msg = f"{folder / MANIFEST}: is no manifest ({error}); fetch the bundle again"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg) from None
    if not readable:
        msg = f"{folder}: format {manifest['format']!r} is not {_FORMAT}; update this program"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    unread = Bundle(folder, hashlib.sha256(content).hexdigest(), {}, files)
    card = parse_object(unread.read(CARD), folder / CARD)
    check_name(str(card.get("version", "")), what=f"{folder / CARD}: version")
    bundle = Bundle(folder, unread.digest, card, files)
    if card.get("kind") != kind:
        msg = f"{folder}: is a bundle of kind {card.get('kind')!r}, not {kind!r}"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    if digest is not None and bundle.digest != digest:
        msg = f"{folder}: the bundle was replaced while it was in use"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    return bundle


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """Return the JSON object that a file of a bundle or a registry holds.

    Raises
    ------
    ModelBundleError
        MODEL_HASH if it holds something else.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: cannot be understood ({error}); fetch the bundle again"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg) from None
    if not isinstance(value, dict):
        msg = f"{path}: holds a {type(value).__name__}, no JSON object; fetch the bundle again"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    return value


def check_name(name: str, *, what: str) -> str:
    """Return ``name`` if it can name a file or folder anywhere, without leaving its parent.

    Raises
    ------
    ModelBundleError
        MODEL_HASH otherwise.
    """
    if not _NAME.fullmatch(name):
        msg = f"{what} {name!r} must be letters, digits, '.', '_' and '-', not '.' at the start"
        raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
    return name


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            msg = f"{path}: is larger than {_MAX_FILE_BYTES} bytes: no model of this program is"
            raise ModelBundleError(ErrorCode.MODEL_HASH, msg)
        return path.read_bytes()
    except OSError as error:
        msg = (
            f"{path}: cannot be read: {error.strerror}; train a model or reinstall the bundled one"
        )
        raise ModelBundleError(ErrorCode.MODEL_MISSING, msg) from None
