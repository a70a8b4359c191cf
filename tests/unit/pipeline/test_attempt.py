"""One attempt: its parts in their order, and what each failure leaves behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import anc_core.emergency as emergency
import anc_core.pipeline.attempt as attempt_module
from anc_core.audio.synth import alarm, noise
from anc_core.bundles.registry import Registry, shipped_models
from anc_core.errors import (
    ErrorCode,
    GateError,
    SinkError,
    SourceChangedError,
    SourceError,
    WarningCode,
)
from anc_core.files import digest_file, identify
from anc_core.pipeline.attempt import Attempt
from anc_core.pipeline.request import RecordingRequest
from anc_core.presets import get_preset
from anc_core.settings import Settings
from tests.recordings import noisy_voice

RATE = 16_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return noisy_voice(tmp_path / "in.wav", duration_s=2.0)


def attempt(source: Path, sink: Path | None, *, preset: str | None = "default", **words) -> Attempt:
    return Attempt(
        RecordingRequest.resolve(source, sink, **words),
        None if preset is None else get_preset(preset),
        identify(source),
        source_digest=digest_file(source),
        token="t",
        on_progress=None,
    )


def test_the_output_has_no_name_before_it_is_delivered(source: Path, tmp_path: Path) -> None:
    sink = tmp_path / "out.wav"
    trial = attempt(source, sink)
    with trial.run() as outcome:
        assert not sink.exists()
        assert (tmp_path / ".anc-t.part").exists()
        assert outcome.output_digest == digest_file(tmp_path / ".anc-t.part")
        trial.deliver()
    assert digest_file(sink) == outcome.output_digest
    assert not (tmp_path / ".anc-t.part").exists()


def test_what_ends_the_block_before_delivery_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), attempt(source, tmp_path / "out.wav").run():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [source]


def test_the_original_is_copied_only_on_delivery(source: Path, tmp_path: Path) -> None:
    trial = attempt(source, tmp_path / "out.wav", preset=None)
    with trial.run() as outcome:
        assert outcome.output_digest == digest_file(source)
        assert list(tmp_path.iterdir()) == [source]
        trial.deliver()
    assert (tmp_path / "out.wav").read_bytes() == source.read_bytes()


def test_a_source_that_changes_before_it_is_copied_is_not_delivered(
    source: Path, tmp_path: Path
) -> None:
    trial = attempt(source, tmp_path / "out.wav", preset=None)
    with trial.run():
        source.write_bytes(source.read_bytes() + b"\0\0")
        with pytest.raises(SourceChangedError, match=r"in\.wav"):
            trial.deliver()
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("preset", ["default", None])
def test_a_source_that_changed_while_it_was_read_is_not_delivered(
    source: Path, tmp_path: Path, preset: str | None
) -> None:
    trial = attempt(source, tmp_path / "out.wav", preset=preset)
    trial.before = identify(noisy_voice(tmp_path / "other.wav", duration_s=1.0))
    with pytest.raises(SourceChangedError), trial.run():
        pytest.fail("it was accepted")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav", "other.wav"]


def test_a_refusal_of_the_gate_stays_one_and_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GateError is an OSError: the writer must not take it for one of its disk."""

    def refuse(result: object, limits: object) -> None:
        raise GateError(ErrorCode.LAG, "late by 3")

    monkeypatch.setattr(attempt_module.gate, "check", refuse)
    with pytest.raises(GateError, match="late by 3") as caught:
        attempt(source, tmp_path / "out.wav").run().__enter__()
    assert caught.value.code is ErrorCode.LAG
    assert list(tmp_path.iterdir()) == [source]


def test_the_output_is_refused_before_a_sample_is_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt_module, "run_stream", lambda *a, **k: pytest.fail("work was done"))
    (tmp_path / "file").touch()
    with pytest.raises(SinkError) as caught:
        attempt(source, tmp_path / "file" / "out.wav").run().__enter__()
    assert caught.value.code is ErrorCode.NOT_WRITABLE


def test_an_existing_output_survives_a_failed_attempt(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out.wav").write_bytes(b"the old one")
    damaged = tmp_path / "nan.wav"
    sf.write(damaged, np.full(RATE, np.nan), RATE, subtype="FLOAT")
    with pytest.raises(SourceError) as caught:
        attempt(damaged, tmp_path / "out.wav").run().__enter__()
    assert caught.value.code is ErrorCode.NON_FINITE
    assert (tmp_path / "out.wav").read_bytes() == b"the old one"


def test_a_copy_keeps_bytes_that_could_not_be_encoded_again(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    sf.write(source, np.sin(np.arange(RATE) / 9.0) / 4, RATE, subtype="GSM610")
    trial = attempt(source, tmp_path / "out.wav", preset=None)
    with trial.run() as outcome:
        trial.deliver()
    assert (tmp_path / "out.wav").read_bytes() == source.read_bytes()
    assert outcome.remarks == ()


def siren_in_noise(path: Path) -> Path:
    """Write two tones in noise, which no engine would leave in."""
    siren = alarm("hi_lo", 6.0, RATE, seed=1) + noise("pink", 6.0, RATE, seed=2, level_dbfs=-20.0)
    sf.write(path, siren, RATE)
    return path


@pytest.mark.parametrize(("ridges", "is_restored"), [("off", False), ("default", True)])
def test_ridges_are_given_back_as_the_preset_has_it(
    tmp_path: Path, ridges: str, is_restored: bool
) -> None:
    trial = attempt(siren_in_noise(tmp_path / "in.wav"), None)
    preset = trial.request.preset
    protection = preset.protection.model_copy(update={"ridges": ridges})
    suppression = preset.suppression.model_copy(update={"do_no_harm": False})
    trial.preset = preset.model_copy(update={"protection": protection, "suppression": suppression})
    object.__setattr__(trial.request, "preset", trial.preset)
    with trial.run() as outcome:
        stream = outcome.stream
    assert (stream.ridges_restored_s > 3.0) == is_restored
    assert (0.0 < stream.ridges_restored_share < 0.5) == is_restored


def test_a_canceller_keeps_what_it_took_of_a_tone(tmp_path: Path) -> None:
    source = siren_in_noise(tmp_path / "in.wav")
    with attempt(source, None, reference=source).run() as outcome:
        assert outcome.detector is not None
        assert outcome.detector.ridges is None


def test_protection_may_be_switched_off(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = attempt(source, None)
    preset = trial.request.preset
    bare = preset.model_copy(
        update={"protection": preset.protection.model_copy(update={"enabled": False})}
    )
    monkeypatch.setattr(emergency, "AlarmDetector", lambda *a, **k: pytest.fail("it listens"))
    object.__setattr__(trial.request, "preset", bare)
    with trial.run() as outcome:
        assert (outcome.detector, outcome.events, outcome.stream.protected) == (None, (), ())


def test_without_the_head_of_the_detector_nothing_is_suppressed(
    source: Path, tmp_path: Path
) -> None:
    models = tmp_path / "home" / "models"
    shutil.copytree(shipped_models() / "emergency", models / "emergency")
    bundle = Registry(models).active("emergency")
    assert bundle is not None
    (bundle.path / "trees.npz").write_bytes(b"tampered")
    words = {"settings": Settings(home=tmp_path / "home")}
    trial = attempt(source, tmp_path / "out.wav", **words)
    with trial.run() as outcome:
        trial.deliver()
    (remark,) = outcome.remarks
    assert remark.code is WarningCode.MODEL_UNAVAILABLE
    assert "nothing was suppressed" in remark.message
    np.testing.assert_array_equal(sf.read(tmp_path / "out.wav")[0], sf.read(source)[0])
    whole = attempt(source, None)
    assert trial.request.parameters["emergency_head"] == "refused"
    # Once it is repaired the same recording is worth another session.
    assert trial.request.parameters != whole.request.parameters
