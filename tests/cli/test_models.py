"""``anc validate`` and ``anc model`` in this process, and a session that names its noises."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from anc_core.bundles.registry import Registry
from anc_core.classifier.model import KIND
from anc_core.classifier.validation import ModelValidation
from anc_core.features import NUM_FEATURES
from anc_core.jobs.models import ModelComparison, ModelList, ModelVersion
from anc_core.records import SessionSummary
from anc_core.settings import Settings
from tests.nasty.bench import Bench
from tests.noise_bundles import make_bundle
from tests.recordings import noisy_voice

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc`` with two classifiers ``a`` and ``b`` in the registry, none in use."""
    monkeypatch.chdir(tmp_path)
    registry = Registry(Settings.load().models_dir)
    for version in ("a", "b"):
        registry.add(make_bundle(tmp_path / version, version=version))
    return run_cli


def test_a_classifier_is_promoted_validated_compared_and_rolled_back(anc: Anc) -> None:
    assert "is in use now" in anc("model", "promote", "a")[1]
    code, out, err = anc("model", "promote", "b", "--reason", "better ears", "--json")
    assert (code, err) == (0, "")
    assert ModelVersion.from_json(out).in_use
    listed = anc("model", "list")[1]
    assert "better ears" in listed
    assert "in use from (UTC)" in listed
    assert "accuracy 0.9" in listed
    compared = ModelComparison.from_json(anc("model", "compare", "a", "--json")[1])
    assert (compared.first, compared.second) == ("b", "a")
    assert "difference" in anc("model", "compare", "a", "b")[1]
    assert ModelVersion.from_json(anc("model", "rollback", "--json")[1]).version == "a"
    found = ModelList.from_json(anc("model", "list", "--kind", KIND, "--json")[1])
    assert [m.version for m in found.models if m.in_use] == ["a"]
    code, out, err = anc("validate")
    assert (code, err) == (0, "")
    assert "knows fan, rain" in out
    assert json.loads(anc("validate", "--json")[1])["valid"]


def test_what_is_not_valid_is_exit_code_1(anc: Anc, tmp_path: Path) -> None:
    (tmp_path / "b" / "scaler.npz").unlink()
    code, out, _ = anc("validate", tmp_path / "b")
    assert code == 1
    assert "scaler.npz missing" in out
    code, out, _ = anc("validate", tmp_path / "b", "--json")
    assert (code, ModelValidation.from_json(out).valid) == (1, False)


def test_a_foreign_pickle_is_refused_with_the_cure(anc: Anc, tmp_path: Path) -> None:
    (tmp_path / "old.joblib").write_bytes(b"\x80\x04.")
    code, out, _ = anc("validate", tmp_path / "old.joblib")
    assert code == 1
    assert "MODEL_UNTRUSTED" in out
    assert "anc model import" in out


def test_unknown_versions_are_usage(anc: Anc) -> None:
    code, _, err = anc("model", "promote", "z")
    assert code == 2
    assert "there is" in err
    assert "a, b" in err


def test_noises_are_named_in_the_session_the_table_and_the_store(
    anc: Anc, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANC_DATABASE_URL", bench.settings.resolved_database_url)
    source = noisy_voice(bench.inputs / "x.wav", duration_s=3.0)
    process = functools.partial(anc, "process", source, "-o", bench.outputs / "x.wav")
    monkeypatch.setenv("ANC_NAME_NOISES", "0")
    assert not SessionSummary.from_json(process("--json")[1]).windows
    monkeypatch.delenv("ANC_NAME_NOISES")
    before = SessionSummary.from_json(process("--json", "--overwrite", "replace")[1])
    anc("model", "promote", "a")
    code, out, err = process("--json", "--overwrite", "replace")
    summary = SessionSummary.from_json(out)
    assert (code, err) == (0, "")
    assert summary.session_id != before.session_id, "a new model is a new session"
    assert {w.noise_type for w in before.windows} <= {"speech", "unknown"}, "by the one that ships"
    assert {w.noise_type for w in summary.windows} <= {"fan", "rain"}
    assert [w.start_s for w in summary.windows][:3] == [0.0, 0.5, 1.0]
    assert summary.events
    assert bench.session(summary.session_id) == summary
    assert "noises" in anc("process", source, "-o", bench.outputs / "y.flac")[1]


def test_a_pickle_is_imported_by_who_vouches_for_it(
    anc: Anc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import joblib
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    vectors = np.random.default_rng(1).normal(size=(20, NUM_FEATURES))
    joblib.dump(LogisticRegression().fit(vectors, np.arange(20) % 2), tmp_path / "m.joblib")
    code, _, err = anc("model", "import", tmp_path / "m.joblib")
    assert code == 2
    assert "--trust-pickle" in err
    words = ("--trust-pickle", "--classes", "on, off", "--version", "old")
    code, out, _ = anc("model", "import", tmp_path / "m.joblib", *words)
    assert code == 0
    assert "anc model promote old" in out
    monkeypatch.setenv("ML_MODEL_PATH", str(tmp_path / "m.joblib"))
    assert "knows on, off" in anc("validate")[1]
    assert "whatever is promoted" in anc("model", "list")[1]
