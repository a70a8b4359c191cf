"""MP3 files: every frame is decoded, whatever the header of the file says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio import open_reader
from anc_core.audio.mpeg import parse_frame, parse_mpeg, skip_id3
from anc_core.errors import WarningCode

NUM_SAMPLES = 100_000
FRAME = 1152
DECODER_DELAY = 529  # what libmpg123 removes at the start where it knows no better


def synchsafe(size: int) -> bytes:
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def id3(num_bytes: int) -> bytes:
    """Return an ID3v2.3 tag with a picture of about ``num_bytes`` that looks like MPEG frames."""
    picture = (b"\xff\xfb\x90\x44" + bytes(413)) * (num_bytes // 417)
    body = b"\0image/jpeg\0\x03\0" + picture
    frame = b"APIC" + len(body).to_bytes(4) + b"\0\0" + body
    return b"ID3\x03\0\0" + synchsafe(len(frame)) + frame


@pytest.fixture(scope="module")
def audio() -> np.ndarray:
    time = np.arange(NUM_SAMPLES) / 48_000
    # Loud, quiet, loud: the bit rate of a VBR file varies.
    level = 0.3 * (1.2 + np.sin(2 * np.pi * 0.5 * time))
    noise = np.random.default_rng(2).standard_normal(NUM_SAMPLES) * (time > 1.0) * 0.1
    return (level * np.sin(2 * np.pi * 440 * time) + noise).astype(np.float32)


@pytest.fixture(scope="module", params=["VARIABLE", "CONSTANT"])
def mp3(request, audio, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    with sf.SoundFile(
        str(path), "w", 48_000, 1, "MPEG_LAYER_III", format="MP3",
        compression_level=0.5, bitrate_mode=request.param,
    ) as file:  # fmt: skip
        file.write(audio)
    return path.read_bytes()


def read(path: Path, content: bytes) -> tuple[np.ndarray, int | None, list[WarningCode]]:
    path.write_bytes(content)
    with open_reader(path) as reader:
        samples = np.concatenate(list(reader.chunks()))
        codes = [remark.code for remark in reader.remarks]
        return samples[:, 0], reader.declared_num_samples, codes


def without_xing(content: bytes) -> bytes:
    first = parse_frame(int.from_bytes(content[:4]))
    assert first is not None
    return content[first.num_bytes :]


def test_a_whole_file_has_its_true_length_and_no_remark(tmp_path, mp3, audio):
    samples, declared, codes = read(tmp_path / "a.mp3", mp3)
    assert len(samples) == declared == NUM_SAMPLES
    assert codes == []
    error = np.std(samples[2_000:40_000] - audio[2_000:40_000]) / np.std(audio[2_000:40_000])
    assert error < 0.1


def test_without_a_xing_header_every_frame_is_decoded(tmp_path, mp3):
    whole, _, _ = read(tmp_path / "a.mp3", mp3)
    frames = -(-(NUM_SAMPLES + DECODER_DELAY + 576) // FRAME)
    samples, declared, codes = read(tmp_path / "b.mp3", without_xing(mp3))
    assert len(samples) == declared
    assert (len(samples) + DECODER_DELAY) % FRAME == 0
    assert (len(samples) + DECODER_DELAY) // FRAME >= frames
    assert codes == []
    # The same audio: LAME's own delay of 576 samples comes first now.
    assert np.allclose(samples[576 + 5_000 :][:50_000], whole[5_000:][:50_000], atol=1e-5)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.999])
def test_what_is_left_of_a_cut_file_is_decoded_and_remarked(tmp_path, mp3, share):
    whole, _, _ = read(tmp_path / "a.mp3", mp3)
    samples, declared, codes = read(tmp_path / "b.mp3", mp3[: int(share * len(mp3))])
    assert declared == NUM_SAMPLES
    assert 0 < len(samples) < NUM_SAMPLES
    assert codes == [WarningCode.TRUNCATED]
    settled = len(samples) - 2 * FRAME  # the last frames lean on bits that are not there
    assert np.array_equal(samples[:settled], whole[:settled])


def test_two_files_joined_are_decoded_to_the_end(tmp_path, mp3):
    samples, _, codes = read(tmp_path / "b.mp3", mp3 + mp3)
    assert len(samples) >= 2 * NUM_SAMPLES
    assert codes == [WarningCode.HEADER_REPAIRED]


def test_garbage_before_within_and_after_is_no_audio(tmp_path, mp3):
    whole, _, _ = read(tmp_path / "a.mp3", mp3)
    middle = len(mp3) // 2
    junk = bytes(5_000) + b"\xff\xfb junk \xff\xff\xff"
    for content in (bytes(700) + mp3, mp3 + junk, mp3[:middle] + junk + mp3[middle:]):
        samples, declared, _ = read(tmp_path / "b.mp3", content)
        # In the middle of a frame the junk costs that frame, nowhere else anything.
        assert NUM_SAMPLES - 2 * FRAME <= len(samples) <= NUM_SAMPLES
        assert declared == NUM_SAMPLES
        assert np.array_equal(samples[: NUM_SAMPLES // 3], whole[: NUM_SAMPLES // 3])


def test_tags_of_10_mb_and_tags_at_the_end_are_not_audio(tmp_path, mp3):
    whole, _, _ = read(tmp_path / "a.mp3", mp3)
    id3v1 = b"TAG" + b"Title".ljust(125, b"\0")
    ape = b"APETAGEX" + bytes(24) + b"\xff\xfb\x90\x44" * 50
    for content in (
        id3(10_000_000) + mp3,
        mp3 + id3v1,
        mp3 + ape + id3v1,
        id3(500) + id3(500) + mp3,
    ):
        samples, _, codes = read(tmp_path / "b.mp3", content)
        assert np.array_equal(samples, whole)
        assert codes == []


def test_a_vbri_header_is_not_audio_and_its_claim_is_kept(tmp_path, mp3):
    stream = without_xing(mp3)
    word = int.from_bytes(stream[:4]) & ~0xF000 | 0x9000 | 0x10000
    frame = parse_frame(word)
    assert frame is not None
    header = bytearray(frame.num_bytes)
    header[:4] = word.to_bytes(4)
    claimed_frames = 90
    header[36:54] = b"VBRI" + bytes(6) + len(stream).to_bytes(4) + claimed_frames.to_bytes(4)
    with_vbri, _, _ = read(tmp_path / "a.mp3", bytes(header) + stream)
    without, _, _ = read(tmp_path / "b.mp3", stream)
    assert np.array_equal(with_vbri, without)


def test_an_mp3_inside_a_wav_is_decoded(tmp_path, mp3):
    fmt = b"\x55\0\x01\0" + (48_000).to_bytes(4, "little") + (8_000).to_bytes(4, "little")
    fmt += b"\x01\0\0\0" + b"\0\0"
    body = b"fmt " + len(fmt).to_bytes(4, "little") + fmt
    body += b"data" + len(mp3).to_bytes(4, "little") + mp3
    content = b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WAVE" + body
    path = tmp_path / "a.wav"
    samples, _, codes = read(path, content)
    assert len(samples) == NUM_SAMPLES
    assert codes == []
    with open_reader(path) as reader:
        assert (reader.format.container, reader.format.subtype) == ("WAV", "MPEG_LAYER_III")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0xFFFB9044, (417, 1152, 32)),  # MPEG-1, 128 kbit/s, 44.1 kHz: 144 * 128000 / 44100
        (0xFFFB92C4, (418, 1152, 17)),  # the same, padded, mono
        (0xFFF340C4, (104, 576, 9)),  # MPEG-2, 32 kbit/s, 22.05 kHz, mono: 72 * 32000 / 22050
        (0xFFE318C4, (72, 576, 9)),  # MPEG-2.5, 8 kbit/s, 8 kHz, mono
    ],
)  # fmt: skip
def test_frame_headers_are_those_of_iso_11172_3(word, expected):
    frame = parse_frame(word)
    assert frame is not None
    assert (frame.num_bytes, frame.num_samples, frame.side_info_bytes) == expected


@pytest.mark.parametrize(
    "word", [0, 0xFFFFFFFF, 0xFFF15080, 0xFFFB0044, 0xFFFBF044, 0xFFFB9C44, 0xFFFD9044, 0xFFEB9044]
)
def test_what_is_no_layer_3_header_is_none(word):
    assert parse_frame(word) is None


def test_noise_holds_no_frames(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(np.random.default_rng(1).bytes(200_000))
    with io.FileIO(path) as file:
        assert parse_mpeg(file, 0, 200_000) is None
        assert skip_id3(file, 0, 200_000) == 0
