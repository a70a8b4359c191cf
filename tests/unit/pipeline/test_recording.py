"""A recording in, a clean recording and its summary out: what is delivered, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile as sf

import anc_core.pipeline.attempt as attempt_module
import anc_core.pipeline.recording as recording_module
from anc_core.errors import ErrorCode, GateError, InputError, SinkError, SourceError
from anc_core.files import digest_file
from anc_core.pipeline import gate, sidecar
from anc_core.pipeline.recording import ORIGINAL, process_recording
from anc_core.presets import PRESETS, GateParameters, Preset, SuppressionOverrides
from anc_core.records import Metrics, Mode, SessionSummary, Status
from tests.recordings import noisy_voice

RATE = 16_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return noisy_voice(tmp_path / "in.wav", duration_s=3.0)


@pytest.fixture
def sink(tmp_path: Path) -> Path:
    return tmp_path / "out" / "clean.wav"


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".anc-*"))


def add_preset(monkeypatch: pytest.MonkeyPatch, **words: object) -> None:
    """Add the preset ``picky``: the default's sound, limits of its own, then ``gentle``."""
    picky = Preset(name="picky", description="for tests", fallback="gentle", **words)
    monkeypatch.setitem(PRESETS, "picky", picky)


# ------------------------------------------------------------------ what is delivered


def test_noise_goes_the_voice_and_the_length_stay(source: Path, sink: Path) -> None:
    summary = process_recording(source, sink)
    assert (summary.status, summary.preset_used) == (Status.OK, "default")
    assert summary.metrics.cancellation_db is not None
    assert summary.metrics.cancellation_db > 6.0
    assert summary.metrics.residual_lag_samples == 0
    assert sf.info(sink).frames == summary.num_samples == 3 * RATE
    assert summary.output_digest == digest_file(sink)


def test_the_sidecar_is_the_record_and_belongs_to_the_output(source: Path, sink: Path) -> None:
    summary = process_recording(source, sink)
    assert SessionSummary.from_json(Path(str(summary.sidecar_path)).read_bytes()) == summary
    assert sidecar.describes(sink)
    assert summary.source_digest == digest_file(source)
    assert {p.name for p in sink.parent.iterdir()} == {"clean.wav", "clean.wav.json"}


def test_without_an_output_only_the_figures_are_made(source: Path, tmp_path: Path) -> None:
    summary = process_recording(source)
    assert (summary.output_path, summary.output_digest, summary.sidecar_path) == (None, None, None)
    assert summary.metrics.output_rms_dbfs is not None
    assert list(tmp_path.iterdir()) == [source]


def test_chunk_sizes_change_nothing_but_their_number(source: Path, tmp_path: Path) -> None:
    sizes = (8_000, 11_111, 48_000)
    results = [
        process_recording(source, tmp_path / f"{size}.wav", chunk_size=size) for size in sizes
    ]
    assert len({(tmp_path / f"{size}.wav").read_bytes() for size in sizes}) == 1
    assert [r.num_chunks for r in results] == [6, 5, 1]
    assert len({r.fingerprint for r in results}) == 1
    times = {name: None for name in Metrics.model_fields if name.endswith("_s")} | {
        "real_time_factor": None,
        "speed_x": None,
    }
    first, *others = [r.metrics.model_copy(update=times) for r in results]
    assert others == [first, first]
    assert results[0].intervals == results[1].intervals == results[2].intervals


@pytest.mark.parametrize("chunk_size", [7_999, 48_001, 80_001, 0, -8_000])
def test_a_chunk_size_outside_the_limits_is_an_error_that_names_them(
    source: Path, sink: Path, chunk_size: int
) -> None:
    with pytest.raises(InputError, match="8000 to 48000"):  # 0.5 s; 3 s are all there is
        process_recording(source, sink, chunk_size=chunk_size)
    assert not sink.exists()


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_limits_of_chunks_scale_with_the_rate(tmp_path: Path, rate: int) -> None:
    path = noisy_voice(tmp_path / "in.wav", duration_s=6.0, sample_rate=rate)
    assert process_recording(path, chunk_size=rate // 2).num_chunks == 12
    with pytest.raises(InputError, match=f"{rate // 2} to {5 * rate}"):
        process_recording(path, chunk_size=5 * rate + 1)


def test_progress_counts_every_sample_and_may_stop_the_run(source: Path, sink: Path) -> None:
    seen: list[int] = []
    process_recording(source, sink, on_progress=seen.append)
    assert seen == [RATE, 2 * RATE, 3 * RATE]

    def stop(num_samples: int) -> None:
        raise KeyboardInterrupt

    other = sink.with_name("other.wav")
    with pytest.raises(KeyboardInterrupt):
        process_recording(source, other, on_progress=stop)
    assert not other.exists()
    assert leftovers(sink.parent) == []


def test_a_reference_cancels_what_it_heard(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    hum = 0.1 * rng.standard_normal(3 * RATE).astype(np.float32)
    sf.write(tmp_path / "hum.wav", hum, RATE)
    sf.write(tmp_path / "in.wav", np.convolve(hum, [0.5, 0.3, -0.2])[: 3 * RATE], RATE)
    summary = process_recording(
        tmp_path / "in.wav", tmp_path / "out.wav", reference=tmp_path / "hum.wav"
    )
    assert summary.mode is Mode.CANCEL
    assert summary.reference_path == str(tmp_path / "hum.wav")
    last = sf.read(tmp_path / "out.wav")[0][-RATE:]
    # White noise over 3 taps: the filter has settled after 2 s, far below -20 dB.
    assert np.std(last) < 0.1 * np.std(sf.read(tmp_path / "in.wav")[0][-RATE:])


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_a_reference_of_another_length_or_rate_is_no_error(tmp_path: Path, seconds: float) -> None:
    path = noisy_voice(tmp_path / "in.wav", duration_s=2.0)
    hum = tmp_path / "hum.wav"
    rng = np.random.default_rng(3)
    sf.write(hum, 0.1 * rng.standard_normal(int(seconds * 22_050)), 22_050)
    summary = process_recording(path, tmp_path / "out.wav", reference=hum)
    assert summary.status is Status.OK
    assert sf.info(tmp_path / "out.wav").frames == 2 * RATE


def test_a_reference_that_holds_the_voice_does_not_cost_the_voice(source: Path, sink: Path) -> None:
    """The canceller would take the voice away with it: the gate says no, and only once."""
    hum = sink.with_name("hum.wav")
    hum.parent.mkdir()
    hum.write_bytes(source.read_bytes())
    summary = process_recording(source, sink, reference=hum)
    assert (summary.status, summary.preset_used) == (Status.DEGRADED, ORIGINAL)
    assert len(str(summary.reason).split("; ")) == 2  # one refusal, and what was delivered
    assert sink.read_bytes() == source.read_bytes()


# ------------------------------------------------------------------ the input bit for bit


def tagged(path: Path, container: str) -> Path:
    """Write a voice with title and artist to ``path``."""
    audio = sf.read(noisy_voice(path.with_name("plain.wav"), duration_s=2.0))[0]
    with sf.SoundFile(path, "w", RATE, 1, format=container) as file:
        file.title, file.artist = "Interview 7", "Ann"
        file.write(audio)
    return path


@pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3"])
@pytest.mark.parametrize("words", [{"apply_anc": False}, {"preset": "analyse-only"}])
def test_analysis_alone_delivers_the_input_bit_for_bit(
    tmp_path: Path, container: str, words: dict[str, object]
) -> None:
    suffix = container.lower()
    path = tagged(tmp_path / f"in.{suffix}", container)
    with path.open("ab") as file:
        file.write(b"TAG" + b"\0" * 125 if suffix == "mp3" else b"")
    summary = process_recording(path, tmp_path / f"out.{suffix}", **words)
    assert (summary.status, summary.preset_used, summary.apply_anc) == (Status.OK, ORIGINAL, False)
    assert (tmp_path / f"out.{suffix}").read_bytes() == path.read_bytes()
    assert summary.output_digest == summary.source_digest == digest_file(path)
    assert summary.metrics.output_rms_dbfs == summary.metrics.input_rms_dbfs
    assert sidecar.describes(tmp_path / f"out.{suffix}")


def test_a_copy_under_another_suffix_is_converted(tmp_path: Path) -> None:
    path = tagged(tmp_path / "in.wav", "WAV")
    summary = process_recording(path, tmp_path / "out.flac", apply_anc=False)
    assert sf.info(tmp_path / "out.flac").format == "FLAC"
    np.testing.assert_array_equal(
        sf.read(path, dtype="int16")[0], sf.read(tmp_path / "out.flac", dtype="int16")[0]
    )
    assert [remark.code for remark in summary.warnings] == ["CODEC_MISMATCH"]


# ------------------------------------------------------------------ the gate


def test_where_nothing_passes_the_original_is_delivered_bit_for_bit(
    source: Path, sink: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = GateParameters(max_speech_loss_db=1e-9, max_speech_gain_db=1e-9)
    add_preset(monkeypatch, gate=limits)
    summary = process_recording(source, sink, preset="picky")
    assert (summary.status, summary.preset, summary.preset_used) == (
        Status.DEGRADED,
        "picky",
        ORIGINAL,
    )
    assert summary.error_code is ErrorCode.SPEECH_LOSS
    assert str(summary.reason).count("SPEECH_LOSS: speech level changed") == 2  # picky, gentle
    assert str(summary.reason).endswith("delivered with preset 'original'")
    assert sink.read_bytes() == source.read_bytes()
    assert leftovers(sink.parent) == []


@pytest.mark.parametrize("method", [None, "spectral"])
def test_the_gentler_preset_is_delivered_if_it_passes(
    source: Path, sink: Path, monkeypatch: pytest.MonkeyPatch, method: Literal["spectral"] | None
) -> None:
    how = SuppressionOverrides(method=method)

    def loss_db(preset: str) -> float:
        metrics = process_recording(source, preset=preset, suppression=how).metrics
        return -float(metrics.speech_level_change_db or 0)

    losses = {name: loss_db(name) for name in ("default", "gentle")}
    assert losses["gentle"] < losses["default"]
    between = sum(losses.values()) / 2
    add_preset(monkeypatch, gate=GateParameters(max_speech_loss_db=between))
    summary = process_recording(source, sink, preset="picky", suppression=how)
    assert (summary.status, summary.preset_used) == (Status.DEGRADED, "gentle")
    assert str(summary.reason).count("SPEECH_LOSS") == 1
    gentle = sink.with_name("gentle.wav")
    process_recording(source, gentle, preset="gentle", suppression=how)
    assert sink.read_bytes() == gentle.read_bytes()


def test_where_even_the_original_fails_nothing_is_delivered(
    source: Path, sink: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(result: gate.GateInput, limits: GateParameters) -> None:
        raise GateError(ErrorCode.LENGTH, "it came out too short")

    monkeypatch.setattr(attempt_module.gate, "check", refuse)
    with pytest.raises(GateError, match="too short"):
        process_recording(source, sink)
    assert list(sink.parent.iterdir()) == []


def test_the_gate_looks_at_the_file_and_not_at_the_stream(
    source: Path, sink: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that loses samples is found out before its file gets a name."""
    real = attempt_module.AudioWriter.write
    monkeypatch.setattr(
        attempt_module.AudioWriter, "write", lambda writer, chunk: real(writer, chunk[:-1])
    )
    summary = process_recording(source, sink)
    assert (summary.status, summary.error_code) == (Status.DEGRADED, ErrorCode.LENGTH)
    assert sink.read_bytes() == source.read_bytes()


# ------------------------------------------------------------------ what is refused


def test_a_truncated_recording_is_degraded_with_both_lengths(source: Path, sink: Path) -> None:
    source.write_bytes(source.read_bytes()[: 44 + 2 * RATE])
    summary = process_recording(source, sink)
    assert summary.status is Status.DEGRADED
    assert (summary.duration_s, summary.declared_duration_s) == (1.0, 3.0)
    assert summary.error_code is None
    for word in ("TRUNCATED", "1.000 s", "3.000 s"):
        assert word in str(summary.reason)


def test_the_limits_of_the_settings_are_kept(source: Path, sink: Path) -> None:
    from anc_core.settings import Settings

    for words in ({"max_duration_s": 1.0}, {"max_source_bytes": 1_000}):
        with pytest.raises(SourceError, match=r"in\.wav") as caught:
            process_recording(source, sink, settings=Settings(**words))
        assert caught.value.code is ErrorCode.TOO_LONG
    assert not sink.exists()


def test_the_input_is_never_the_output(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(source)
    before = source.read_bytes()
    for sink in (source, tmp_path / "link.wav"):
        with pytest.raises(SinkError) as caught:
            process_recording(source, sink)
        assert caught.value.code is ErrorCode.COLLISION
    assert source.read_bytes() == before


def test_a_sidecar_whose_output_could_not_be_delivered_is_taken_back(
    source: Path, sink: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        recording_module.Attempt,
        "deliver",
        lambda attempt: (_ for _ in ()).throw(SinkError(ErrorCode.NO_SPACE, "full")),
    )
    with pytest.raises(SinkError):
        process_recording(source, sink)
    assert list(sink.parent.iterdir()) == []


def test_times_and_speed_are_told_without_the_warm_up(source: Path) -> None:
    metrics = process_recording(source).metrics
    assert metrics.wall_s is not None
    assert metrics.speed_x is not None
    assert metrics.speed_x == pytest.approx(3.0 / metrics.wall_s, rel=1e-2)  # both are rounded
    stages = [metrics.decode_s, metrics.suppress_s, metrics.measure_s, metrics.encode_s]
    assert all(value is not None and value >= 0 for value in stages)
    assert metrics.warmup_s is not None
