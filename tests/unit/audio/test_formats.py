"""Which format an output gets, and under which suffix."""

from __future__ import annotations

import pytest
import soundfile as sf

from anc_core.audio import AudioFormat, length_tolerance, output_format, output_suffix
from anc_core.audio.formats import WRITABLE, suffix_mismatch
from anc_core.errors import WarningCode


def fmt(container: str, subtype: str, endian: str = "FILE") -> AudioFormat:
    return AudioFormat(container=container, subtype=subtype, endian=endian)


ALL_WRITABLE = [
    fmt(container, subtype) for container in WRITABLE for subtype in WRITABLE[container]
]


@pytest.mark.parametrize("source", ALL_WRITABLE, ids=str)
def test_what_can_be_written_stays_what_it_is(source):
    for suffix in (None, "", ".part", output_suffix(source, ".xyz")):
        assert output_format(source, suffix) == (source, None)


def test_byte_order_stays_within_a_container_and_is_the_default_in_another():
    assert output_format(fmt("WAV", "PCM_16", "BIG"), ".wav")[0].endian == "BIG"
    assert output_format(fmt("WAV", "PCM_16", "BIG"), ".aiff")[0].endian == "FILE"


@pytest.mark.parametrize(
    ("source", "suffix", "container", "subtype"),
    [
        (("MP3", "MPEG_LAYER_III"), ".wav", "WAV", "PCM_16"),
        (("WAV", "PCM_24"), ".flac", "FLAC", "PCM_24"),
        (("WAV", "FLOAT"), ".flac", "FLAC", "PCM_24"),
        (("WAV", "PCM_32"), ".flac", "FLAC", "PCM_24"),
        (("WAV", "ULAW"), ".flac", "FLAC", "PCM_16"),
        (("WAV", "PCM_U8"), ".FLAC", "FLAC", "PCM_S8"),
        (("FLAC", "PCM_S8"), ".wav", "WAV", "PCM_U8"),
        (("FLAC", "PCM_24"), ".mp3", "MP3", "MPEG_LAYER_III"),
        (("FLAC", "PCM_16"), ".ogg", "OGG", "VORBIS"),
        (("FLAC", "PCM_16"), ".opus", "OGG", "OPUS"),
        (("WAV", "IMA_ADPCM"), ".wav", "WAV", "PCM_16"),
        (("WAV", "GSM610"), None, "WAV", "PCM_16"),
        (("W64", "MS_ADPCM"), ".w64", "W64", "PCM_16"),
        (("AIFF", "PCM_S8"), ".aif", "AIFF", "PCM_16"),
        (("CAF", "ALAC_24"), ".caf", "CAF", "PCM_24"),
        (("CAF", "ALAC_32"), ".caf", "CAF", "PCM_32"),
        (("MP3", "MPEG_LAYER_II"), ".mp2", "FLAC", "PCM_16"),
        (("OGG", "SPEEX"), ".ogg", "FLAC", "PCM_16"),
        (("VOC", "PCM_16"), ".voc", "WAV", "PCM_16"),
        (("MAT5", "DOUBLE"), ".mat", "WAV", "DOUBLE"),
        (("MP4", "AAC"), ".m4a", "FLAC", "PCM_16"),
        (("MP4", "ALAC_24"), ".m4a", "FLAC", "PCM_24"),
        (("MP4", "AAC"), ".wav", "WAV", "PCM_16"),
        (("WAV", "PCM_16"), ".m4a", "FLAC", "PCM_16"),
    ],
)
def test_another_format_is_the_nearest_and_is_remarked(source, suffix, container, subtype):
    target, remark = output_format(fmt(*source), suffix)
    assert target == fmt(container, subtype)
    assert remark is not None
    assert remark.code is WarningCode.CODEC_MISMATCH
    for word in (*source, container, subtype):
        assert word in remark.message


def test_every_target_is_one_that_can_be_written():
    sources = [fmt(c, s) for c in sf.available_formats() for s in sf.available_subtypes(c)]
    suffixes = [None, ".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".w64", ".m4a", ".xyz"]
    for source in sources:
        for suffix in suffixes:
            target, _ = output_format(source, suffix)
            assert target.subtype in WRITABLE[target.container]


def test_wave_and_wavex_are_one_family():
    assert output_format(fmt("WAVEX", "PCM_16"), ".wav")[1] is None
    assert output_format(fmt("RF64", "FLOAT"), ".wav") == (fmt("RF64", "FLOAT"), None)


@pytest.mark.parametrize(
    ("target", "suffix", "expected"),
    [
        (("FLAC", "PCM_16"), ".m4a", ".flac"),
        (("FLAC", "PCM_16"), ".FLAC", ".FLAC"),
        (("WAV", "PCM_16"), ".voc", ".wav"),
        (("WAV", "PCM_16"), ".Wave", ".Wave"),
        (("AIFF", "PCM_16"), ".aif", ".aif"),
        (("WAV", "PCM_16"), ".dat", ".dat"),
        (("WAV", "PCM_16"), "", ""),
    ],
)
def test_a_suffix_never_names_another_format(target, suffix, expected):
    assert output_suffix(fmt(*target), suffix) == expected


def test_a_name_that_promises_another_container_is_remarked():
    mismatch = suffix_mismatch(fmt("MP3", "MPEG_LAYER_III"), ".wav")
    assert mismatch is not None
    assert "MP3" in mismatch.message
    assert suffix_mismatch(fmt("MP3", "MPEG_LAYER_III"), ".MP3") is None
    assert suffix_mismatch(fmt("RF64", "PCM_16"), ".wav") is None
    assert suffix_mismatch(fmt("WAV", "PCM_16"), ".part") is None
    assert suffix_mismatch(fmt("MP4", "AAC"), ".m4a") is None


def test_lossless_formats_have_no_tolerance_of_length():
    assert all(length_tolerance(f) == 0 for f in ALL_WRITABLE if f.container not in {"OGG", "MP3"})
