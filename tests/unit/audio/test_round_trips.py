"""Every container and subtype that is written comes back: bit for bit, or as long as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.arrays import Chunk
from anc_core.audio import AudioFormat, open_reader, open_writer
from anc_core.audio.formats import WRITABLE
from anc_core.audio.quantize import BITS

NUM_SAMPLES = 3_001  # odd: containers pad odd sizes to even, and must not count the pad
_LOSSY = {"VORBIS", "OPUS", "MPEG_LAYER_III"}
_LAWS = {"ULAW", "ALAW"}
FORMATS = [
    AudioFormat(container=container, subtype=subtype)
    for container, subtypes in WRITABLE.items()
    for subtype in subtypes
]
LOSSLESS = [f for f in FORMATS if f.subtype not in _LOSSY]
BIG_ENDIAN = [
    AudioFormat(container="WAV", subtype=subtype, endian="BIG")
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
]
BIG_ENDIAN.append(AudioFormat(container="AIFF", subtype="PCM_16", endian="LITTLE"))


def write(path: Path, audio: Chunk, audio_format: AudioFormat, hint: int | None = None) -> int:
    with open_writer(
        path,
        sample_rate=16_000,
        num_channels=audio.shape[1],
        format=audio_format,
        num_samples_hint=hint,
    ) as writer:
        for start in range(0, len(audio), 700):
            writer.write(audio[start : start + 700])
    return writer.clipped_samples


def read(path: Path, chunk_size: int = 8_000) -> tuple[Chunk, AudioFormat, int | None]:
    with open_reader(path) as reader:
        audio = np.concatenate(list(reader.chunks(chunk_size)))
        assert reader.remarks == ()
        assert reader.num_samples == len(audio)
        return audio, reader.format, reader.declared_num_samples


def noise(subtype: str, num_channels: int, num_samples: int = NUM_SAMPLES) -> Chunk:
    """Return noise over the full scale that ``subtype`` holds exactly: the hardest to compress."""
    rng = np.random.default_rng(11)
    shape = (num_samples, num_channels)
    bits = min(BITS.get(subtype, 24), 24)  # float32 carries 24
    audio = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape) / 2 ** (bits - 1)
    audio[0], audio[1] = -1.0, 1.0 - 2.0 ** (1 - bits)
    return audio.astype(np.float32)


@pytest.mark.parametrize("hint", [NUM_SAMPLES, None], ids=["hint", "no hint"])
@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("audio_format", [*LOSSLESS, *BIG_ENDIAN], ids=str)
def test_decoding_what_was_encoded_is_bit_exact(tmp_path, audio_format, num_channels, hint):
    path = tmp_path / "a.bin"
    audio = noise(audio_format.subtype, num_channels)
    clipped = write(path, audio, audio_format, hint)
    first, found, declared = read(path)
    if audio_format.subtype not in _LAWS:
        assert np.array_equal(first, audio)
        assert clipped == 0
    # Once more, which is what a bypass does; the laws are exact from here on.
    write(path, first, audio_format, hint)
    again, _, _ = read(path)
    assert np.array_equal(again, first)
    assert (found.container, found.subtype) == (audio_format.container, audio_format.subtype)
    assert declared == NUM_SAMPLES


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_every_code_of_the_laws_survives(tmp_path, subtype):
    codes = np.arange(256, dtype=np.uint8).tobytes()
    raw = tmp_path / "a.raw"
    raw.write_bytes(codes)
    audio, _ = sf.read(
        raw, samplerate=8_000, channels=1, format="RAW", subtype=subtype, dtype="float32"
    )
    path = tmp_path / "a.wav"
    write(path, audio[:, np.newaxis], AudioFormat(container="WAV", subtype=subtype))
    written = path.read_bytes()
    at = written.index(b"data") + 8
    # Mu-law has two zeros, 0x7F (minus) and 0xFF (plus), which decode to the same sample.
    expected = codes.replace(b"\x7f", b"\xff") if subtype == "ULAW" else codes
    assert written[at : at + 256] == expected


@pytest.mark.parametrize("num_samples", [1, 1_000, 20_001])
@pytest.mark.parametrize("sample_rate", [8_000, 48_000])
@pytest.mark.parametrize("subtype", sorted(_LOSSY))
def test_lossy_formats_keep_length_place_and_level(tmp_path, subtype, sample_rate, num_samples):
    container = "MP3" if subtype == "MPEG_LAYER_III" else "OGG"
    time = np.arange(num_samples) / sample_rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[:, np.newaxis]
    path = tmp_path / "a.bin"
    with open_writer(
        path,
        sample_rate=sample_rate,
        num_channels=1,
        format=AudioFormat(container=container, subtype=subtype),
    ) as writer:
        writer.write(tone)
    audio, found, declared = read(path)
    assert audio.shape == tone.shape
    assert declared == num_samples
    assert found.subtype == subtype
    if num_samples > 10_000:
        middle = slice(5_000, 15_000)
        # A lag of one sample alone would leave 2 * sin(pi * 440 / rate) = -15 dB at 8 kHz.
        error = np.std(audio[middle] - tone[middle]) / np.std(tone[middle])
        assert error < 0.1


@pytest.mark.parametrize("subtype", sorted(_LOSSY))
def test_lossy_decoding_does_not_depend_on_the_chunk_size(tmp_path, subtype):
    container = "MP3" if subtype == "MPEG_LAYER_III" else "OGG"
    path = tmp_path / "a.bin"
    write(path, noise("PCM_16", 1, 300_000), AudioFormat(container=container, subtype=subtype))
    whole, _, _ = read(path, 10**9)
    for chunk_size in (999, 8_000):
        assert np.array_equal(read(path, chunk_size)[0], whole)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_beyond_full_scale_and_denormals_survive(tmp_path, subtype):
    audio = np.array([[3.5], [-1e30], [1e-30], [1e-42], [-0.0]], np.float32)
    path = tmp_path / "a.wav"
    assert write(path, audio, AudioFormat(container="WAV", subtype=subtype)) == 0
    assert read(path)[0].tobytes() == audio.tobytes()


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("AIFF", "PCM_16"), ("CAF", "FLOAT")],
)
@pytest.mark.parametrize("num_channels", [3, 8])
def test_many_channels_stay_in_their_columns(tmp_path, container, subtype, num_channels):
    audio = noise("PCM_16", num_channels)
    path = tmp_path / "a.bin"
    write(path, audio, AudioFormat(container=container, subtype=subtype))
    assert np.array_equal(read(path)[0], audio)


@pytest.mark.parametrize("audio_format", FORMATS, ids=str)
def test_equal_samples_give_equal_files(tmp_path, audio_format, monkeypatch):
    audio = noise("PCM_16", 1)
    paths = [tmp_path / "a.bin", tmp_path / "b.bin"]
    for path in paths:
        write(path, audio, audio_format)
    first, second = (path.read_bytes() for path in paths)
    # Ogg streams bear a random serial number by design.
    assert first == second or audio_format.container == "OGG"
    assert b"PEAK" not in first  # it would hold the time of writing
