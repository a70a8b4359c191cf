"""The noise classifier in the pipeline: what a session tells of it, and what it can't harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core import load_classifier
from anc_core.audio.synth import alarm, noise
from anc_core.bundles.bundle import Bundle
from anc_core.classifier.model import NoiseModel
from anc_core.errors import ErrorCode, GateError, ModelBundleError, WarningCode
from anc_core.pipeline import gate, process_recording
from anc_core.pipeline.request import RecordingRequest
from anc_core.records import SessionSummary, Status
from anc_core.settings import Settings
from tests.noise_bundles import RATE, make_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Rain on the left, a fan on the right, 6 s, with a smoke alarm over both."""
    both = np.stack([noise(kind, 12.0, RATE, seed=70) for kind in ("rain", "fan")], axis=1)
    both[4 * RATE :] += alarm("t3_3100", 8.0, RATE)[:, np.newaxis]
    sf.write(tmp_path / "in.wav", both, RATE)
    return tmp_path / "in.wav"


def run(source: Path, bundle: Bundle | None, **words: object) -> SessionSummary:
    settings = Settings(name_noises=False)
    if bundle is not None:
        settings = Settings(ml_model_path=bundle.path)
    return process_recording(source, settings=settings, **words)


def remarks(summary: SessionSummary) -> list[WarningCode]:
    return [remark.code for remark in summary.warnings]


def test_a_session_has_the_classifiers_windows_beside_the_detectors(
    source: Path, bundle: Bundle
) -> None:
    plain, named = run(source, None), run(source, bundle)
    samples, _ = sf.read(source, dtype="float32")
    heard = load_classifier(bundle.path).predict(samples, RATE)
    assert set(named.windows) == {*plain.windows, *heard}
    assert [w.start_s for w in named.windows] == sorted(w.start_s for w in named.windows)
    left = {w.noise_type for w in heard if w.channel == 0 and w.end_s < 4.0}
    right = {w.noise_type for w in heard if w.channel == 1 and w.end_s < 4.0}
    assert (left, right) == ({"rain"}, {"fan"})


def test_its_events_are_no_alarms_and_the_alarms_stay(source: Path, bundle: Bundle) -> None:
    plain, named = run(source, None), run(source, bundle)
    assert plain.events
    assert [e for e in named.events if e.is_emergency] == list(plain.events)
    noises = [e for e in named.events if not e.is_emergency]
    assert {e.noise_type for e in noises} == {"rain", "fan"}
    assert all(e.start_s < 0.6 for e in noises)
    assert named.protected == plain.protected


def test_a_session_remembers_it_and_is_another_one(source: Path, bundle: Bundle) -> None:
    plain, named = run(source, None), run(source, bundle)
    assert named.parameters["classifier"] == bundle.model_id
    assert "classifier" not in plain.parameters
    assert named.fingerprint != plain.fingerprint
    assert named.model_id == plain.model_id, "the suppressor's"
    assert named.metrics.classify_s is not None
    assert plain.metrics.classify_s is None
    assert remarks(named) == remarks(plain) == []


@pytest.mark.parametrize("words", [{"apply_anc": False}, {"preset": "analyse-only"}])
def test_it_hears_where_nothing_is_cancelled(
    source: Path, bundle: Bundle, words: dict[str, object]
) -> None:
    assert len(run(source, bundle, **words).windows) > len(run(source, None, **words).windows)


def test_chunks_change_nothing(source: Path, bundle: Bundle) -> None:
    windows = {run(source, bundle, chunk_size=size).windows for size in (8_000, 11_111, 80_000)}
    assert len(windows) == 1


def test_where_it_is_refused_the_session_says_so_and_is_as_without(
    source: Path, tmp_path: Path
) -> None:
    other = make_bundle(tmp_path / "other", feature_schema="rich-822/0/0123")
    plain, refused = run(source, None), run(source, other)
    assert (refused.status, remarks(refused)) == (Status.OK, [WarningCode.MODEL_UNAVAILABLE])
    assert "FEATURE_SCHEMA" in refused.warnings[0].message
    assert refused.fingerprint == plain.fingerprint
    assert (refused.windows, refused.events) == (plain.windows, plain.events)


def test_a_graph_that_cannot_be_loaded_is_said_too(
    source: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModelBundleError(ErrorCode.MODEL_HASH, "is no graph")

    monkeypatch.setattr("anc_core.pipeline.hearing.load_noise_model", refuse)
    summary = run(source, bundle)
    assert remarks(summary) == [WarningCode.MODEL_UNAVAILABLE]
    assert summary.windows == run(source, None).windows


@pytest.mark.parametrize("num_good", [0, 1])
def test_one_that_breaks_down_takes_nothing_with_it(
    source: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, num_good: int
) -> None:
    """12 s are two calls: a batch of windows, and the last one."""
    calls, label = [], NoiseModel.label

    def break_down(model: NoiseModel, vectors: np.ndarray) -> list[tuple[str, float]]:
        calls.append(len(vectors))
        if len(calls) > num_good:
            raise ModelBundleError(ErrorCode.MODEL_HASH, "out of order")
        return label(model, vectors)

    monkeypatch.setattr(NoiseModel, "label", break_down)
    summary = run(source, bundle)
    assert len(calls) == num_good + 1
    assert (summary.status, remarks(summary)) == (Status.OK, [WarningCode.MODEL_UNAVAILABLE])
    plain = run(source, None)
    assert (summary.windows, summary.events) == (plain.windows, plain.events)


def test_the_request_holds_what_it_was_identified_by(bundle: Bundle) -> None:
    request = RecordingRequest.resolve("a.wav", settings=Settings(ml_model_path=bundle.path))
    assert request.classifier.model_id == bundle.model_id
    assert request.parameters["classifier"] == bundle.model_id


def test_a_second_attempt_does_not_listen_again(
    source: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the gate refuses a result, the gentler one is made of the same input."""
    calls, label = [], NoiseModel.label

    def counted(model: NoiseModel, vectors: np.ndarray) -> list[tuple[str, float]]:
        calls.append(len(vectors))
        return label(model, vectors)

    monkeypatch.setattr(NoiseModel, "label", counted)
    once = run(source, bundle)
    num_calls = len(calls)
    check, refused = gate.check, []

    def refuse_first(*words: object) -> None:
        if not refused:
            refused.append(GateError(ErrorCode.LAG, "for the test"))
            raise refused[0]
        check(*words)

    monkeypatch.setattr(gate, "check", refuse_first)
    twice = run(source, bundle)
    assert (twice.status, twice.preset_used) == (Status.DEGRADED, "gentle")
    assert len(calls) == 2 * num_calls
    assert (twice.windows, twice.events) == (once.windows, once.events)
    assert twice.metrics.classify_s is not None
