"""The models of an installation: listed, promoted, rolled back, compared, validated."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

import anc_core.jobs.models as models_module
from anc_core.bundles.bundle import Bundle
from anc_core.bundles.registry import Registry
from anc_core.classifier.model import KIND, MODEL_FILE
from anc_core.classifier.models import find_classifier
from anc_core.errors import ErrorCode, InputError, ModelBundleError
from anc_core.jobs.models import (
    compare_models,
    list_models,
    promote_model,
    rollback_model,
    validate_classifier,
)
from anc_core.settings import Settings
from anc_core.store import open_database
from anc_core.store.tables import AuditEntry, Model
from tests.noise_bundles import make_bundle


@pytest.fixture
def settings() -> Settings:
    return Settings.load()


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry that ships, with a classifier ``a`` in use."""
    registry = Registry(tmp_path / "shipped")
    registry.add(make_bundle(tmp_path / "a", version="a"))
    registry.promote(KIND, "a", reason="first")
    for module in ("anc_core.jobs.models", "anc_core.classifier.models"):
        monkeypatch.setattr(f"{module}.shipped_models", lambda: registry.folder)
    return registry


def add(settings: Settings, tmp_path: Path, version: str, **card: object) -> Bundle:
    bundle = make_bundle(tmp_path / f"new-{version}", version=version, **card)
    return Registry(settings.models_dir).add(bundle)


def promote(settings: Settings, version: str) -> None:
    promote_model(settings, KIND, version, reason="test", actor="tests")


def in_use(settings: Settings) -> str | None:
    bundle = find_classifier(settings.models_dir)
    listed = [m.version for m in list_models(settings, KIND).models if m.in_use]
    assert listed == ([] if bundle is None else [bundle.version])
    return None if bundle is None else bundle.version


def stored(settings: Settings) -> tuple[list[Model], list[AuditEntry]]:
    database = open_database(settings.resolved_database_url)
    with database.begin() as db:
        rows = list(db.scalars(select(Model))), list(db.scalars(select(AuditEntry)))
        db.expunge_all()
    database.dispose()
    return rows


def test_promotions_and_their_way_back(
    settings: Settings, shipped: Registry, tmp_path: Path
) -> None:
    assert in_use(settings) == "a"
    add(settings, tmp_path, "b")
    assert in_use(settings) == "a", "registered is not in use"
    promote(settings, "b")
    assert in_use(settings) == "b"
    rollback_model(settings, KIND, actor="tests")
    assert in_use(settings) == "a"
    rollback_model(settings, KIND, actor="tests")
    assert in_use(settings) == "b"
    history = list_models(settings, KIND).history
    assert [(h.version, h.place) for h in history] == [
        ("a", "shipped"),
        ("b", "here"),
        ("a", "here"),
        ("b", "here"),
    ]
    assert history[2].reason == "rollback from b"
    assert [entry["version"] for entry in shipped.history(KIND)] == ["a"], "never written to"


def test_promotions_are_told_to_the_store(
    settings: Settings, shipped: Registry, tmp_path: Path
) -> None:
    bundle = add(settings, tmp_path, "b")
    promote(settings, "b")
    rollback_model(settings, KIND, actor="tests")
    models, audit = stored(settings)
    by_id = {model.id: model for model in models}
    assert by_id[bundle.model_id].promoted_at is not None
    assert by_id[bundle.model_id].digest == bundle.digest
    assert [entry.action for entry in audit] == ["promote-model", "promote-model"]
    assert audit[0].detail == {"reason": "test"}
    assert audit[1].detail == {"reason": "rollback from b"}


def test_there_is_no_way_back_from_the_first(settings: Settings, shipped: Registry) -> None:
    with pytest.raises(ModelBundleError, match="no version before") as caught:
        rollback_model(settings, KIND, actor="tests")
    assert caught.value.code is ErrorCode.MODEL_MISSING
    promote(settings, "a")
    with pytest.raises(ModelBundleError, match="no version before a"):
        rollback_model(settings, KIND, actor="tests")


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ({"feature_schema": "rich-822/0/0123"}, ErrorCode.FEATURE_SCHEMA),
        ({"temperature": 3.0}, ErrorCode.MODEL_HASH),  # other probabilities than the golden ones
    ],
)
def test_what_is_not_valid_is_not_put_into_use(
    settings: Settings, shipped: Registry, tmp_path: Path, card: dict[str, object], code: ErrorCode
) -> None:
    add(settings, tmp_path, "b", **card)
    with pytest.raises(ModelBundleError, match="not put into use") as caught:
        promote(settings, "b")
    assert caught.value.code is code
    assert in_use(settings) == "a"
    assert stored(settings) == ([], [])


def test_unknown_versions_and_kinds_are_refused_with_what_there_is(
    settings: Settings, shipped: Registry
) -> None:
    with pytest.raises(ModelBundleError, match=r"there is a$"):
        promote(settings, "z")
    with pytest.raises(InputError, match="noise-classifier, suppressor"):
        promote_model(settings, "tagger", "a", reason="", actor="tests")


def test_damaged_and_missing_versions_are_listed_with_their_fault(
    settings: Settings, shipped: Registry, tmp_path: Path
) -> None:
    (add(settings, tmp_path, "b").path / MODEL_FILE).write_bytes(b"x")
    gone = add(settings, tmp_path, "c")
    promote(settings, "c")
    shutil.rmtree(gone.path)
    faults = {m.version: (m.in_use, m.fault) for m in list_models(settings, KIND).models}
    assert (faults["b"][1] or "").startswith("MODEL_HASH: ")
    assert faults["c"][0]
    assert (faults["c"][1] or "").startswith("MODEL_MISSING: ")
    assert faults["a"] == (False, None)


def test_the_suppressor_that_ships_is_listed_too(settings: Settings) -> None:
    (model,) = (m for m in list_models(settings, "suppressor").models if m.in_use)
    assert model.place == "shipped"
    assert model.scores["candidate.pesq"] > 0.5
    assert models_module.KINDS == (KIND, "suppressor")


def test_a_named_classifier_is_told_beside_the_promoted(settings: Settings, tmp_path: Path) -> None:
    named = settings.model_copy(update={"ml_model_path": tmp_path})
    assert list_models(named).named == str(tmp_path)
    assert list_models(named, "suppressor").named is None


def test_scores_are_compared_with_those_of_the_model_in_use(
    settings: Settings, shipped: Registry, tmp_path: Path
) -> None:
    add(settings, tmp_path, "b", scores={"accuracy": 0.95, "unknown": {"rejected": 0.5}})
    found = compare_models(settings, KIND, "b")
    assert (found.first, found.second, found.same_data) == ("a", "b", True)
    rows = {row.name: (row.first, row.second, row.difference) for row in found.scores}
    assert rows == {
        "accuracy": (0.9, 0.95, 0.05),
        "macro_f1": (0.8, None, None),
        "unknown.rejected": (None, 0.5, None),
    }
    add(settings, tmp_path, "c", data={"digest": "1" * 64}, classes=["fan", "wind"])
    other = compare_models(settings, KIND, "c", "b")
    assert not other.same_data
    assert (other.only_first, other.only_second) == (("rain",), ("wind",))


def test_a_validation_is_told_to_the_store(
    settings: Settings, shipped: Registry, tmp_path: Path
) -> None:
    assert validate_classifier(settings, actor="tests").valid
    broken = add(settings, tmp_path, "b", temperature=3.0)
    result = validate_classifier(settings, broken.path, actor="tests")
    assert not result.valid
    _, audit = stored(settings)
    assert [entry.action for entry in audit] == ["validate-model"] * 2
    assert audit[0].detail == {"valid": True, "failed": []}
    assert audit[1].subject == broken.model_id
    assert audit[1].detail == {"valid": False, "failed": ["golden clips"]}


def test_without_a_classifier_validation_says_what_to_do(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anc_core.classifier.models.shipped_models", lambda: tmp_path)
    result = validate_classifier(settings, actor="tests")
    assert not result.valid
    assert "train or promote one" in result.checks[0].message
