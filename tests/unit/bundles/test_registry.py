"""What is in use, since when, and the way back."""

from __future__ import annotations

import pytest

from anc_core.bundles.bundle import seal
from anc_core.bundles.registry import Registry, active_bundle
from anc_core.errors import ErrorCode, ModelBundleError

KIND = "suppressor"


def bundle(parent, version, content=b"weights"):
    path = parent / f"made-{version}-{len(content)}"
    path.mkdir(parents=True)
    (path / "model.onnx").write_bytes(content)
    return seal(path, {"kind": KIND, "version": version})


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "models")
    for version in ("1", "2"):
        registry.add(bundle(tmp_path, version, version.encode()))
    return registry


def test_nothing_is_in_use_at_first(registry):
    assert registry.versions(KIND) == ["1", "2"]
    assert registry.active(KIND) is None
    assert Registry(registry.folder / "nowhere").versions(KIND) == []


def test_the_last_promotion_counts_and_all_are_remembered(registry):
    registry.promote(KIND, "1", reason="first")
    registry.promote(KIND, "2", reason="better")
    assert registry.active(KIND).version == "2"
    assert [entry["version"] for entry in registry.history(KIND)] == ["1", "2"]
    assert registry.history(KIND)[1]["reason"] == "better"


def test_rollback_returns_to_the_version_before(registry):
    registry.promote(KIND, "1", reason="first")
    registry.promote(KIND, "2", reason="better")
    assert registry.rollback(KIND).version == "1"
    assert registry.active(KIND).version == "1"


def test_rollback_needs_a_version_before(registry):
    registry.promote(KIND, "1", reason="first")
    with pytest.raises(ModelBundleError, match="no version before 1"):
        registry.rollback(KIND)


def test_the_same_bundle_again_is_kept(registry, tmp_path):
    again = registry.add(registry.get(KIND, "1"))
    assert again.digest == registry.get(KIND, "1").digest


def test_another_bundle_of_the_same_name_is_refused(registry, tmp_path):
    with pytest.raises(ModelBundleError, match="holds another model"):
        registry.add(bundle(tmp_path / "other", "1", b"other"))


def test_a_damaged_version_is_not_promoted(registry):
    (registry.folder / KIND / "2" / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelBundleError) as caught:
        registry.promote(KIND, "2", reason="better")
    assert caught.value.code is ErrorCode.MODEL_HASH
    assert registry.active(KIND) is None


def test_the_first_registry_with_a_model_in_use_wins(registry, tmp_path):
    registry.promote(KIND, "1", reason="first")
    own = Registry(tmp_path / "own")
    assert active_bundle(KIND, [own.folder, registry.folder]).version == "1"
    own.add(bundle(tmp_path / "mine", "mine"))
    own.promote(KIND, "mine", reason="mine")
    assert active_bundle(KIND, [own.folder, registry.folder]).version == "mine"


def test_a_damaged_model_is_not_replaced_behind_the_users_back(registry, tmp_path):
    registry.promote(KIND, "1", reason="first")
    own = Registry(tmp_path / "own")
    own.add(bundle(tmp_path / "mine", "mine"))
    own.promote(KIND, "mine", reason="mine")
    (own.folder / KIND / "mine" / "card.json").write_text("{}")
    with pytest.raises(ModelBundleError):
        active_bundle(KIND, [own.folder, registry.folder])


def test_no_model_anywhere_names_the_places(tmp_path):
    with pytest.raises(ModelBundleError, match="train one") as caught:
        active_bundle(KIND, [tmp_path])
    assert caught.value.code is ErrorCode.MODEL_MISSING


@pytest.mark.parametrize("version", ["..", "a/b", "", ".x", "x" * 200])
def test_a_version_cannot_leave_its_folder(registry, version):
    with pytest.raises(ModelBundleError):
        registry.get(KIND, version)


@pytest.mark.parametrize("promoted_before", [None, "1"])
def test_what_was_added_and_promoted_is_undone_if_a_later_step_fails(
    registry, tmp_path, promoted_before
):
    if promoted_before is not None:
        registry.promote(KIND, promoted_before, reason="first")
    before = registry.history(KIND)

    def register():
        with registry.undone_on_error(KIND):
            registry.add(bundle(tmp_path, "3", b"new"))
            registry.promote(KIND, "3", reason="better")
            assert registry.active(KIND).version == "3"
            raise RuntimeError("the store is gone")

    with pytest.raises(RuntimeError, match="the store"):
        register()
    assert registry.versions(KIND) == ["1", "2"]
    assert registry.history(KIND) == before
    with registry.undone_on_error(KIND):
        registry.add(bundle(tmp_path / "again", "3", b"new"))
    assert registry.versions(KIND) == ["1", "2", "3"]
