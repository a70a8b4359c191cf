"""A bundle is read only as its manifest describes it."""

from __future__ import annotations

import json
import pickle

import pytest

from anc_core.bundles.bundle import open_bundle, seal
from anc_core.errors import ErrorCode, ModelBundleError

CARD = {"kind": "suppressor", "version": "1", "scores": {"pesq": 0.6}}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "1"
    path.mkdir()
    (path / "model.onnx").write_bytes(b"weights")
    seal(path, CARD)
    return path


def test_a_sealed_bundle_gives_back_what_went_in(folder):
    bundle = open_bundle(folder, kind="suppressor")
    assert bundle.card == CARD
    assert bundle.read("model.onnx") == b"weights"
    assert bundle.model_id == f"suppressor/1@{bundle.digest[:12]}"


def test_the_digest_covers_every_file(tmp_path):
    digests = set()
    for content, card in ((b"a", CARD), (b"b", CARD), (b"a", {**CARD, "scores": {}})):
        path = tmp_path / str(len(digests))
        path.mkdir()
        (path / "model.onnx").write_bytes(content)
        digests.add(seal(path, card).digest)
    assert len(digests) == 3


@pytest.mark.parametrize("name", ["model.onnx", "card.json"])
def test_a_changed_file_is_refused_by_name(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + b"x")
    with pytest.raises(ModelBundleError, match=name) as caught:
        open_bundle(folder, kind="suppressor").read("model.onnx")
    assert caught.value.code is ErrorCode.MODEL_HASH


def test_a_missing_file_is_missing(folder):
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelBundleError, match="cannot be read") as caught:
        open_bundle(folder, kind="suppressor").read("model.onnx")
    assert caught.value.code is ErrorCode.MODEL_MISSING


def test_a_file_that_is_not_listed_is_not_read(folder):
    (folder / "extra.pkl").write_bytes(b"evil")
    with pytest.raises(ModelBundleError, match="not part of the bundle"):
        open_bundle(folder, kind="suppressor").read("extra.pkl")


def test_no_manifest_is_no_bundle(tmp_path):
    with pytest.raises(ModelBundleError) as caught:
        open_bundle(tmp_path, kind="suppressor")
    assert caught.value.code is ErrorCode.MODEL_MISSING


@pytest.mark.parametrize(
    "manifest",
    [
        "no json",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 2, "files": {}}',
        '{"format": 1, "files": {"../../etc/passwd": "0"}}',
        '{"format": 1, "files": {"/etc/passwd": "0"}}',
        '{"format": 1, "files": {".hidden": "0"}}',
    ],
)
def test_a_bent_manifest_is_refused(folder, manifest):
    (folder / "manifest.json").write_text(manifest)
    with pytest.raises(ModelBundleError) as caught:
        open_bundle(folder, kind="suppressor")
    assert caught.value.code is ErrorCode.MODEL_HASH


def test_another_kind_is_refused(folder):
    with pytest.raises(ModelBundleError, match="kind 'suppressor', not 'classifier'"):
        open_bundle(folder, kind="classifier")


@pytest.mark.parametrize("card", [{"kind": "x"}, {"kind": "a/b", "version": "1"}])
def test_a_card_must_name_kind_and_version(tmp_path, card):
    with pytest.raises(ModelBundleError):
        seal(tmp_path, card)


def test_manifest_lists_sha256(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {len(digest) for digest in manifest["files"].values()} == {64}


def test_the_error_keeps_its_code_between_processes():
    error = ModelBundleError(ErrorCode.MODEL_HASH, "changed")
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, str(again)) == (ErrorCode.MODEL_HASH, "changed")
