"""Bundles of models: whole, or refused in words before anything of them is used.

Damage that the digests find is one thing; here the manifest is sealed anew over the damage, as
somebody would who wants it to be loaded.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from anc_core.bundles.bundle import CARD, MANIFEST, open_bundle
from anc_core.bundles.registry import Registry
from anc_core.classifier.model import (
    GOLDEN_FILE,
    KIND,
    MODEL_FILE,
    NOVELTY_FILE,
    SCALER_FILE,
    NoiseModel,
)
from anc_core.classifier.validation import validate_bundle
from anc_core.errors import ModelBundleError
from anc_core.features import NUM_FEATURES
from tests.fuzz.damage import damaged
from tests.fuzz.effort import look, look_for_long
from tests.noise_bundles import make_bundle

FILES = [MANIFEST, CARD, MODEL_FILE, SCALER_FILE, NOVELTY_FILE, GOLDEN_FILE]
SHORT = 15


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / KIND / "tiny"
    make_bundle(folder)
    return folder


def attempt(whole: Path, folder: Path, name: str, content: bytes) -> None:
    target = folder / "damaged"
    shutil.copytree(whole, target, dirs_exist_ok=True)
    (target / name).write_bytes(content)
    if name != MANIFEST:
        manifest = json.loads((target / MANIFEST).read_text())
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
        (target / MANIFEST).write_text(json.dumps(manifest))
    # The validation of a bundle is a finding for each question, whatever is wrong.
    result = validate_bundle(lambda: open_bundle(target, kind=KIND))
    assert all(check.message for check in result.checks)
    bundle = open_bundle(target, kind=KIND)
    assert bundle.model_id
    model = NoiseModel(bundle)
    labels, confidence = model.label(np.zeros((2, NUM_FEATURES), np.float32))
    assert ((confidence >= 0.0) & (confidence <= 1.0)).all()
    assert set(labels.tolist()) <= set(range(len(model.names)))


def attempt_history(folder: Path, content: bytes) -> None:
    path = folder / KIND / "active.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    Registry(folder).active(KIND)


HISTORY = (
    b'{"history": [{"version": "a", "digest": "0", "at": "2024-05-01T12:00:00", "reason": ""}]}'
)


def inputs(whole: Path, name: str) -> st.SearchStrategy[bytes]:
    texts = [b"{}", b"null", b'"x"', b"[1]", b"\xff", b"NaN"]
    return st.one_of(damaged([(whole / name).read_bytes()]), st.sampled_from(texts))


@pytest.mark.parametrize("name", [MANIFEST, CARD])
def test_json_that_is_too_deep_is_refused(whole: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelBundleError):
        attempt(whole, tmp_path, name, b"[" * 100_000)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_that_is_sealed_is_refused_or_harmless(
    whole: Path, tmp_path: Path, name: str
) -> None:
    work = functools.partial(attempt, whole, tmp_path, name)
    assert look(inputs(whole, name), work, SHORT).total >= SHORT


def test_an_array_whose_header_never_ends_is_refused(whole: Path, tmp_path: Path) -> None:
    """tokenize.TokenError: numpy reads a header that is no literal as a program of Python 2."""
    header = b"{'descr': ("
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("projection.npy", member)
    with pytest.raises(ModelBundleError, match="holds no plain arrays"):
        attempt(whole, tmp_path, NOVELTY_FILE, buffer.getvalue())


def test_a_damaged_history_is_refused(tmp_path: Path) -> None:
    work = functools.partial(attempt_history, tmp_path)
    assert look(damaged([HISTORY]), work, SHORT).total >= SHORT


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", FILES)
def test_bundles_for_long(
    whole: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = look_for_long(inputs(whole, name), functools.partial(attempt, whole, tmp_path, name))
    with capsys.disabled():
        print(f"\nbundle, {name}: {tally}")
