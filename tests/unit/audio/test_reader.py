"""A recording as chunks: all of it, once, in the size that was asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import AudioFormat, open_reader
from anc_core.errors import ErrorCode, InputError, SourceError

PCM = np.random.default_rng(2).integers(-(2**15), 2**15, (40_001, 2)).astype(np.int16)


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "a.wav"
    sf.write(path, PCM, 16_000, "PCM_16")
    return path


def test_an_open_recording_says_what_it_is(path):
    with open_reader(path) as reader:
        assert reader.path == path
        assert (reader.sample_rate, reader.num_channels) == (16_000, 2)
        assert reader.format == AudioFormat(container="WAV", subtype="PCM_16")
        assert reader.declared_num_samples == len(PCM)
        assert reader.num_samples == 0
        assert reader.chunk_size == 16_000
        list(reader.chunks())
        assert reader.num_samples == len(PCM)
        assert reader.non_finite_samples == 0
        assert reader.remarks == ()


@pytest.mark.parametrize("chunk_size", [1_000, 16_000, 40_000, 40_001, 80_000])
def test_chunks_are_exactly_of_the_size_but_the_last(path, chunk_size):
    with open_reader(path, chunk_size=chunk_size) as reader:
        chunks = list(reader.chunks())
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_size] * (
        len(PCM) // chunk_size - (len(PCM) % chunk_size == 0)
    )
    assert all(chunk.dtype == np.float32 and chunk.flags.c_contiguous for chunk in chunks)
    assert np.array_equal(np.concatenate(chunks), PCM / np.float32(2**15))


def test_a_recording_is_read_once_from_where_it_was_left(path):
    with open_reader(path) as reader:
        first = next(reader.chunks(8_000))
        assert len(first) == 8_000
        list(reader.chunks(8_000))
        assert list(reader.chunks(8_000)) == []


def test_chunks_may_be_changed_by_who_gets_them(path):
    with open_reader(path) as reader:
        for chunk in reader.chunks(999):
            chunk[:] = 0.0
    with open_reader(path) as reader:
        assert np.array_equal(np.concatenate(list(reader.chunks())), PCM / np.float32(2**15))


def test_a_size_below_one_is_refused(path):
    with open_reader(path) as reader, pytest.raises(InputError):
        reader.chunks(0)


def test_a_missing_file_is_said_by_name(tmp_path):
    with (
        pytest.raises(SourceError, match=r"none\.wav") as caught,
        open_reader(tmp_path / "none.wav"),
    ):
        pytest.fail("it was opened")
    assert caught.value.code is ErrorCode.NOT_FOUND


def test_importing_the_package_loads_no_codec():
    code = (
        "import sys, anc_core.audio, anc_core.files;"
        "from anc_core.audio import open_reader, open_writer, StreamResampler;"
        "heavy = {'soundfile', 'av', 'soxr', 'scipy', 'numba'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


CHANNELS_PCM = np.random.default_rng(5).integers(-(2**15), 2**15, (9_001, 4)).astype(np.int16)


@pytest.fixture
def four(tmp_path) -> Path:
    path = tmp_path / "four.wav"
    sf.write(path, CHANNELS_PCM, 16_000, "PCM_16")
    return path


@pytest.mark.parametrize(
    "channels", [[0], [3], [2, 0], (3, 2, 1, 0), [1, 1], np.array([1, 3]), range(4)]
)
@pytest.mark.parametrize("chunk_size", [100, 9_000, 20_000])
def test_chosen_channels_come_in_the_order_they_were_asked_for(four, channels, chunk_size):
    with open_reader(four, channels=channels, chunk_size=chunk_size) as reader:
        assert reader.num_channels == len(channels)
        chunks = list(reader.chunks())
        assert reader.num_samples == len(CHANNELS_PCM)
        assert reader.remarks == ()
    assert all(chunk.dtype == np.float32 and chunk.flags.c_contiguous for chunk in chunks)
    assert [len(chunk) for chunk in chunks[:-1]] == [chunk_size] * (len(chunks) - 1)
    expected = CHANNELS_PCM[:, list(channels)] / np.float32(2**15)
    assert np.array_equal(np.concatenate(chunks), expected)


def test_no_choice_is_all_channels(four):
    with open_reader(four) as reader:
        assert reader.num_channels == 4
        assert np.concatenate(list(reader.chunks())).shape == CHANNELS_PCM.shape


@pytest.mark.parametrize(
    ("channels", "said"), [([4], "5"), ([-1], "0"), ([0, 7, 1, 4], "8, 5"), ([], "none")]
)
def test_a_missing_channel_is_said_as_people_count(four, channels, said):
    with pytest.raises(SourceError) as caught, open_reader(four, channels=channels):
        pytest.fail("it was opened")
    assert caught.value.code is ErrorCode.BAD_CHANNELS
    assert f"four.wav: channel {said} was asked for; the recording has 4, counted from 1" in str(
        caught.value
    )


def test_only_chosen_channels_count_as_not_finite(tmp_path):
    path = tmp_path / "nan.wav"
    audio = np.zeros((1_000, 2), np.float32)
    audio[5:15, 0], audio[7:10, 1] = np.nan, np.inf
    sf.write(path, audio, 16_000, "FLOAT")
    for channels, expected in (([0], 10), ([1], 3), (None, 13)):
        with open_reader(path, channels=channels) as reader:
            assert not np.concatenate(list(reader.chunks())).any()
            assert reader.non_finite_samples == expected


@pytest.mark.realdata
def test_real_recordings_are_read_as_libsndfile_reads_them(realdata):
    paths = sorted(p for p in realdata.rglob("*") if p.suffix in {".wav", ".flac", ".ogg"})[::75]
    assert paths
    for path in paths:
        with open_reader(path) as reader:
            audio = np.concatenate(list(reader.chunks()))
            assert reader.remarks == ()
            assert reader.declared_num_samples == len(audio)
        expected, _ = sf.read(path, dtype="float32", always_2d=True)
        assert np.array_equal(audio, expected)
