"""Recordings that were cut off, in the containers whose headers libsndfile does not believe."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import open_reader
from anc_core.errors import WarningCode

AUDIO = np.random.default_rng(4).integers(-(2**15), 2**15, (20_000, 2)).astype(np.int16)


@pytest.mark.parametrize(
    ("container", "subtype", "sample_bytes"),
    [
        ("AIFF", "PCM_16", 4),
        ("AU", "PCM_24", 6),
        ("W64", "PCM_16", 4),
        ("CAF", "PCM_16", 4),
        ("NIST", "PCM_16", 4),
        ("WAV", "PCM_16", 4),
        ("RF64", "PCM_16", 4),
    ],
)
def test_what_exists_is_decoded_exactly_and_both_lengths_are_known(
    tmp_path, container, subtype, sample_bytes
):
    path = tmp_path / "a.bin"
    sf.write(path, AUDIO, 16_000, subtype, format=container)
    content = path.read_bytes()
    missing = len(AUDIO) // 2 * sample_bytes + 1  # in the middle of a sample
    path.write_bytes(content[:-missing])
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks()))
        (remark,) = reader.remarks
        assert reader.declared_num_samples == len(AUDIO)
    present = len(AUDIO) // 2 - 1
    # CAF and others may write chunks behind the audio, which are cut first.
    assert present <= len(audio) <= present + 10
    assert np.array_equal(audio, AUDIO[: len(audio)] / np.float32(2**15))
    assert remark.code is WarningCode.TRUNCATED
    assert "20000 samples (1.250 s)" in remark.message
    assert f"{len(audio)} samples ({len(audio) / 16_000:.3f} s)" in remark.message


@pytest.mark.parametrize(
    ("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16")]
)
def test_a_compressed_stream_that_is_cut_is_decoded_as_far_as_it_goes(tmp_path, container, subtype):
    path = tmp_path / "a.bin"
    # Ogg pages hold up to a second.
    sf.write(path, np.tile(AUDIO, (5, 1)), 16_000, subtype, format=container)
    with open_reader(path) as reader:
        whole = np.concatenate(list(reader.chunks()))
        assert reader.remarks == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks()))
        assert [remark.code for remark in reader.remarks] == [WarningCode.TRUNCATED]
    assert 0 < len(audio) < len(whole)
    assert np.array_equal(audio[:-2_000], whole[: len(audio) - 2_000])


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.flac"
    sf.write(path, AUDIO, 16_000, "PCM_16")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: 36 bits of total samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with open_reader(path) as reader:
        assert reader.declared_num_samples is None
        assert sum(len(chunk) for chunk in reader.chunks()) == len(AUDIO)
        assert reader.remarks == ()


def test_an_au_of_unknown_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.au"
    sf.write(path, AUDIO, 16_000, "PCM_16")
    content = bytearray(path.read_bytes())
    content[8:12] = b"\xff" * 4
    path.write_bytes(content)
    with open_reader(path) as reader:
        assert reader.declared_num_samples is None
        assert sum(len(chunk) for chunk in reader.chunks()) == len(AUDIO)
