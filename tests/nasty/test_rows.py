"""The table of bad inputs (specification, section 2) through the job layer: a test for each row.

Every recording goes through ``run_recording`` or the steps of ``run_batch``: status, code, message,
the session's row, the output or its absence, and no temporary file are looked at together.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import anc_core.jobs.plan as plan_module
from anc_core.errors import ErrorCode, InputError, SinkError, SourceChangedError, WarningCode
from anc_core.files import digest_file
from anc_core.jobs.direct import run_batch
from anc_core.jobs.plan import BatchRequest
from anc_core.jobs.records import BatchSummary
from anc_core.pipeline import sidecar
from anc_core.records import Mode, SessionSummary, Status
from anc_core.settings import Settings
from anc_core.windows import SILENCE, UNKNOWN
from tests.nasty import files
from tests.nasty.bench import Bench, all_finite, same_shape, samples
from tests.nasty.files import RATE
from tests.recordings import noisy_voice


def codes(summary: SessionSummary) -> set[WarningCode]:
    return {remark.code for remark in summary.warnings}


def assert_stored(bench: Bench, summary: SessionSummary) -> None:
    """The store holds what was returned."""
    stored = bench.session(summary.session_id)
    assert (stored.status, stored.error_code, stored.error_message) == (
        summary.status,
        summary.error_code,
        summary.error_message,
    )
    assert stored.metrics == summary.metrics
    assert stored.output_path == summary.output_path


# ------------------------------------------------------------------ refused: rows 1 2 10 14 16


@dataclass(frozen=True)
class Refused:
    """A recording that cannot be processed, and what must be said of it."""

    name: str
    make: files.Make
    code: ErrorCode
    words: tuple[str, ...]
    status: Status = Status.FAILED


REFUSED = {
    "row 1: 0 bytes": Refused("x.wav", files.empty, ErrorCode.EMPTY_FILE, ("0 bytes",)),
    "row 2: no frames": Refused(
        "x.wav", files.no_frames, ErrorCode.NO_AUDIO, ("no samples",), Status.SKIPPED
    ),
    "row 2: no frames, AIFF": Refused(
        "x.aiff", files.no_frames, ErrorCode.NO_AUDIO, ("no samples",), Status.SKIPPED
    ),
    "row 10: 0.2 % NaN": Refused(
        "x.wav", files.with_non_finite(32), ErrorCode.NON_FINITE, ("32 of 16000", "export")
    ),
    "row 14: 0 channels": Refused(
        "x.wav", files.header_field(22, "<H", 0), ErrorCode.BAD_CHANNELS, ("0 channels",)
    ),
    "row 13: 0 Hz": Refused(
        "x.wav", files.header_field(24, "<I", 0), ErrorCode.BAD_SAMPLE_RATE, ("0 Hz",)
    ),
    "row 16: HTML as MP3": Refused("x.mp3", files.html, ErrorCode.NOT_AUDIO, ()),
    "row 16: ZIP as MP3": Refused("x.mp3", files.archive, ErrorCode.NOT_AUDIO, ()),
    "row 16: text as MP3": Refused("x.mp3", files.text, ErrorCode.NOT_AUDIO, ()),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_ends_once_with_its_code_and_a_helpful_message(
    bench: Bench, case: Refused
) -> None:
    source = case.make(bench.inputs / case.name)
    before = source.read_bytes()

    summary = bench.run(source)
    assert (summary.status, summary.error_code) == (case.status, case.code)
    assert summary.error_message is not None
    for word in (case.name, *case.words):
        assert word in summary.error_message
    assert summary.output_path is None
    assert bench.delivered() == bench.leftovers() == []
    assert source.read_bytes() == before
    assert_stored(bench, summary)

    again = bench.run(source)
    assert (again.status, again.error_code) == (case.status, case.code)
    assert again.session_id == summary.session_id
    assert len(bench.sessions()) == 1


def test_a_batch_goes_on_past_every_one_of_them(bench: Bench) -> None:
    for number, case in enumerate(REFUSED.values()):
        case.make(bench.inputs / f"{number}{Path(case.name).suffix}")
    files.good(bench.inputs / "good.wav")

    summary = bench.batch()
    skipped = sum(case.status is Status.SKIPPED for case in REFUSED.values())
    failed = len(REFUSED) - skipped
    # Both files without frames and both 0-byte ones differ in format or content: none is a twin.
    assert (summary.planned, summary.ok) == (len(REFUSED) + 1, 1)
    assert (summary.skipped, summary.failed) == (skipped, failed)
    assert {line.error_code for line in summary.failures} == {
        case.code for case in REFUSED.values() if case.status is Status.FAILED
    }
    assert bench.delivered() == ["good.wav"]
    assert bench.leftovers() == []


# ------------------------------------------------------------------ odd: rows 3 4 5 8 9 10 11


@pytest.mark.parametrize("num_samples", [1, 2, 100, 511, 513])
def test_row_3_shorter_than_a_frame(bench: Bench, num_samples: int) -> None:
    source = files.short(num_samples)(bench.inputs / "x.wav")
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert same_shape(bench.outputs / "x.wav", source)
    assert summary.metrics.cancellation_db is None
    assert summary.metrics.null_reasons["cancellation_db"]
    assert summary.events == ()
    assert {window.noise_type for window in summary.windows} <= {UNKNOWN, SILENCE}
    assert all_finite(summary)
    assert_stored(bench, summary)


def test_row_4_truncated_is_delivered_and_says_both_lengths(bench: Bench) -> None:
    source = files.truncated(bench.inputs / "x.wav")
    summary = bench.run(source)
    assert summary.status is Status.DEGRADED
    assert WarningCode.TRUNCATED in codes(summary)
    assert "TRUNCATED" in str(summary.reason)
    assert (summary.duration_s, summary.declared_duration_s) == (0.5, 1.0)
    assert "0.500 s" in str(summary.reason)
    assert "1.000 s" in str(summary.reason)
    assert sf.info(bench.outputs / "x.wav").frames == RATE // 2
    assert_stored(bench, summary)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_row_5_sizes_that_were_never_filled_in(bench: Bench, size: int) -> None:
    source = files.streamed(size)(bench.inputs / "x.wav")
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert codes(summary) == {WarningCode.HEADER_REPAIRED}
    assert str(size) in summary.warnings[0].message
    info = sf.info(bench.outputs / "x.wav")
    assert (info.frames, info.samplerate, info.subtype) == (RATE, RATE, "PCM_16")


KEPT = [
    *(("WAV", s) for s in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")),
    ("WAVEX", "PCM_24"),
    ("FLAC", "PCM_24"),
]


@pytest.mark.parametrize(("container", "subtype"), KEPT)
def test_row_8_sample_formats_come_back_as_they_were(
    bench: Bench, container: str, subtype: str
) -> None:
    name = "x.flac" if container == "FLAC" else "x.wav"
    source = files.coded(subtype, container)(bench.inputs / name)
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert codes(summary) <= {WarningCode.CLIPPED}  # coarse 8-bit codes may reach full scale
    assert same_shape(bench.outputs / name, source)


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM"])
def test_row_8_what_cannot_be_written_becomes_pcm_with_a_warning(
    bench: Bench, subtype: str
) -> None:
    source = files.coded(subtype)(bench.inputs / "x.wav")
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert WarningCode.CODEC_MISMATCH in codes(summary)
    info = sf.info(bench.outputs / "x.wav")
    assert (info.frames, info.samplerate) == (summary.num_samples, RATE)
    assert info.subtype == "PCM_16"


def loud_voice(path: Path) -> Path:
    voice = samples(noisy_voice(path, duration_s=1.5, subtype="FLOAT"))
    sf.write(path, voice * (1.6 / np.abs(voice).max()), RATE, subtype="FLOAT")
    return path


def test_row_9_above_full_scale_stays_there_in_float(bench: Bench) -> None:
    source = loud_voice(bench.inputs / "x.wav")
    summary = bench.run(source)
    output = samples(bench.outputs / "x.wav")
    assert summary.status is Status.OK
    assert np.abs(output).max() > 1.2  # the voice loses less than 1 dB where it is loudest
    assert summary.metrics.clipped_samples_out == 0


def test_row_9_integers_clamp_and_count_and_never_wrap(bench: Bench) -> None:
    source = loud_voice(bench.inputs / "x.wav")
    summary = bench.run(source, bench.outputs / "x.flac", apply_anc=False)
    original, output = samples(source), samples(bench.outputs / "x.flac")
    above = int(np.count_nonzero((original >= 1.0) | (original < -1.0)))
    assert summary.metrics.clipped_samples_out == above > 0
    # 24 bits: half a step of rounding, and full scale lies one step below +1.
    np.testing.assert_allclose(output, np.clip(original, -1.0, 1.0), atol=2.0**-22)


def test_row_10_a_few_non_finite_samples_are_mended_and_counted(bench: Bench) -> None:
    source = files.with_non_finite(12)(bench.inputs / "x.wav")  # 0.075 %
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert summary.metrics.non_finite_samples == 12
    assert WarningCode.NON_FINITE_REPAIRED in codes(summary)
    assert np.isfinite(samples(bench.outputs / "x.wav")).all()
    assert all_finite(summary)


def test_row_11_silence_stays_silence(bench: Bench) -> None:
    source = bench.inputs / "x.wav"
    sf.write(source, np.zeros((2 * RATE, 2)), RATE)
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert not samples(bench.outputs / "x.wav").any()
    metrics = summary.metrics
    figures = (metrics.input_rms_dbfs, metrics.output_rms_dbfs, metrics.cancellation_db)
    assert figures == (None, None, None)
    assert all_finite(summary)


def test_row_11_denormals_cost_no_more_than_noise(bench: Bench) -> None:
    usual, tiny = bench.inputs / "usual.wav", bench.inputs / "tiny.wav"
    audio = files.noise(20 * RATE)
    sf.write(usual, audio, RATE, subtype="FLOAT")
    sf.write(tiny, audio * np.float32(1e-39), RATE, subtype="FLOAT")
    assert 0 < np.abs(samples(tiny)).max() < np.finfo(np.float32).tiny
    bench.run(files.good(bench.inputs / "warm.wav"))  # kernels are loaded

    def cpu_s(source: Path) -> float:
        started = time.process_time()
        summary = bench.run(source)
        assert summary.status is Status.OK
        assert all_finite(summary)
        return time.process_time() - started

    # Denormals in slow paths cost 10 to 100 times as much; 4 leaves room for a loaded machine.
    assert cpu_s(tiny) < 4 * cpu_s(usual)
    assert np.isfinite(samples(bench.outputs / "tiny.wav")).all()


# ------------------------------------------------------------------ rows 12 and 14


def test_row_12_dc_offset_is_flagged_and_measured(bench: Bench) -> None:
    source = bench.inputs / "x.wav"
    voice = samples(noisy_voice(source, duration_s=2.0))
    sf.write(source, 0.4 * voice / np.abs(voice).max() + 0.5, RATE, subtype="PCM_24")
    summary = bench.run(source)
    assert WarningCode.DC_OFFSET in codes(summary)
    # The voice itself is free of DC to 0.01, which is the bound of the flag.
    assert summary.metrics.dc_offset[0] == pytest.approx(0.5, abs=0.01)
    assert all_finite(summary)
    assert same_shape(bench.outputs / "x.wav", source)


def test_row_12_a_square_at_full_scale_is_flagged_as_clipped(bench: Bench) -> None:
    source = bench.inputs / "x.wav"
    square = np.where(np.arange(2 * RATE) // 20 % 2, 32_767, -32_768).astype(np.int16)
    sf.write(source, square, RATE)
    summary = bench.run(source)
    assert WarningCode.CLIPPED in codes(summary)
    assert summary.metrics.clipped_samples_in > RATE
    assert all_finite(summary)
    assert same_shape(bench.outputs / "x.wav", source)


@pytest.mark.parametrize("num_channels", [8, 64])
def test_row_14_many_channels_stay_many(bench: Bench, num_channels: int) -> None:
    source = bench.inputs / "x.wav"
    sf.write(source, files.noise(RATE, num_channels), RATE)
    summary = bench.run(source)
    assert (summary.status, summary.num_channels) == (Status.OK, num_channels)
    assert same_shape(bench.outputs / "x.wav", source)


def test_row_14_dual_mono_stays_dual_mono_and_inverted_stays_inverted(bench: Bench) -> None:
    mono = samples(noisy_voice(bench.inputs / "mono.wav", duration_s=2.0))
    source = bench.inputs / "x.wav"
    sf.write(source, np.hstack([mono, mono, -mono]), RATE, subtype="FLOAT")
    bench.run(source)
    left, right, inverted = samples(bench.outputs / "x.wav").T
    np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(left, -inverted)
    assert np.abs(left).max() > 0.1  # a downmix would have left nothing


def test_row_14_a_dead_channel_is_flagged_and_stays_dead(bench: Bench) -> None:
    source = bench.inputs / "x.wav"
    live = samples(noisy_voice(source, duration_s=2.0))
    sf.write(source, np.hstack([live, np.zeros_like(live)]), RATE)
    summary = bench.run(source)
    assert WarningCode.DEAD_CHANNEL in codes(summary)
    assert not samples(bench.outputs / "x.wav")[:, 1].any()
    assert samples(bench.outputs / "x.wav")[:, 0].any()


# ------------------------------------------------------------------ rows 16 22


def test_row_16_an_mp3_that_is_called_wav_works_with_a_warning(bench: Bench) -> None:
    source = files.mp3_named(bench.inputs / "x.wav")
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert (summary.container, WarningCode.CODEC_MISMATCH in codes(summary)) == ("MP3", True)
    assert any(".wav" in remark.message for remark in summary.warnings)
    assert sf.info(bench.outputs / "x.wav").frames == summary.num_samples


def test_row_22_a_loop_of_links_ends_and_counts_nothing_twice(bench: Bench) -> None:
    files.good(bench.inputs / "deep" / "x.wav")
    (bench.inputs / "deep" / "up").symlink_to(bench.inputs, target_is_directory=True)
    (bench.inputs / "self.wav").symlink_to(bench.inputs / "self.wav")

    summary = bench.batch(bench.inputs, bench.inputs / "self.wav", bench.inputs / "self.wav")
    assert (summary.planned, summary.ok, summary.failed) == (4, 1, 1)
    assert summary.failures[0].error_code is ErrorCode.NOT_FOUND
    assert "self.wav" in str(summary.failures[0].error_message)
    assert bench.delivered() == ["deep/x.wav"]


def test_row_22_outside_the_allowed_folders_nothing_is_read(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path / "bench", allowed_roots=(tmp_path / "bench",))
    outside = files.good(tmp_path / "outside.wav")
    link = bench.inputs / "link.wav"
    link.symlink_to(outside)
    inside = files.good(bench.inputs / "inside.wav")

    for summary in (
        bench.run(link),
        bench.run(inside, tmp_path / "elsewhere" / "x.wav"),
        bench.run(inside, bench.outputs / "x.wav", reference=outside),
    ):
        assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.PERMISSION)
        assert "ANC_ALLOWED_ROOTS" in str(summary.error_message)
    assert not (tmp_path / "elsewhere").exists()
    assert bench.delivered() == []
    assert bench.batch().ok == 1
    assert bench.delivered() == ["inside.wav"]


@pytest.mark.parametrize("kind", ["same path", "symlink", "hardlink"])
def test_row_22_the_output_may_not_be_the_input(bench: Bench, kind: str) -> None:
    source = files.good(bench.inputs / "x.wav")
    before = source.read_bytes()
    sink = source if kind == "same path" else bench.inputs / "alias.wav"
    if kind == "symlink":
        sink.symlink_to(source)
    elif kind == "hardlink":
        sink.hardlink_to(source)
    for overwrite in ("skip", "replace"):
        summary = bench.run(source, sink, overwrite=overwrite)
        assert (summary.status, summary.error_code) == (Status.FAILED, ErrorCode.COLLISION)
        assert str(sink) in str(summary.error_message)
    assert source.read_bytes() == before
    assert bench.leftovers() == []


# ------------------------------------------------------------------ rows 23 24 25 27


def test_row_23_the_same_path_counts_once_and_the_same_content_is_processed_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = files.good(bench.inputs / "a.wav")
    (bench.inputs / "twin.wav").write_bytes(source.read_bytes())
    monkeypatch.chdir(bench.inputs)
    summary = bench.batch("a.wav", "./a.wav", "*.wav", str(bench.inputs))
    assert (summary.ok, summary.failed, summary.skipped) == (1, 0, 0)
    # named, dotted, by the pattern (2), by the folder (2) = 6 words for 2 files
    assert (summary.planned, summary.duplicates) == (6, 5)
    assert bench.delivered() == ["a.wav", "twin.wav"]
    assert (bench.outputs / "twin.wav").samefile(bench.outputs / "a.wav")
    assert len(bench.sessions()) == 1


def test_row_24_equal_names_in_two_folders_keep_their_folders(bench: Bench) -> None:
    noisy_voice(bench.inputs / "a" / "x.wav", duration_s=1.0, seed=1)
    noisy_voice(bench.inputs / "b" / "x.wav", duration_s=1.0, seed=2)
    assert bench.batch().ok == 2
    assert bench.delivered() == ["a/x.wav", "b/x.wav"]


def test_row_24_two_sources_of_one_output_are_refused_before_anything_starts(
    bench: Bench,
) -> None:
    files.good(bench.inputs / "x.wav")
    files.coded("PCM_16", "VOC")(bench.inputs / "x.voc")  # VOC is not written: it becomes x.wav
    with pytest.raises(SinkError, match="rename one") as caught:
        bench.batch()
    assert caught.value.code is ErrorCode.COLLISION
    assert "x.wav" in str(caught.value)
    assert "x.voc" in str(caught.value)
    assert bench.sessions() == []
    assert not bench.outputs.exists()


def test_row_24_names_that_differ_in_case_collide_where_the_disk_is_blind_to_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy_voice(bench.inputs / "x.wav", duration_s=1.0, seed=1)
    noisy_voice(bench.inputs / "X.wav", duration_s=1.0, seed=2)
    if len(list(bench.inputs.iterdir())) < 2:
        pytest.skip("this disk is blind to case: the two names are one file")
    with monkeypatch.context() as patch:
        patch.setattr(plan_module, "is_case_blind", lambda folder: True)
        with pytest.raises(SinkError, match=r"X\.wav and .*x\.wav"):
            bench.batch()
    assert bench.batch().ok == 2


NAMES = {
    "NFC": "caf\u00e9.wav",
    "NFD": "cafe\u0301.wav",
    "emoji": "\U0001f6a8 alarm \U0001f468\u200d\U0001f692.wav",
    "right to left": "\u202egnp.\u05e9\u05dc\u05d5\u05dd.wav",
    "Korean": "\ub179\uc74c \ud30c\uc77c.wav",
    "quotes and spaces": ' it\'s "a" `test` $HOME %s ; DROP TABLE.wav',
    "newline": "two\nlines.wav",
    "leading dash": "-rf.wav",
    "255 bytes": "n" * 251 + ".wav",
    "255 bytes of three each": "\uac00" * 83 + "ab.wav",
    "undecodable": os.fsdecode(b"caf\xe9\xff.wav"),
    "ANSI and formula": "=HYPERLINK(1)\x1b[31m<script>.wav",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_rows_25_and_28_any_name_works(bench: Bench, name: str) -> None:
    # libsndfile's binding takes no undecodable name: the file gets it afterwards.
    source = files.good(bench.inputs / "plain.wav").rename(bench.inputs / name)
    first = bench.batch()
    assert (first.ok, first.failed) == (1, 0), first.failures
    assert bench.delivered() == [name]
    with (bench.outputs / name).open("rb") as output:
        info = sf.info(output)
    assert (info.frames, info.samplerate, info.subtype) == (RATE * 3 // 2, RATE, "PCM_16")
    assert first.results[0].source_path == str(source)
    assert type(first).from_json(first.to_json()) == first
    [session] = bench.sessions()
    assert session.source_path == str(source)
    assert bench.batch().skipped == 1
    assert bench.leftovers() == []


HOSTILE_IDS = {
    "path": "../../etc/x",
    "absolute": "/etc/x",
    "NUL": "a\0b",
    "device": "CON",
    "10 kB": "x" * 10_000,
    "dots": "..",
    "empty": "",
    "formula": "=1+1",
    "SQL": "x'; DROP TABLE audio_sessions; --",
}


@pytest.mark.parametrize("session_id", HOSTILE_IDS.values(), ids=HOSTILE_IDS.keys())
def test_row_27_a_hostile_id_is_rejected_before_any_path_is_made(
    bench: Bench, session_id: str
) -> None:
    source = files.good(bench.inputs / "x.wav")
    with pytest.raises(InputError, match="session_id") as caught:
        bench.run(source, session_id=session_id)
    assert len(str(caught.value)) < 400
    with pytest.raises(InputError, match="batch_id"):
        bench.batch(batch_id=session_id)
    assert not bench.outputs.exists()
    assert bench.sessions() == []


# ------------------------------------------------------------------ rows 29 31


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0" * 3200)


def replace_by_another(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("change", [grow, replace_by_another, Path.unlink])
def test_row_29_a_file_that_changes_while_read_is_left_for_later(bench: Bench, change) -> None:
    source = files.good(bench.inputs / "x.wav")
    before = source.read_bytes()
    pending = [source]

    def meddle(num_samples: int) -> None:
        if pending:
            change(pending.pop())

    with pytest.raises(SourceChangedError, match=r"x\.wav") as caught:
        bench.run(source, on_progress=meddle)
    assert caught.value.code is ErrorCode.CHANGED_DURING_READ
    assert bench.delivered() == bench.leftovers() == []
    [row] = bench.sessions()
    assert (row.status, row.error_code) == (Status.FAILED, ErrorCode.CHANGED_DURING_READ)

    source.write_bytes(before)  # at rest again
    assert bench.run(source).status is Status.OK


def test_row_31_missing_folders_are_made(bench: Bench) -> None:
    files.good(bench.inputs / "x.wav")
    assert bench.batch(output_dir=bench.folder / "a" / "b" / "c").ok == 1
    assert (bench.folder / "a" / "b" / "c" / "x.wav").is_file()


@pytest.mark.parametrize("where", ["below a file", "is a file", "below /proc"])
def test_row_31_a_folder_that_cannot_be_is_refused_before_any_work(
    bench: Bench, where: str
) -> None:
    files.good(bench.inputs / "x.wav")
    blocker = bench.folder / "blocker"
    blocker.touch()
    if where == "below /proc" and not Path("/proc/self").exists():
        pytest.skip("no /proc here: no folder that refuses even root")
    places = {
        "below a file": blocker / "out",
        "is a file": blocker,
        "below /proc": Path("/proc/anc-out"),
    }
    output_dir = places[where]
    with pytest.raises(SinkError) as caught:
        bench.batch(output_dir=output_dir)
    assert caught.value.code is ErrorCode.NOT_WRITABLE
    assert str(output_dir) in str(caught.value)
    assert bench.sessions() == []

    single = bench.run(bench.inputs / "x.wav", output_dir / "x.wav")
    assert (single.status, single.error_code) == (Status.FAILED, ErrorCode.NOT_WRITABLE)
    assert str(output_dir) in str(single.error_message)


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, ErrorCode.NO_SPACE), (errno.EROFS, ErrorCode.NOT_WRITABLE)]
)
def test_rows_31_and_32_what_the_disk_refuses_at_the_rename_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, code: ErrorCode
) -> None:
    source = files.good(bench.inputs / "x.wav")
    real = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if Path(target).suffix == ".wav":
            raise OSError(number, os.strerror(number))
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        summary = bench.run(source)
    assert (summary.status, summary.error_code) == (Status.FAILED, code)
    assert "x.wav" in str(summary.error_message)
    assert list(bench.outputs.iterdir()) == []
    assert_stored(bench, summary)
    assert bench.run(source).status is Status.OK  # nothing stands in the way of the next run


# ------------------------------------------------------------------ row 37


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ({"preset": "loud"}, "call-centre"),
        ({"mode": "magic"}, "suppress"),
        ({"mode": Mode.CANCEL}, "reference"),
        ({"overwrite": "ask"}, "replace"),
        ({"chunk_size": -1}, "8000"),
        ({"chunk_size": 0}, "8000"),
        ({"chunk_size": 10**12}, "24000"),
    ],
)
def test_row_37_a_wrong_word_is_refused_with_what_is_allowed(
    bench: Bench, words: dict[str, object], allowed: str
) -> None:
    source = files.good(bench.inputs / "x.wav")
    with pytest.raises(InputError, match=allowed):
        bench.run(source, **words)
    assert not bench.outputs.exists() or list(bench.outputs.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ({"preset": "loud"}, "call-centre"),
        ({"mode": "magic"}, "suppress"),
        ({"overwrite": "ask; DROP"}, "replace"),
        ({"duplicates": "maybe"}, "link, skip, process"),
    ],
)
def test_row_37_a_wrong_word_of_a_batch_is_refused_with_what_is_allowed(
    bench: Bench, words: dict[str, str], allowed: str
) -> None:
    with pytest.raises(InputError, match=allowed):
        bench.batch(**words)
    assert not bench.outputs.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("workers", -1), ("max_duration_s", float("nan")), ("retries", "10; DROP"), ("shard_s", 1e99)],
)
def test_row_37_settings_out_of_range_name_themselves(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name):
        Settings.load(**{name: value})


# ------------------------------------------------------------------ real processes: row 34


def test_bad_and_good_through_worker_processes(bench: Bench) -> None:
    """One run with the real pool: what the other tests do in this process holds there, too."""
    files.good(bench.inputs / "good.wav")
    files.empty(bench.inputs / "empty.wav")
    files.html(bench.inputs / "page.mp3")
    files.truncated(bench.inputs / "half.wav")
    files.no_frames(bench.inputs / "nothing.wav")
    files.header_field(24, "<I", 4_000_000_000)(bench.inputs / "fast.wav")
    request = BatchRequest(inputs=(bench.inputs,), output_dir=bench.outputs)
    summary = run_batch(request, database=bench.database, settings=bench.settings)
    counts = (summary.ok, summary.degraded, summary.skipped, summary.failed)
    assert (summary.planned, *counts) == (6, 1, 1, 1, 3)
    assert {Path(line.source_path).name: line.error_code for line in summary.failures} == {
        "empty.wav": ErrorCode.EMPTY_FILE,
        "page.mp3": ErrorCode.NOT_AUDIO,
        "fast.wav": ErrorCode.BAD_SAMPLE_RATE,
    }
    assert bench.delivered() == ["good.wav", "half.wav"]
    assert bench.leftovers() == []
    assert len(bench.sessions()) == 6


def anc(bench: Bench, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``anc`` on the bench's store."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows", *map(str, words)],
        env={
            **os.environ,
            "ANC_DATABASE_URL": bench.settings.resolved_database_url,
            "ANC_RETRY_DELAY_S": "0",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def test_row_34_two_batches_on_one_folder_do_everything_once(bench: Bench) -> None:
    num_files = 6
    for number in range(num_files):
        noisy_voice(bench.inputs / f"{number}.wav", duration_s=4.0, seed=number)
    command = ("batch", bench.inputs, "-o", bench.outputs, "--json", "--workers", "1")
    both = [anc(bench, *command), anc(bench, *command)]
    answers = [answer(process) for process in both]
    assert [code for code, _, _ in answers] == [0, 0], answers
    summaries = [BatchSummary.from_json(out) for _, out, _ in answers]
    for summary in summaries:
        assert summary.planned == summary.ok + summary.skipped == num_files
    assert sum(summary.ok for summary in summaries) == num_files
    assert bench.delivered() == [f"{number}.wav" for number in range(num_files)]
    assert bench.leftovers() == []
    sessions = bench.sessions()
    assert len(sessions) == num_files
    for session in sessions:
        assert session.status is Status.OK
        assert digest_file(str(session.output_path)) == session.output_digest
        assert sidecar.describes(Path(str(session.output_path)))


@dataclass(frozen=True)
class Called:
    """A recording, and how ``anc process`` ends on it."""

    name: str
    make: files.Make
    code: int
    status: str
    words: tuple[str, ...] = ()


CALLED = {
    "row 1": Called("x.wav", files.empty, 1, "failed"),
    "row 4": Called("x.wav", files.truncated, 0, "degraded"),
    "row 25": Called("-r \u202e\n\x1b[31mf.wav", files.good, 0, "ok"),
    "row 27": Called("x.wav", files.good, 2, "", ("--session-id", "../../etc/x")),
}


@pytest.mark.parametrize("case", CALLED.values(), ids=CALLED.keys())
def test_the_command_line_answers_in_json_and_nothing_else(bench: Bench, case: Called) -> None:
    source = case.make(bench.inputs / case.name)
    code, out, err = answer(
        anc(bench, "process", "-o", bench.outputs, "--json", *case.words, "--", source)
    )
    assert code == case.code, err
    assert "Traceback" not in err
    if case.status:
        summary = SessionSummary.from_json(out)
        assert summary.status == case.status
        assert summary == bench.session(summary.session_id)
    else:
        assert out == ""
        assert "session_id" in err
    assert bench.leftovers() == []
