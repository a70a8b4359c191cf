"""What validation finds in a whole bundle and in broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anc_core.bundles.bundle import Bundle, open_bundle, seal
from anc_core.classifier.model import GOLDEN_FILE, KIND, MODEL_FILE, SCALER_FILE
from anc_core.classifier.validation import CHECKS, ModelValidation, validate_bundle
from anc_core.errors import ErrorCode
from anc_core.features import NUM_FEATURES
from tests.noise_bundles import CLASSES, make_bundle
from tests.onnx_models import linear_softmax


def validate(folder: Path) -> ModelValidation:
    return validate_bundle(lambda: open_bundle(folder, kind=KIND))


def failed(result: ModelValidation) -> list[str]:
    return [check.name for check in result.checks if not check.ok]


def test_a_whole_bundle_is_valid_and_told(bundle: Bundle) -> None:
    result = validate(bundle.path)
    assert result.valid
    assert result.digest_ok
    assert (result.version, result.categories) == ("tiny", CLASSES)
    assert tuple(check.name for check in result.checks) == CHECKS
    assert result.card["scores"] == {"accuracy": 0.9, "macro_f1": 0.8}
    messages = {check.name: check.message for check in result.checks}
    assert "rain" in messages["smoke prediction"] or "fan" in messages["smoke prediction"]


def test_nothing_there_is_a_finding_and_no_error(tmp_path: Path) -> None:
    result = validate(tmp_path / "nothing")
    assert not result.valid
    assert failed(result) == list(CHECKS)
    assert {check.error_code for check in result.checks[1:]} == {None}
    assert result.checks[0].error_code is ErrorCode.MODEL_MISSING


@pytest.mark.parametrize("name", [MODEL_FILE, SCALER_FILE, GOLDEN_FILE])
def test_a_changed_byte_is_found_and_nothing_of_it_is_loaded(tmp_path: Path, name: str) -> None:
    folder = make_bundle(tmp_path / "b").path
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    result = validate(folder)
    assert (result.valid, result.digest_ok) == (False, False)
    assert failed(result)[0] == "digest"
    assert "load" in failed(result)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "b").path
    (folder / SCALER_FILE).unlink()
    result = validate(folder)
    assert failed(result)[0] == "files"
    assert SCALER_FILE in result.checks[0].message


def far_off(folder: Path) -> None:
    arrays = dict(np.load(folder / GOLDEN_FILE))
    np.savez(folder / GOLDEN_FILE, **(arrays | {"probabilities": arrays["probabilities"] - 2e-4}))


def no_clips(folder: Path) -> None:
    np.savez(folder / GOLDEN_FILE, features=np.zeros((0, NUM_FEATURES)))


def nan_graph(folder: Path) -> None:
    weights = np.full((NUM_FEATURES, len(CLASSES)), np.nan, np.float32)
    linear_softmax(folder / MODEL_FILE, weights, np.zeros(len(CLASSES), np.float32))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (far_off, ["golden clips"]),
        (no_clips, ["golden clips", "probabilities"]),
        (nan_graph, ["golden clips", "probabilities"]),
    ],
)
def test_answers_that_are_not_those_it_was_saved_with_are_found(
    tmp_path: Path, change: Callable[[Path], None], expected: list[str]
) -> None:
    """The digests are right: it was sealed so."""
    bundle = make_bundle(tmp_path / "b")
    change(bundle.path)
    seal(bundle.path, bundle.card)
    result = validate(bundle.path)
    assert result.digest_ok
    assert failed(result) == expected


def test_other_features_are_found(tmp_path: Path) -> None:
    result = validate(make_bundle(tmp_path / "b", feature_schema="rich-822/0/0123").path)
    assert failed(result)[0] == "feature schema"
    assert result.checks[3].error_code is ErrorCode.FEATURE_SCHEMA
    assert result.categories == ()


def test_a_card_that_does_not_say_what_the_model_is_from_is_found(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b")
    seal(bundle.path, {key: value for key, value in bundle.card.items() if key != "data"})
    result = validate(bundle.path)
    assert failed(result) == ["card"]
    assert "data" in result.checks[2].message
