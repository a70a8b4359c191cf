"""Outputs: complete or absent, clamped and counted, 64-bit sizes where they are needed."""

from __future__ import annotations

import errno
import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import AudioFormat, AudioWriter, open_reader, open_writer, wave_sizes
from anc_core.audio.views import SinkView
from anc_core.errors import ErrorCode, InputError, SinkError

WAV = AudioFormat(container="WAV", subtype="PCM_16")


def writer_for(path: Path, audio_format: AudioFormat = WAV, **more: object):
    settings = {"sample_rate": 16_000, "num_channels": 1, "format": audio_format} | more
    return open_writer(path, **settings)


def tone(num_samples: int = 1_000) -> np.ndarray:
    return (0.5 * np.sin(np.arange(num_samples) * 0.1)).astype(np.float32)[:, np.newaxis]


def write_noise(writer: AudioWriter) -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, (16_000, 1)).astype(np.float32)
    for _ in range(20):
        writer.write(noise)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_output_appears_only_when_the_block_ends(tmp_path):
    path = tmp_path / "out.wav"
    with writer_for(path, token="tok") as writer:
        writer.write(tone())
        assert names(tmp_path) == [".anc-tok.part"]
    assert names(tmp_path) == ["out.wav"]
    assert sf.info(str(path)).frames == 1_000


@pytest.mark.parametrize("finished", [False, True])
def test_an_exception_leaves_nothing_and_the_old_output_as_it_was(tmp_path, finished):
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")

    def fail() -> None:
        with writer_for(path) as writer:
            writer.write(tone())
            if finished:
                writer.finish()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == ["out.wav"]
    assert path.read_bytes() == b"old"


def test_a_finished_file_can_be_examined_but_not_written(tmp_path):
    with writer_for(tmp_path / "out.wav") as writer:
        writer.write(tone())
        temp = writer.finish()
        assert temp.name.startswith(".anc-")
        with open_reader(temp) as reader:
            assert sum(len(chunk) for chunk in reader.chunks()) == 1_000
        assert writer.finish() == temp
        with pytest.raises(InputError, match="finished"):
            writer.write(tone())
    assert names(tmp_path) == ["out.wav"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    real_write = SinkView._write_at

    def fill_up(self: SinkView, offset: int, data: bytes) -> None:
        if offset > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_write(self, offset, data)

    monkeypatch.setattr(SinkView, "_write_at", fill_up)
    for container, subtype in (("WAV", "PCM_16"), ("WAV", "PCM_24"), ("FLAC", "PCM_16")):
        path = tmp_path / "out.bin"
        with (
            pytest.raises(SinkError, match=re.escape(str(path))) as caught,
            writer_for(path, AudioFormat(container=container, subtype=subtype)) as writer,
        ):
            write_noise(writer)
        assert caught.value.code is ErrorCode.NO_SPACE
        assert writer.num_samples < 20 * 16_000
        assert names(tmp_path) == []


def test_a_real_full_disk_is_said_and_leaves_nothing(tmp_path):
    # Writing to /dev/full fails as a full disk does, in the kernel.
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with io.FileIO("/dev/full", "w") as full:
        view = SinkView(full)
        assert view.write(b"x" * 10_000) == 0
        assert view.error is not None
        assert view.error.errno == errno.ENOSPC


def test_a_full_disk_found_by_the_sync_is_said(tmp_path, monkeypatch):
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SinkError) as caught, writer_for(tmp_path / "out.wav") as writer:
        writer.write(tone())
    assert caught.value.code is ErrorCode.NO_SPACE
    assert names(tmp_path) == []


def test_integers_are_clamped_and_counted_never_wrapped(tmp_path):
    path = tmp_path / "out.wav"
    with writer_for(path) as writer:
        writer.write(np.array([[1.5], [-1.5], [0.5]], np.float32))
        writer.write(np.array([[2.0]], np.float32))
    assert writer.clipped_samples == 3
    values, _ = sf.read(str(path), dtype="int16")
    assert values.tolist() == [32_767, -32_768, 16_384, 32_767]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(tmp_path, bad):
    chunk = tone()
    chunk[500] = bad
    with pytest.raises(InputError, match="NaN or infinite"), writer_for(tmp_path / "a") as writer:
        writer.write(chunk)
    assert names(tmp_path) == []


def test_a_chunk_of_another_shape_is_refused_and_an_empty_one_is_nothing(tmp_path):
    with writer_for(tmp_path / "a.wav") as writer:
        writer.write(np.zeros((0, 1), np.float32))
        with pytest.raises(InputError, match="shape"):
            writer.write(np.zeros((10, 2), np.float32))
        writer.write(tone())
    assert writer.num_samples == 1_000


def test_what_a_container_cannot_hold_is_said_with_the_cure(tmp_path):
    many = {"num_channels": 9, "audio_format": AudioFormat(container="FLAC", subtype="PCM_16")}
    odd = {"sample_rate": 11_025, "audio_format": AudioFormat(container="OGG", subtype="OPUS")}
    for settings in (many, odd):
        with (
            pytest.raises(SinkError, match=r"name the output \.wav") as caught,
            writer_for(tmp_path / "a", **settings),
        ):
            pytest.fail("the work was begun")
        assert caught.value.code is ErrorCode.NOT_WRITABLE
    assert names(tmp_path) == []


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_becomes_rf64_only_beyond_the_limit(tmp_path, monkeypatch, container, subtype):
    monkeypatch.setattr(wave_sizes, "MAX_RIFF_BYTES", 3_000)
    width = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    for num_samples, is_64 in ((2_400 // width, False), (3_001 // width, True)):
        path = tmp_path / "out.wav"
        audio = np.full((num_samples, 1), 0.25, np.float32)
        with writer_for(path, AudioFormat(container=container, subtype=subtype)) as writer:
            writer.write(audio)
        assert (path.read_bytes()[:4] == b"RF64") is is_64
        if is_64:
            continue  # the 32-bit sizes hold the lowered limit; read back below
        assert struct.unpack("<I", path.read_bytes()[4:8])[0] == path.stat().st_size - 8
        assert sf.info(str(path)).format == container


def test_rf64_has_its_true_sizes_in_ds64(tmp_path):
    path = tmp_path / "out.wav"
    audio = np.full((1_001, 3), 0.25, np.float32)
    rf64 = AudioFormat(container="RF64", subtype="PCM_24")
    with writer_for(path, rf64, num_channels=3, num_samples_hint=1_001) as writer:
        writer.write(audio)
    data = path.read_bytes()
    assert data[:4] + data[8:16] == b"RF64WAVEds64"
    riff_size, data_size, num_samples = struct.unpack_from("<QQQ", data, 20)
    assert riff_size == len(data) - 8
    assert data_size == 1_001 * 9
    assert num_samples == 1_001
    # An independent reader agrees.
    values, _ = sf.read(str(path), dtype="float32")
    assert np.array_equal(values, audio)


def test_room_for_64_bit_sizes_is_kept_where_the_length_is_long_or_unknown():
    hour = 3_600 * 48_000
    assert wave_sizes.plan(WAV, 2, hour) is None
    assert wave_sizes.plan(WAV, 2, 7 * hour) is not None  # 4.8 GB
    assert wave_sizes.plan(WAV, 2, None) is not None
    assert wave_sizes.plan(AudioFormat(container="W64", subtype="PCM_16"), 2, None) is None


def test_memory_does_not_grow_with_the_length(tmp_path):
    tracemalloc = pytest.importorskip("tracemalloc")
    chunk = np.zeros((16_000, 1), np.float32)
    with writer_for(tmp_path / "a.wav") as writer:
        writer.write(chunk)
        tracemalloc.start()
        for _ in range(300):
            writer.write(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1_000_000  # 300 chunks are 19 MB of floats
